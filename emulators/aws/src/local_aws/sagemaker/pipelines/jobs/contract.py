"""Implements the contract of processing and training jobs: files, environment, outputs and failure reasons.

A job's description has the shape of DescribeProcessingJob or DescribeTrainingJob; it becomes the step's properties.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.jobs import spark_image
from local_aws.sagemaker.pipelines.jobs.processing_instances import SHARDED, Input, ProcessingInstances
from local_aws.sagemaker.pipelines.jobs.runner import JobRequest, JobRunner, recorded_end, set_secondary_status
from local_aws.sagemaker.pipelines.jobs.storage import CreateFault, Item


@dataclass(frozen=True)
class Jobs:
    """Runs processing and training jobs."""

    runner: JobRunner

    def processing(self, request: JobRequest) -> None:
        """Runs a processing job to its end.

        Raises:
            CreateFault: the job cannot be created.
            JobFailed, JobStopped: the job did not complete.
        """
        arguments, described = request.arguments, request.described
        role, app = arguments["RoleArn"], arguments["AppSpecification"]
        cluster = arguments["ProcessingResources"]["ClusterConfig"]
        count, on_spark = int(cluster.get("InstanceCount") or 1), spark_image.matches(app["ImageUri"])
        self.runner.images.environment(app["ImageUri"])  # refuses before the job exists
        words = app.get("ContainerEntrypoint") or self.runner.images.command(app["ImageUri"])
        words = [*words, *(app.get("ContainerArguments") or [])]
        outputs = (arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        inputs: list[Input] = []
        for item in arguments.get("ProcessingInputs") or []:
            source = _validated_input(item)
            if (sharded := source.get("S3DataDistributionType") == SHARDED) and on_spark and count > 1:
                raise CreateFault(
                    f"Input '{item.get('InputName')}': {SHARDED} is not supported by the AWS emulator for Spark's jobs"
                )
            items = self.runner.storage(request.role).plan(source["S3Uri"], source["S3DataType"], role)
            inputs.append(Input(path=_validated_path(source["LocalPath"]), items=items, sharded=sharded))
        for item in outputs:
            if "S3Output" not in item:
                raise CreateFault(f"Output '{item.get('OutputName')}': the AWS emulator writes outputs to S3 only")
            _validated_path(item["S3Output"]["LocalPath"])
        described |= {
            **arguments,
            "ProcessingJobName": request.name,
            "ProcessingJobArn": request.arn,
            "ProcessingJobStatus": "InProgress",
            "CreationTime": names.now(),
            "LastModifiedTime": names.now(),
        }
        variables = {
            "PROCESSING_JOB_NAME": request.name,
            "PROCESSING_JOB_ARN": request.arn,
            **(arguments.get("Environment") or {}),
        }
        request.created()
        with recorded_end(described, "Processing"):
            ProcessingInstances(
                runner=self.runner,
                request=request,
                hosts=[f"algo-{number + 1}" for number in range(count)],
                processes=1 if on_spark else count,
                inputs=inputs,
                outputs=[item["S3Output"] for item in outputs],
                words=words,
                variables=variables,
                config={**arguments, "ProcessingJobName": request.name, "ProcessingJobArn": request.arn},
            ).run()

    def training(self, request: JobRequest) -> None:
        """Runs a training job to its end; raises the errors of `processing`."""
        arguments, described = request.arguments, request.described
        role, algorithm = arguments["RoleArn"], arguments["AlgorithmSpecification"]
        _require_one_instance(arguments["ResourceConfig"])
        parameters = {key: names.text(value) for key, value in (arguments.get("HyperParameters") or {}).items()}
        image = algorithm.get("TrainingImage")
        if not image:
            raise CreateFault("AlgorithmName is not supported by the AWS emulator, give a TrainingImage")
        words = algorithm.get("ContainerEntrypoint") or self.runner.images.command(image, parameters)
        words = [*words, *(algorithm.get("ContainerArguments") or [])]
        channels = arguments.get("InputDataConfig") or []
        inputs = [(f"/opt/ml/input/data/{c['ChannelName']}", self._channel(c, algorithm, role)) for c in channels]
        prefix = f"{arguments['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request.name}/output"
        packed = arguments["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
        described |= {
            **arguments,
            "HyperParameters": parameters,
            "TrainingJobName": request.name,
            "TrainingJobArn": request.arn,
            "ModelArtifacts": {"S3ModelArtifacts": f"{prefix}/model.tar.gz" if packed else f"{prefix}/model/"},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [],
            "CreationTime": names.now(),
            "LastModifiedTime": names.now(),
        }
        configs = {
            "input/config/hyperparameters.json": parameters,
            "input/config/inputdataconfig.json": {c["ChannelName"]: _channel_config(c, algorithm) for c in channels},
            "input/config/resourceconfig.json": _resource_config(arguments["ResourceConfig"]["InstanceType"]),
        }
        variables = {
            "TRAINING_JOB_NAME": request.name,
            "TRAINING_JOB_ARN": request.arn,
            **(arguments.get("Environment") or {}),
        }
        request.created()
        with recorded_end(described, "Training"):
            set_secondary_status(described, "Downloading")
            space = self.runner.prepare(request, configs, inputs)
            for folder in ("model", "output/data", "code", "checkpoints"):
                (space.ml / folder).mkdir(parents=True, exist_ok=True)
            set_secondary_status(described, "Training")
            described["TrainingStartTime"] = names.now()
            try:
                self.runner.run(request, space, words, variables, "/aws/sagemaker/TrainingJobs")
            finally:
                described["FinalMetricDataList"] = _final_metrics(algorithm.get("MetricDefinitions") or [], space.log)
            set_secondary_status(described, "Uploading")
            storage = self.runner.storage(request.role, request.keys.get("output", ""))
            for folder, file in (("model", "model"), ("output/data", "output")):
                source = space.ml / folder
                if file == "output" and not any(source.iterdir()):
                    continue
                if packed:
                    archive = space.folder / f"{file}.tar.gz"
                    _pack(source, archive)
                    storage.send_file(archive, f"{prefix}/{file}.tar.gz")
                else:
                    storage.send(source, f"{prefix}/{file}")

    def _channel(self, channel: Mapping[str, Any], algorithm: Mapping[str, Any], role: str) -> list[Item]:
        name, source = channel["ChannelName"], (channel.get("DataSource") or {}).get("S3DataSource")
        if source is None:
            raise CreateFault(f"Channel '{name}': the AWS emulator reads channels from S3 only")
        mode = channel.get("InputMode") or algorithm.get("TrainingInputMode") or "File"
        if mode not in ("File", "FastFile"):
            raise CreateFault(f"Channel '{name}': input mode '{mode}' is not supported by the AWS emulator, use File")
        return self.runner.storage(role).plan(source["S3Uri"], source["S3DataType"], role)


def _require_one_instance(cluster: Mapping[str, Any]) -> None:
    count = int(cluster.get("InstanceCount") or 1)
    if count != 1 or cluster.get("InstanceGroups"):
        raise CreateFault(
            f"InstanceCount {count} is not supported by the AWS emulator, training jobs run on one instance"
        )


def _validated_path(path: str) -> str:
    if not Path(os.path.normpath(path)).is_relative_to("/opt/ml/processing"):
        raise CreateFault(f"LocalPath '{path}' must begin with /opt/ml/processing")
    return path


def _validated_input(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The S3Input of a processing input; CreateFault if it is not supported."""
    name = item.get("InputName")
    source: Mapping[str, Any] | None = item.get("S3Input")
    if not source:
        raise CreateFault(f"Input '{name}': the AWS emulator reads inputs from S3 only")
    if source.get("S3InputMode", "File") != "File":
        raise CreateFault(
            f"Input '{name}': mode '{source['S3InputMode']}' is not supported by the AWS emulator, use File"
        )
    if "LocalPath" not in source:
        raise CreateFault(f"Input '{name}' has no LocalPath")
    return source


def _channel_config(channel: Mapping[str, Any], algorithm: Mapping[str, Any]) -> dict[str, Any]:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode") or algorithm.get("TrainingInputMode") or "File",
        "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
        "RecordWrapperType": channel.get("RecordWrapperType") or "None",
    }
    return config | ({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {})


def _resource_config(instance_type: str) -> dict[str, Any]:
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": ["algo-1"]}
    return {
        "current_host": "algo-1",
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
        "topology": None,
    }


def _final_metrics(definitions: Sequence[Mapping[str, str]], log: Path) -> list[dict[str, Any]]:
    """The last value of each metric in the job's output, found by the regular expression of its definition."""
    if not definitions or not log.exists():
        return []
    text, found = log.read_text("utf-8", "replace"), list[dict[str, Any]]()
    for definition in definitions:
        matches = re.findall(definition["Regex"], text)
        if matches:
            last = matches[-1] if isinstance(matches[-1], str) else matches[-1][0]
            found.append({"MetricName": definition["Name"], "Value": float(last), "Timestamp": names.now()})
    return found


def _pack(folder: Path, archive: Path) -> None:
    """Packs the content of a folder as SageMaker does: without the folder itself, with its file times."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
