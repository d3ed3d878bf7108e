"""Builds the steps of the training pipeline with the SageMaker Python SDK.

Imported by `ml.aws.pipeline.definition` when a definition is built and by nothing else: the SDK takes seconds to
import. Nothing here may call AWS, read the clock or read the caller's SDK configuration, so that equal inputs give
equal bytes.

The requests are written as SageMaker's API defines them, not built by the SDK: `ModelTrainer` and `FrameworkProcessor`
upload scripts below a prefix with a time stamp, `ModelBuilder.register` lists the account's buckets, and `Processor`
merges the local user's defaults file. `RequestStep` takes a request as it is; references, conditions, caching, retries
and the definition itself are the SDK's.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import boto3
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import StepTypeEnum

from ml.aws import registry
from ml.aws.pipeline.entry_point import VERIFIED
from ml.aws.pipeline.image import image_uri, spark_image_uri
from ml.aws.pipeline.instances import volume
from ml.aws.pipeline.job_environment import JOB_ENVIRONMENT
from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.aws.pipeline.request_step import RequestStep
from ml.config import ModelFile
from ml.model.run_kinds import FIT, RUN_KINDS

if TYPE_CHECKING:
    from ml.aws.platform_stack import Platform

_ML = "/opt/ml"
_PROCESSING = "/opt/ml/processing"
_CHANNELS = "/opt/ml/input/data"
_CONTENT_TYPES = ["text/csv", "application/json", "application/jsonlines"]
_NO_TELEMETRY = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


@functools.lru_cache(maxsize=8)
def _session(region: str, bucket: str) -> PipelineSession:
    """The SDK's session, which creates six clients. Needs no credentials: it records requests and sends none."""
    return PipelineSession(
        boto_session=boto3.Session(region_name=region), default_bucket=bucket, sagemaker_config=_NO_TELEMETRY
    )


class Workflow:
    """Prepare → Train → Evaluate → Gate → Register or GateFailed, for one platform and one model file.

    Every kind of run takes the same steps: the kinds differ in how Prepare splits the rows and in what Train fits,
    which the steps decide by the parameter `Kind`. A path per kind behind condition steps would repeat each job's
    request three times, and Evaluate could not name one Train step whose output it reads.
    """

    def __init__(self, *, platform: Platform, training: ModelFile, no_champion: str) -> None:
        self._platform, self._compute = platform, training.compute
        self._key = {"KmsKeyId": platform.key_arn} if platform.key_arn else {}
        self._image = image_uri(platform.region)
        self._spark = training.compute.engine == "spark"
        self._spark_image = spark_image_uri(platform.region) if self._spark else ""
        self._session = _session(platform.region, platform.bucket)
        self._parameters: dict[str, ParameterString] = {}
        for parameter in ("DataManifestUri", "SettingsUri", "CodeUri", "Commit", "ConfigSha256", "DataSha256"):
            self._parameters[parameter] = ParameterString(parameter)
        optional = {"WindowStart": "", "WindowEnd": "", "ChampionSha256": "", "BaseModelSha256": "", "Requests": ""}
        none = {"ChampionUri": no_champion, "BaseModelUri": no_champion}
        defaults = optional | none | {"InstanceType": self._compute.instance_type}
        for parameter, default in defaults.items():
            self._parameters[parameter] = ParameterString(parameter, default)
        self._parameters["Kind"] = ParameterString("Kind", FIT, enum_values=list(RUN_KINDS))

    def definition(self) -> str:
        """The pipeline's definition as the SDK writes it."""
        return str(self._pipeline().definition())

    def _pipeline(self) -> Pipeline:
        prepare = self._prepare()
        train, model = (self._train_on_spark if self._spark else self._train)(prepare.output("prepared"))
        report = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
        digest = PropertyFile(name="EvaluationDigest", output_name="evaluation", path="digest.json")
        evaluate = self._evaluate(prepare.output("prepared"), model, (report, digest))

        def found(path: str, file: PropertyFile = report) -> JsonGet:
            return JsonGet(step_name=evaluate.name, property_file=file, json_path=path)

        gate = ConditionStep(
            name="Gate",
            description="Registers the model if evaluation.json says that it passed",
            conditions=[ConditionEquals(left=found("verdict.status"), right="passed")],
            if_steps=[self._register(evaluate, found("artifact.sha256"), found("evaluation_sha256", digest))],
            else_steps=[FailStep(name="GateFailed", error_message=Join(on="", values=[found("verdict.reason")]))],
        )
        return Pipeline(
            name=self._platform.pipeline,
            parameters=list(self._parameters.values()),
            pipeline_experiment_config=None,
            steps=[prepare, train, evaluate, gate],
            sagemaker_session=self._session,
        )

    def _prepare(self) -> RequestStep:
        p = self._parameters
        return self._processing(
            "Prepare",
            arguments=[
                *("--data-sha256", p["DataSha256"]),
                *("--kind", p["Kind"]),
                _option("--window-start", p["WindowStart"]),
                _option("--window-end", p["WindowEnd"]),
            ],
            inputs={"code": p["CodeUri"], "settings": p["SettingsUri"], "dataset": p["DataManifestUri"]},
            outputs=["prepared"],
            spark=self._spark,
        )

    def _train_on_spark(self, prepared: Any) -> tuple[RequestStep, Any]:
        """The step and the URI of its model: a processing job, because the Spark image is for these."""
        p = self._parameters
        sources = {
            "code": p["CodeUri"],
            "settings": p["SettingsUri"],
            "prepared": prepared,
            "champion": p["BaseModelUri"],
        }
        arguments = ["--kind", p["Kind"], _option("--champion-sha256", p["BaseModelSha256"])]
        step = self._processing("Train", arguments=arguments, inputs=sources, outputs=["model"], spark=True)
        return step, step.output("model")

    def _train(self, prepared: Any) -> tuple[RequestStep, Any]:
        """The step and the URI of its model."""
        p = self._parameters
        sources = {"code": p["CodeUri"], "settings": p["SettingsUri"], "prepared": prepared}
        sources["champion"] = p["BaseModelUri"]
        request = {
            "AlgorithmSpecification": {
                "TrainingImage": self._image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": list(VERIFIED),
                "ContainerArguments": [
                    *(f"{_CHANNELS}/code", p["CodeUri"], f"{_ML}/output/failure"),
                    *("train", "--base-dir", _ML, "--config-sha256", p["ConfigSha256"]),
                    *("--kind", p["Kind"]),
                    _option("--champion-sha256", p["BaseModelSha256"]),
                ],
            },
            "Environment": dict(JOB_ENVIRONMENT),
            "InputDataConfig": [_channel(name, source) for name, source in sources.items()],
            "OutputDataConfig": {"S3OutputPath": self._below_execution("train")} | self._key,
            "ResourceConfig": self._cluster,
            "StoppingCondition": self._stopping_condition,
            "RoleArn": self._platform.execution_role_arn,
        }
        step = RequestStep("Train", StepTypeEnum.TRAINING, request)
        return step, step.properties.ModelArtifacts.S3ModelArtifacts

    def _evaluate(self, prepared: Any, model: Any, reports: tuple[PropertyFile, ...]) -> RequestStep:
        p = self._parameters
        return self._processing(
            "Evaluate",
            arguments=[
                *("--commit", p["Commit"]),
                *("--kind", p["Kind"]),
                *("--data-sha256", p["DataSha256"]),
                _option("--champion-sha256", p["ChampionSha256"]),
            ],
            inputs={
                "code": p["CodeUri"],
                "settings": p["SettingsUri"],
                "prepared": prepared,
                "model": model,
                "champion": p["ChampionUri"],
            },
            outputs=["evaluation", "artifact"],
            property_files=reports,
        )

    def _register(self, evaluate: RequestStep, artifact_sha256: JsonGet, evaluation_sha256: JsonGet) -> RequestStep:
        p = self._parameters
        folder = evaluate.output("evaluation")
        quality, data_quality = (
            {"Statistics": {"ContentType": "application/json", "S3Uri": Join(on="/", values=[folder, name])}}
            for name in ("evaluation.json", "baseline.json")
        )
        container = {
            "Image": self._image,
            "ModelDataUrl": Join(on="/", values=[evaluate.output("artifact"), "model.tar.gz"]),
            "Environment": dict(MODEL_ENVIRONMENT),
        }
        metadata = {
            "kind": p["Kind"],
            "commit": p["Commit"],
            "config_sha256": p["ConfigSha256"],
            "data_sha256": p["DataSha256"],
            "artifact_sha256": artifact_sha256,
            "evaluation_sha256": evaluation_sha256,
            "execution_arn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "champion_sha256": _maybe_empty(p["ChampionSha256"]),
            "requests": _maybe_empty(p["Requests"]),
            "window_start": _maybe_empty(p["WindowStart"]),
            "window_end": _maybe_empty(p["WindowEnd"]),
        }
        request = {
            "ModelPackageGroupName": self._platform.package_group,
            "ModelApprovalStatus": registry.PENDING,
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": _CONTENT_TYPES,
                "SupportedResponseMIMETypes": _CONTENT_TYPES,
            },
            "ModelMetrics": {"ModelQuality": quality},
            "DriftCheckBaselines": {"ModelQuality": quality, "ModelDataQuality": data_quality},
            "CustomerMetadataProperties": metadata,
        }
        return RequestStep("Register", StepTypeEnum.REGISTER_MODEL, request)

    def _processing(
        self,
        name: str,
        *,
        arguments: list[Any],
        inputs: dict[str, Any],
        outputs: list[str],
        property_files: tuple[PropertyFile, ...] = (),
        spark: bool = False,
    ) -> RequestStep:
        p, verb = self._parameters, name.lower()
        written = [
            {
                "OutputName": output,
                "S3Output": {
                    "S3Uri": self._below_execution(verb, output),
                    "LocalPath": f"{_PROCESSING}/{output}",
                    "S3UploadMode": "EndOfJob",
                },
            }
            for output in outputs
        ]
        request = {
            "AppSpecification": {
                "ImageUri": self._spark_image if spark else self._image,
                "ContainerEntrypoint": list(VERIFIED),
                "ContainerArguments": [
                    *(f"{_PROCESSING}/code", p["CodeUri"], f"{_ML}/output/message", *(["spark"] if spark else [])),
                    *(verb, "--base-dir", _PROCESSING, "--config-sha256", p["ConfigSha256"]),
                    *arguments,
                ],
            },
            "Environment": dict(JOB_ENVIRONMENT),
            "ProcessingInputs": [_input(name, source) for name, source in inputs.items()],
            "ProcessingOutputConfig": {"Outputs": written} | self._key,
            "ProcessingResources": {
                "ClusterConfig": self._cluster | ({"InstanceCount": self._compute.instances} if spark else {})
            },
            # In the scikit-learn image, Prepare and Evaluate install nothing (run.sh); SageMaker transfers their inputs
            # and outputs. A cluster's machines talk to each other, and install packages that the Spark image lacks: on
            # Spark, the job that holds the raw transactions has network access (docs/architecture.md).
            "NetworkConfig": {"EnableInterContainerTrafficEncryption": True}
            if spark
            else {"EnableNetworkIsolation": True},
            "StoppingCondition": self._stopping_condition,
            "RoleArn": self._platform.execution_role_arn,
        }
        return RequestStep(name, StepTypeEnum.PROCESSING, request, property_files)

    @property
    def _cluster(self) -> dict[str, Any]:
        instance = {"InstanceType": self._parameters["InstanceType"], "InstanceCount": 1}
        return instance | volume(self._compute.instance_type, self._compute.volume_gb, self._platform.key_arn)

    @property
    def _stopping_condition(self) -> dict[str, Any]:
        return {"MaxRuntimeInSeconds": self._compute.max_runtime_minutes * 60}

    def _below_execution(self, *parts: str) -> Join:
        bucket = f"s3://{self._platform.bucket}/executions"
        return Join(on="/", values=[bucket, ExecutionVariables.PIPELINE_EXECUTION_ID, *parts])


def _option(name: str, parameter: ParameterString) -> Join:
    """`name=value` as one word: CreateProcessingJob refuses empty words, and the value may be empty."""
    return Join(on="", values=[f"{name}=", parameter])


def _maybe_empty(parameter: ParameterString) -> Join:
    return Join(on="", values=[registry.MAYBE_EMPTY, parameter])


def _input(name: str, source: Any) -> dict[str, Any]:
    where = {
        "S3Uri": source,
        "LocalPath": f"{_PROCESSING}/{name}",
        "S3DataType": "ManifestFile" if name == "dataset" else "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "S3Input": where}


def _channel(name: str, source: Any) -> dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": source, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": where}}
