"""Faults of API calls as boto3 sees them, and whether the call was done."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError
from local_aws.faults import Rule
from local_aws.server import LocalAws

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAws) -> Iterator[None]:
    """Removes the rules after each test."""
    yield
    aws.faults.set([])


def client(aws: LocalAws, service: str) -> Any:
    """A client that tries once."""
    keys = aws.environment()
    return boto3.client(
        service,
        endpoint_url=aws.url,
        region_name=aws.region,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=ONCE,
    )


def groups(aws: LocalAws) -> set[str]:
    """The names of all package groups, asked for without faults."""
    aws.faults.set([])
    listed = client(aws, "sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    return {item["ModelPackageGroupName"] for item in listed}


def create(aws: LocalAws, name: str) -> None:
    """Creates a package group."""
    client(aws, "sagemaker").create_model_package_group(ModelPackageGroupName=name)


@pytest.mark.parametrize(
    ("fault", "service", "code", "status"),
    [
        ("throttling", "sagemaker", "ThrottlingException", 400),
        ("throttling", "s3", "SlowDown", 503),
        ("server_error", "sagemaker", "InternalFailure", 500),
        ("unavailable", "s3", "ServiceUnavailable", 503),
        ("expired_credentials", "sagemaker", "ExpiredTokenException", 400),
        ("expired_credentials", "s3", "ExpiredToken", 400),
    ],
)
def test_refused_call_has_the_services_error(aws: LocalAws, fault: str, service: str, code: str, status: int) -> None:
    """The error has the service's code and status in its own protocol; the next call succeeds."""
    aws.faults.set([Rule(fault=fault, service=service)])
    made = client(aws, service)
    ask = made.list_buckets if service == "s3" else made.list_endpoints
    with pytest.raises(ClientError) as error:
        ask()
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert ask()


@pytest.mark.parametrize(
    ("fault", "done"),
    [("server_error", False), ("reset", False), ("lost_answer", True), ("error_after", True)],
)
def test_call_was_done_or_not_as_the_fault_says(aws: LocalAws, fault: str, *, done: bool) -> None:
    """The caller gets an error in each case; whether the group exists depends on the fault."""
    aws.faults.set([Rule(fault=fault, service="sagemaker", operation="CreateModelPackageGroup")])
    name = f"group-{fault.replace('_', '-')}"
    with pytest.raises((ClientError, BotoCoreError)):
        create(aws, name)
    assert (name in groups(aws)) is done


def test_truncated_answer_lacks_its_members(aws: LocalAws) -> None:
    """The call was done. botocore does not compare the length of a JSON body: it returns an answer without members."""
    aws.faults.set([Rule(fault="truncated", service="sagemaker", operation="CreateModelPackageGroup")])
    answer = client(aws, "sagemaker").create_model_package_group(ModelPackageGroupName="half")
    assert "ModelPackageGroupArn" not in answer
    assert "half" in groups(aws)


def test_reset_closes_the_connection_and_the_next_call_opens_another(aws: LocalAws) -> None:
    """The client sees a closed connection."""
    aws.faults.set([Rule(fault="reset", service="s3")])
    s3 = client(aws, "s3")
    with pytest.raises(ConnectionClosedError):
        s3.list_buckets()
    assert s3.list_buckets()["Buckets"] == []


def test_stale_answer_repeats_the_former_one(aws: LocalAws) -> None:
    """A list that was read before a write is answered once more as it was; a first read is never stale."""
    aws.faults.set([Rule(fault="stale", service="sagemaker", operation="ListModelPackageGroups")])
    sagemaker = client(aws, "sagemaker")

    def names() -> set[str]:
        listed = sagemaker.list_model_package_groups(NameContains="late")["ModelPackageGroupSummaryList"]
        return {item["ModelPackageGroupName"] for item in listed}

    assert names() == set()
    create(aws, "late")
    assert names() == set()
    assert names() == {"late"}


def test_client_with_retries_never_notices_one_fault(aws: LocalAws) -> None:
    """The emulator's own administrator, which tries three times, gets its answer."""
    aws.faults.set([Rule(fault="unavailable", service="s3", operation="ListBuckets")])
    assert aws.client("s3").list_buckets()["Buckets"] == []
    assert [item.call for item in aws.faults.fired] == [1]


def test_rules_can_be_set_over_http(aws: LocalAws) -> None:
    """The control path takes a list of rules, and an empty body shows them with the faults so far."""

    def post(body: bytes) -> Any:
        request = urllib.request.Request(f"{aws.url}/local-aws/faults", data=body, method="POST")  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            return json.loads(response.read())

    post(json.dumps([{"fault": "reset", "service": "s3", "operation": "ListBuckets"}]).encode())
    with pytest.raises(ConnectionClosedError):
        client(aws, "s3").list_buckets()
    shown = post(b"")
    assert [rule["fault"] for rule in shown["rules"]] == ["reset"]
    assert shown["fired"] == [{"fault": "reset", "service": "s3", "operation": "ListBuckets", "call": 1}]
