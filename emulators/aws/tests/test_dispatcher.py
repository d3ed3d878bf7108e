"""The dispatcher: operations that it answers, operations that it passes to moto, and errors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from aws_resources import ROLE, create_role, unique_name
from botocore.exceptions import ClientError
from local_aws.errors import EmulatorError
from local_aws.server import LocalAws


def test_caller_is_a_role_session(aws: LocalAws) -> None:
    """By default GetCallerIdentity returns a role session."""
    assert aws.client("sts").get_caller_identity()["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/")


def test_role_session_has_its_own_identity(aws: LocalAws) -> None:
    """Credentials from AssumeRole have the identity of their role."""
    import boto3

    arn = create_role(aws, "deployer", {"AWS": "arn:aws:iam::123456789012:root"})
    keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1")
    caller = session.client("sts", endpoint_url=aws.url).get_caller_identity()
    assert caller["Arn"] == "arn:aws:sts::123456789012:assumed-role/deployer/test"


def test_unsupported_operation_is_an_error_without_retry(aws: LocalAws) -> None:
    """An unsupported operation is one InternalFailure that names it."""
    with pytest.raises(ClientError) as caught:
        aws.client("sagemaker").list_monitoring_schedules()
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert "ListMonitoringSchedules" in str(caught.value)
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_duplicate_model_name_is_refused(aws: LocalAws) -> None:
    """A second model with the same name is a ValidationException; moto would overwrite the first."""
    sagemaker, name = aws.client("sagemaker"), unique_name("model")
    container = {"Image": "image"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)


def test_s3_objects_are_unchanged(aws: LocalAws) -> None:
    """Objects in S3 keep their bytes and metadata."""
    s3, body = aws.client("s3"), os.urandom(300_000)
    s3.create_bucket(Bucket="whole")
    s3.put_object(Bucket="whole", Key="a b/ü.bin", Body=body, Metadata={"my_key": "1"})
    found = s3.get_object(Bucket="whole", Key="a b/ü.bin")
    assert (found["Body"].read(), found["Metadata"]) == (body, {"my_key": "1"})


def test_bucket_policy_for_tls_does_not_block_requests(aws: LocalAws) -> None:
    """A policy that denies requests without TLS does not apply, because loopback counts as TLS."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="only-tls")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::only-tls", "arn:aws:s3:::only-tls/*"],
    }
    statement = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket="only-tls", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_object(Bucket="only-tls", Key="a", Body=b"1")
    assert s3.get_object(Bucket="only-tls", Key="a")["Body"].read() == b"1"


def test_every_call_is_logged(aws: LocalAws) -> None:
    """The log has a line for each call, with its service, operation and status."""
    aws.client("sqs").list_queues(QueueNamePrefix="written-down")
    lines = [json.loads(line) for line in (aws.folder / "logs/calls.jsonl").read_text().splitlines()]
    assert any(line["call"] == "sqs:ListQueues" and line["status"] == 200 for line in lines)


def test_second_emulator_in_a_process_is_refused(aws: LocalAws, tmp_path: Path) -> None:
    """Two emulators in one process would share moto's state."""
    with pytest.raises(EmulatorError, match="runs in this process already"):
        LocalAws(tmp_path).start()
