"""Pipelines built by SageMaker's SDK 3, with its driver scripts unmodified, and by SDK 2."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from aws_resources import pack_archive
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from pipeline_jobs import ACCOUNT, IMAGE, REGION, ROLE, PipelineAws

Json = dict[str, Any]

PREPARE = """
import json, pathlib
out = pathlib.Path("/opt/ml/processing/train")
(out / "rows.csv").write_text(pathlib.Path("/opt/ml/processing/raw/rows.csv").read_text() * 2)
(out / "evaluation.json").write_text(json.dumps({"metrics": {"recall": 0.9}}))
"""
TRAIN = """
import json, os, pathlib
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
assert os.environ["SM_HP_EPOCHS"] == "3", os.environ["SM_HPS"]
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps({"rows": rows}))
"""


@pytest.fixture
def sdk(aws: PipelineAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PipelineAws:
    """The emulator, configured for the SDK by environment variables only."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.yaml").write_text(
        "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"
    )
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(tmp_path / "config.yaml"))
    return aws


def build(aws: PipelineAws, source: Path) -> Any:
    """Prepare → Train → Gate → Register, written with the SDK."""
    import boto3
    from sagemaker.core.processing import FrameworkProcessor
    from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
    from sagemaker.core.workflow.conditions import ConditionGreaterThan, ConditionNot, ConditionOr
    from sagemaker.core.workflow.functions import JsonGet
    from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.core.workflow.properties import PropertyFile
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.model_step import ModelStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
    from sagemaker.serve.model_builder import ModelBuilder
    from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode
    from sagemaker.train.model_trainer import ModelTrainer

    session = PipelineSession(boto_session=boto3.Session(region_name=REGION), default_bucket=aws.bucket)
    data = ParameterString("DataUri", f"s3://{aws.bucket}/raw/")
    minimum = ParameterFloat("Minimum", 0.6)
    processor = FrameworkProcessor(
        image_uri=IMAGE,
        command=["python3"],
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    report = PropertyFile(name="Evaluation", output_name="train", path="evaluation.json")
    raw = ProcessingS3Input(
        s3_uri=data, local_path="/opt/ml/processing/raw", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    made = ProcessingS3Output(
        s3_uri=f"s3://{aws.bucket}/out/train", local_path="/opt/ml/processing/train", s3_upload_mode="EndOfJob"
    )
    prepare = ProcessingStep(
        name="Prepare",
        property_files=[report],
        step_args=processor.run(
            code="prepare.py",
            source_dir=str(source),
            inputs=[ProcessingInput(input_name="raw", s3_input=raw)],
            outputs=[ProcessingOutput(output_name="train", s3_output=made)],
        ),
    )
    trainer = ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(source), entry_script="train.py", requirements="requirements.txt"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"epochs": 3},
        role=ROLE,
        sagemaker_session=session,
        base_job_name="fraud",
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/model"),
    )
    train = TrainingStep(
        name="Train",
        step_args=trainer.train(
            input_data_config=[
                InputData(
                    channel_name="train",
                    data_source=prepare.properties.ProcessingOutputConfig.Outputs["train"].S3Output.S3Uri,
                )
            ]
        ),
    )
    model = ModelBuilder(
        s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
        image_uri=IMAGE,
        role_arn=ROLE,
        sagemaker_session=session,
    )
    register = ModelStep(
        name="Register",
        step_args=model.register(
            model_package_group_name=f"group-{aws.bucket}",
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.m5.large"],
            transform_instances=["ml.m5.large"],
            approval_status="PendingManualApproval",
            customer_metadata_properties={"commit": "abc"},
        ),
    )
    recall = JsonGet(step_name="Prepare", property_file=report, json_path="metrics.recall")
    above = ConditionGreaterThan(left=recall, right=minimum)
    gate = ConditionStep(
        name="Gate",
        conditions=[above, ConditionNot(ConditionOr([ConditionNot(above)]))],
        if_steps=[register],
        else_steps=[FailStep(name="Missed", error_message="recall gate failed")],
    )
    return Pipeline(
        name=f"sdk-{aws.bucket}", parameters=[data, minimum], steps=[prepare, train, gate], sagemaker_session=session
    )


@pytest.mark.filterwarnings("ignore")  # the SDK's own
@pytest.mark.parametrize("mode", ["auto", "relocate"])
def test_sdk_driver_scripts_run_unmodified(sdk: PipelineAws, tmp_path: Path, mode: Mode) -> None:
    """runproc.sh and sm_train.sh, as FrameworkProcessor and ModelTrainer emit them, run; the package is registered."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "prepare.py").write_text(PREPARE)
    (source / "train.py").write_text(TRAIN)
    (source / "requirements.txt").write_text("imbalanced-learn==0.14.2\n")
    sdk.put("raw/rows.csv", "1,2,3\n")
    sdk.serve(isolation=Isolation(mode))
    pipeline = build(sdk, source)
    pipeline.upsert(role_arn=ROLE)
    arn = pipeline.start().arn
    del pipeline
    gc.collect()  # the SDK leaves temporary folders to the collector, whose warnings belong to this test
    assert sdk.finish(arn)["PipelineExecutionStatus"] == "Succeeded", "".join(
        path.read_text() for path in sdk.folder.rglob("output.log")
    )
    steps = sdk.steps(arn)
    assert set(steps) == {"Prepare", "Train", "Gate", "Register"}
    package = sdk.client("sagemaker").describe_model_package(
        ModelPackageName=steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    )
    with tarfile.open(
        fileobj=io.BytesIO(sdk.get(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]))
    ) as tar:
        member = tar.extractfile("model.json")
        assert member
        assert json.loads(member.read()) == {"rows": "1,2,3\n1,2,3\n"}


def test_definition_of_sdk_2_runs(aws: PipelineAws) -> None:
    """Script mode: no entry point in the training step, code by hyperparameter, a processor that names its script."""
    script = "import shutil as s; s.copy('/opt/ml/processing/input/rows.csv', '/opt/ml/processing/output/train')"
    code = aws.put("script/input/code/preprocess.py", script)
    rows = aws.put("input/rows.csv", "5,6\n")
    entry = (
        "import argparse, os, json, pathlib, helper\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--max-depth', type=int)\n"
        "parser.add_argument('--model-dir', default=os.environ['SM_MODEL_DIR'])\n"
        "parser.add_argument('--train', default=os.environ['SM_CHANNEL_TRAIN'])\n"
        "given = parser.parse_args()\n"
        "assert given.max_depth == 4 and helper.here\n"
        "pathlib.Path(given.model_dir, 'model.txt').write_text(pathlib.Path(given.train, 'rows.csv').read_text())\n"
    )
    source = aws.put("job/source/sourcedir.tar.gz", pack_archive({"train.py": entry, "helper.py": "here = True\n"}))
    cluster = {"InstanceType": {"Get": "Parameters.InstanceType"}, "InstanceCount": 1, "VolumeSizeInGB": 30}
    process = {
        "Name": "Process",
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerArguments": ["--input-data", {"Get": "Parameters.InputData"}],
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/preprocess.py"],
            },
            "RoleArn": ROLE,
            "ProcessingInputs": [
                old_input("input-1", {"Get": "Parameters.InputData"}, "/opt/ml/processing/input"),
                old_input("code", code, "/opt/ml/processing/input/code"),
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "train",
                        "AppManaged": False,
                        "S3Output": {
                            "S3Uri": f"s3://{aws.bucket}/script/output/train",
                            "LocalPath": "/opt/ml/processing/output/train",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        },
        "CacheConfig": {"Enabled": True, "ExpireAfter": "30d"},
    }
    train = {
        "Name": "Train",
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": IMAGE},
            "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/models"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "ResourceConfig": cluster,
            "RoleArn": ROLE,
            "InputDataConfig": [
                {
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": {"Get": "Steps.Process.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"},
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                    "ContentType": "text/csv",
                    "ChannelName": "train",
                }
            ],
            "HyperParameters": {
                "max-depth": "4",
                "sagemaker_submit_directory": json.dumps(source),
                "sagemaker_program": '"train.py"',
                "sagemaker_container_log_level": "20",
                "sagemaker_region": json.dumps(REGION),
            },
            "DebugHookConfig": {"S3OutputPath": f"s3://{aws.bucket}/", "CollectionConfigurations": []},
            "ProfilerConfig": {"DisableProfiler": True},
        },
    }
    register = {
        "Name": "RegisterTree-RegisterModel",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": f"group-{aws.bucket}",
            "InferenceSpecification": {
                "Containers": [
                    {"Image": IMAGE, "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
                ],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
                "SupportedRealtimeInferenceInstanceTypes": ["ml.t2.medium"],
                "SupportedTransformInstanceTypes": ["ml.m5.large"],
            },
            "ModelApprovalStatus": {"Get": "Parameters.Approval"},
        },
    }
    name = aws.create(
        [process, train, register],
        [
            {"Name": "InstanceType", "Type": "String", "DefaultValue": "ml.m5.xlarge"},
            {"Name": "Approval", "Type": "String", "DefaultValue": "PendingManualApproval"},
            {"Name": "InputData", "Type": "String", "DefaultValue": rows},
        ],
        Metadata={},
        PipelineExperimentConfig={
            "ExperimentName": {"Get": "Execution.PipelineName"},
            "TrialName": {"Get": "Execution.PipelineExecutionId"},
        },
    )
    arn = aws.start(name)
    described = aws.finish(arn)
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    assert described["PipelineExperimentConfig"]["ExperimentName"] == name
    package = aws.steps(arn)["RegisterTree-RegisterModel"]["Metadata"]["RegisterModel"]["Arn"]
    assert package.startswith(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/")


def old_input(name: str, uri: Any, path: str) -> Json:
    """A processing input with all members that SDK 2 writes."""
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": path,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }
