"""Services act as the roles that they were given: pipelines, jobs, endpoints, capture and functions."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from aws_resources import (
    allow,
    capture_config,
    create_endpoint_config,
    create_function,
    create_queue,
    create_role,
    invoke_endpoint,
    unique_name,
    wait_until_settled,
)
from botocore.exceptions import ClientError
from callers import SAGEMAKER, decisions
from local_aws.server import LocalAws
from pipeline_jobs import processing, python

CREATES = allow(["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:AddTags"])
PRINTS_IDENTITY = """
import boto3, os, pathlib
keys = sorted(name for name in os.environ if name.startswith("AWS_"))
text = boto3.client("sts").get_caller_identity()["Arn"] + " " + ",".join(keys)
pathlib.Path("/opt/ml/processing/out/identity").write_text(text)
print("done")
"""


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    """A new bucket with one object, `in/rows`."""
    name = unique_name("lake")
    aws.client("s3").create_bucket(Bucket=name)
    aws.client("s3").put_object(Bucket=name, Key="in/rows", Body=b"1\n")
    return name


def run(aws: LocalAws, bucket: str, code: str, *, pipeline_role: str, job_role: str) -> dict[str, Any]:
    """The only step of an execution, after its end; the job reads in/ and writes out/."""
    step = processing(
        "Only", python(code), inputs={"in": f"s3://{bucket}/in/"}, outputs={"out": f"s3://{bucket}/out"},
        arguments={"RoleArn": job_role},
    )  # fmt: skip
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, RoleArn=pipeline_role, ClientRequestToken=uuid.uuid4().hex
    )
    arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    aws._services.pipelines.wait(arn, 60)
    [found] = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    shown: dict[str, Any] = found
    return shown


def reads(bucket: str) -> list[dict[str, Any]]:
    """The permissions of a job that reads in/."""
    listing = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "in/*"})
    return [listing, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/in/*")]


def job_role(aws: LocalAws, *statements: dict[str, Any]) -> str:
    """A role for jobs."""
    return create_role(aws, unique_name("job"), SAGEMAKER, allow("logs:*"), *statements)


def pipeline_role(aws: LocalAws, job: str, *statements: dict[str, Any]) -> str:
    """A role for executions that may hand `job` over."""
    return create_role(aws, unique_name("execution"), SAGEMAKER, allow("iam:PassRole", job), *statements)


def test_job_runs_as_its_role_and_has_no_other_keys(aws: LocalAws, bucket: str) -> None:
    """The process calls AWS as the session of its role; the execution's role created it."""
    job = job_role(aws, *reads(bucket), allow("s3:PutObject", f"arn:aws:s3:::{bucket}/out/*"))
    execution = pipeline_role(aws, job, CREATES)
    step = run(aws, bucket, PRINTS_IDENTITY, pipeline_role=execution, job_role=job)
    assert step["StepStatus"] == "Succeeded", step
    identity = aws.client("s3").get_object(Bucket=bucket, Key="out/identity")["Body"].read().decode()
    arn, names = identity.split(" ")
    assert arn == f"{job.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/SageMaker"
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= set(names.split(","))
    used = {line["action"] for line in decisions(aws, job)}
    assert {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "logs:PutLogEvents"} <= used
    assert {line["action"] for line in decisions(aws, execution)} == {
        "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:AddTags", "iam:PassRole",
    }  # fmt: skip


def test_missing_permission_of_the_execution_fails_its_step(aws: LocalAws, bucket: str) -> None:
    """The step's reason is Pipelines' with IAM's message: to create the job, to tag it, to pass its role."""
    job = job_role(aws)
    cases = {
        "sagemaker:CreateProcessingJob": pipeline_role(aws, job),
        "sagemaker:AddTags": pipeline_role(aws, job, allow("sagemaker:CreateProcessingJob")),
        "iam:PassRole": create_role(aws, unique_name("execution"), SAGEMAKER, CREATES),
    }
    for action, role in cases.items():
        step = run(aws, bucket, "pass", pipeline_role=role, job_role=job)
        assert step["StepStatus"] == "Failed"
        reason = step["FailureReason"]
        assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: User: ")
        assert f"/SageMaker is not authorized to perform: {action} on resource: " in reason


def test_missing_permission_of_the_job_is_in_its_failure_reason(aws: LocalAws, bucket: str) -> None:
    """An input that may not be listed or read, and an output that may not be written, each in SageMaker's words."""
    listing, reading = reads(bucket)
    cases = {
        "No S3 objects found under S3 URL": [reading],
        "Data download failed:Unable to download object": [listing],
        "Failed to upload output to": [listing, reading],
    }
    writes = "import pathlib; pathlib.Path('/opt/ml/processing/out/a').write_text('1')"
    for reason, statements in cases.items():
        job = job_role(aws, *statements)
        step = run(aws, bucket, writes, pipeline_role=pipeline_role(aws, job, CREATES), job_role=job)
        assert step["StepStatus"] == "Failed"
        assert reason in step["FailureReason"]


def test_call_of_a_job_is_denied_in_the_job(aws: LocalAws, bucket: str) -> None:
    """A script that calls what its role may not gets the error itself."""
    job = job_role(aws, *reads(bucket), allow("s3:PutObject", f"arn:aws:s3:::{bucket}/out/*"))
    code = (
        "import boto3, pathlib\n"
        "try:\n    boto3.client('sagemaker').list_endpoints()\n"
        "except Exception as error:\n"
        "    pathlib.Path('/opt/ml/processing/out/error').write_text(str(error))\n"
    )
    step = run(aws, bucket, code, pipeline_role=pipeline_role(aws, job, CREATES), job_role=job)
    assert step["StepStatus"] == "Succeeded", step
    text = aws.client("s3").get_object(Bucket=bucket, Key="out/error")["Body"].read().decode()
    assert "AccessDeniedException" in text
    assert "sagemaker:ListEndpoints" in text


def test_job_role_that_does_not_trust_sagemaker_fails_the_step(aws: LocalAws, bucket: str) -> None:
    """The job is not created."""
    job = create_role(aws, unique_name("job"), "lambda.amazonaws.com", allow("s3:*"))
    step = run(aws, bucket, "pass", pipeline_role=pipeline_role(aws, job, CREATES), job_role=job)
    assert f"Could not assume role {job}" in step["FailureReason"]


def test_endpoint_reads_its_model_as_the_models_role(aws: LocalAws) -> None:
    """Without s3:GetObject, which the role had at CreateModel, the endpoint fails and says whose it is."""
    configuration = create_endpoint_config(aws)
    model = aws.client("sagemaker").describe_model(ModelName=configuration)
    blind = create_role(aws, unique_name("serving"), SAGEMAKER, allow("s3:GetObject"))
    name = unique_name("endpoint")
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer=model["PrimaryContainer"], ExecutionRoleArn=blind
    )
    aws.client("iam").delete_role_policy(RoleName=blind.rpartition("/")[2], PolicyName="permissions")
    variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    aws.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert wait_until_settled(aws, name) == "Failed"
    reason = aws.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]
    assert "the role passed to CreateModel has permissions to download the object" in reason
    assert [line["decision"] for line in decisions(aws, blind)] == ["allowed", "implicit deny"]


def test_capture_is_written_as_the_models_role(aws: LocalAws, bucket: str) -> None:
    """Captured traffic needs s3:PutObject of the model's role; the endpoint answers without it."""
    reader = create_role(aws, unique_name("serving"), SAGEMAKER, allow("s3:GetObject"))
    made = create_endpoint_config(aws, capture=capture_config(f"s3://{bucket}/capture"), VERSION="1", role=reader)
    name, sagemaker = unique_name("endpoint"), aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=made)
    assert wait_until_settled(aws, name) == "InService"
    assert invoke_endpoint(aws, name, "1").startswith("1:")
    aws.flush()
    puts = [line["decision"] for line in decisions(aws, reader) if line["action"] == "s3:PutObject"]
    assert puts
    assert set(puts) == {"implicit deny"}
    policy = {"Version": "2012-10-17", "Statement": [allow("s3:PutObject", f"arn:aws:s3:::{bucket}/capture/*")]}
    aws.client("iam").put_role_policy(
        RoleName=reader.rpartition("/")[2], PolicyName="capture", PolicyDocument=json.dumps(policy)
    )
    aws.flush()  # what could not be written was kept
    assert aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="capture/")["KeyCount"] == 1


def test_function_sends_to_its_destination_as_its_role(aws: LocalAws) -> None:
    """Without sqs:SendMessage the failure record is lost, as on AWS; the decision is in the log."""
    _, arn = create_queue(aws)
    name = create_function(aws, "def handler(e, c):\n    raise ValueError('never')")
    role = f"arn:aws:iam::123456789012:role/{name}"
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    aws.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    aws.flush()
    sent = [line for line in decisions(aws, role) if line["action"] == "sqs:SendMessage"]
    assert [(line["resource"], line["decision"]) for line in sent] == [(arn, "implicit deny")]


def test_function_without_log_permissions_runs_without_logs(aws: LocalAws) -> None:
    """Lambda writes logs as the function's role."""
    name = create_function(aws, "def handler(e, c):\n    print('unseen')\n    return 1")
    aws.client("iam").delete_role_policy(RoleName=name, PolicyName="permissions")
    answer = aws.client("lambda").invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read()) == 1
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")
