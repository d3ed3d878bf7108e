"""KMS keys of SageMaker's volumes, outputs, archives and captured traffic: who needs which permission on them."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from aws_resources import (
    allow,
    capture_config,
    create_endpoint_config,
    create_role,
    invoke_endpoint,
    unique_name,
    wait_until_settled,
)
from botocore.exceptions import ClientError
from callers import SAGEMAKER, Session
from local_aws.server import LocalAws
from pipeline_jobs import processing, python, training

FOR_AWS = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.fixture(scope="module")
def key(aws: LocalAws) -> str:
    """A key that the account's policies decide about."""
    arn: str = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    """A new bucket."""
    name = unique_name("lake")
    aws.client("s3").create_bucket(Bucket=name)
    return name


def run(aws: LocalAws, step: dict[str, Any], role: str) -> dict[str, Any]:
    """The only step of an execution, after its end."""
    execution = create_role(aws, unique_name("execution"), SAGEMAKER, allow(["sagemaker:*", "iam:PassRole"]))
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    step["Arguments"]["RoleArn"] = role
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, RoleArn=execution, ClientRequestToken=uuid.uuid4().hex
    )
    arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    aws._services.pipelines.wait(arn, 60)
    [found] = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    shown: dict[str, Any] = found
    return shown


def job(kind: str, bucket: str, key: str) -> dict[str, Any]:
    """A step with a job that writes one file, and has the key for its volume and its output."""
    if kind == "processing":
        code = "import pathlib; pathlib.Path('/opt/ml/processing/out/file').write_text('1')"
        step = processing("Only", python(code), outputs={"out": f"s3://{bucket}/out"})
        step["Arguments"]["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = key
        step["Arguments"]["ProcessingOutputConfig"]["KmsKeyId"] = key
        return step
    code = "import pathlib; pathlib.Path('/opt/ml/model/file').write_text('1')"
    step = training("Only", python(code), f"s3://{bucket}/out")
    step["Arguments"]["ResourceConfig"]["VolumeKmsKeyId"] = key
    step["Arguments"]["OutputDataConfig"]["KmsKeyId"] = key
    return step


@pytest.mark.parametrize("kind", ["processing", "training"])
def test_job_needs_the_keys_of_its_volume_and_its_output(aws: LocalAws, bucket: str, key: str, kind: str) -> None:
    """Its role creates the volume's grant, encrypts, and writes through S3; the output has the key."""
    own = [allow(["s3:*", "logs:*"])]
    grants, encrypts = allow("kms:CreateGrant", key, **FOR_AWS), allow("kms:Encrypt", key)
    writes = allow(["kms:GenerateDataKey", "kms:Decrypt"], key)
    for statements, missing in (
        ([encrypts, writes], "The KMS key of the volume cannot be used: User: "),
        ([grants, writes], "The KMS key of the output cannot be used: User: "),
        ([grants, encrypts], "Failed to upload output to"),
    ):
        role = create_role(aws, unique_name("job"), SAGEMAKER, *own, *statements)
        step = run(aws, job(kind, bucket, key), role)
        assert step["StepStatus"] == "Failed"
        assert missing in step["FailureReason"]
    role = create_role(aws, unique_name("job"), SAGEMAKER, *own, grants, encrypts, writes)
    assert run(aws, job(kind, bucket, key), role)["StepStatus"] == "Succeeded"
    s3 = aws.client("s3")
    written = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert {s3.head_object(Bucket=bucket, Key=each)["SSEKMSKeyId"] for each in written} == {key}


def test_endpoint_with_a_key_needs_a_grant_of_its_creator(aws: LocalAws, key: str) -> None:
    """CreateEndpoint and UpdateEndpoint; the configuration alone needs nothing."""
    sagemaker, name = aws.client("sagemaker"), unique_name("endpoint")
    model = create_endpoint_config(aws)
    variant = {"VariantName": "v", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    Session(aws, allow("sagemaker:*")).client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], KmsKeyId=key
    )
    without = Session(aws, allow("sagemaker:*")).client("sagemaker")
    request = {"EndpointName": name, "EndpointConfigName": name}
    with pytest.raises(ClientError, match=r"AccessDeniedException.*kms:CreateGrant"):
        without.create_endpoint(**request)
    allowed = Session(aws, allow("sagemaker:*"), allow("kms:CreateGrant", key, **FOR_AWS)).client("sagemaker")
    allowed.create_endpoint(**request)
    assert wait_until_settled(aws, name) == "InService"
    with pytest.raises(ClientError, match=r"AccessDeniedException.*kms:CreateGrant"):
        without.update_endpoint(**request)
    sagemaker.delete_endpoint(EndpointName=name)


def test_captured_traffic_has_its_key(aws: LocalAws, bucket: str, key: str) -> None:
    """The model's role needs kms:GenerateDataKey to write it; what it could not write is kept."""
    role = create_role(aws, unique_name("serving"), SAGEMAKER, allow("s3:*"))
    capture = {**capture_config(f"s3://{bucket}/capture"), "KmsKeyId": key}
    made = create_endpoint_config(aws, capture=capture, VERSION="1", role=role)
    name, sagemaker = unique_name("endpoint"), aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=made)
    assert wait_until_settled(aws, name) == "InService"
    assert invoke_endpoint(aws, name, "1").startswith("1:")
    aws.flush()
    s3 = aws.client("s3")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    policy = {"Version": "2012-10-17", "Statement": [allow("kms:GenerateDataKey", key)]}
    aws.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2], PolicyName="key", PolicyDocument=json.dumps(policy)
    )
    aws.flush()
    [written] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert s3.head_object(Bucket=bucket, Key=written["Key"])["SSEKMSKeyId"] == key


def test_archive_in_an_encrypted_bucket_needs_the_key(aws: LocalAws, key: str) -> None:
    """The model's role reads it through S3: without kms:Decrypt the endpoint fails."""
    s3, name = aws.client("s3"), unique_name("models")
    s3.create_bucket(Bucket=name)
    existing, sagemaker = create_endpoint_config(aws), aws.client("sagemaker")
    archive = {"Bucket": "models", "Key": f"{existing}.tar.gz"}
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.copy_object(Bucket=name, Key="model.tar.gz", CopySource=archive, **encryption)
    image = sagemaker.describe_model(ModelName=existing)["PrimaryContainer"]["Image"]
    for statements, expected in (([], "Failed"), ([allow("kms:Decrypt", key)], "InService")):
        role = create_role(aws, unique_name("serving"), SAGEMAKER, allow("s3:*"), *statements)
        own = unique_name("model")
        container = {"Image": image, "ModelDataUrl": f"s3://{name}/model.tar.gz"}
        sagemaker.create_model(ModelName=own, PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {"VariantName": "v", "ModelName": own, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=own, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=own, EndpointConfigName=own)
        assert wait_until_settled(aws, own) == expected
