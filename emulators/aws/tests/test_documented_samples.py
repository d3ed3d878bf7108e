"""Events, captured lines and errors of the emulator against samples that AWS and its users published.

Each sample stands in fixtures/documented_samples.json beside its source, without what a request did not ask for.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aws_resources import (
    IMAGE,
    ROLE,
    allow,
    capture_config,
    create_endpoint,
    create_endpoint_config,
    create_role,
    invoke_endpoint,
    unique_name,
    wait_until,
    wait_until_settled,
)
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

SAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fixtures/documented_samples.json").read_text(encoding="utf-8")
)


def fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a JSON value with its type: (dotted path, type); elements of a list are one field."""
    if isinstance(value, dict):
        if path:
            yield path, "object"
        for key, item in value.items():
            yield from fields(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield path, "array"
        for item in value:
            yield from fields(item, f"{path}[]")
    else:
        kinds = {bool: "boolean", int: "number", float: "number", str: "string"}
        yield path, kinds[type(value)]


def test_every_sample_has_a_public_source() -> None:
    """Each sample can be looked up."""
    public = ("https://docs.aws.amazon.com/", "https://github.com/")
    assert [name for name, entry in SAMPLES.items() if not entry["source"].startswith(public)] == []


def run_pipeline(aws: LocalAws) -> None:
    """A pipeline of one processing step, run to its end."""
    role = create_role(aws, unique_name("pipeline"), "sagemaker.amazonaws.com", allow("*"))
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    arguments = {
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
        "RoleArn": role,
    }
    steps = [{"Name": "Work", "Type": "Processing", "Arguments": arguments}]
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name,
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": steps}),
        RoleArn=role,
        ClientRequestToken=unique_name("t" * 32),
    )
    arn = sagemaker.start_pipeline_execution(
        PipelineName=name, PipelineExecutionDisplayName="a", PipelineExecutionDescription="b"
    )["PipelineExecutionArn"]
    aws._services.pipelines.wait(arn, 60)


def register_package(aws: LocalAws) -> None:
    """A model package with everything that the sample has, rejected after its registration."""
    sagemaker, group = aws.client("sagemaker"), unique_name("group")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    sample = SAMPLES["model-package-state-change"]["sample"]["detail"]
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=sample["InferenceSpecification"],
        MetadataProperties=sample["MetadataProperties"],
        ModelMetrics=sample["ModelMetrics"],
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")


@pytest.fixture(scope="module")
def events(aws: LocalAws) -> list[dict[str, Any]]:
    """The events of an endpoint's creation and update, a registered package and a pipeline."""
    name = create_endpoint(aws)
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws))
    assert wait_until_settled(aws, name) == "InService"
    register_package(aws)
    run_pipeline(aws)

    def settled() -> list[dict[str, Any]] | None:
        lines = (aws.folder / "logs/events.jsonl").read_text().splitlines()
        found = [json.loads(line)["event"] for line in lines]
        return found if any(e["detail"].get("currentPipelineExecutionStatus") == "Succeeded" for e in found) else None

    assert aws.flush()
    found: list[dict[str, Any]] = wait_until(settled)  # the pipelines' events have a queue of their own
    return found


@pytest.mark.parametrize(
    ("sample_name", "status"),
    [
        ("endpoint-state-change", ("EndpointStatus", "IN_SERVICE")),
        ("endpoint-deployment-state-change", ("EndpointStatus", "UPDATING")),
        ("model-package-state-change", ("ModelApprovalStatus", "Rejected")),
        ("pipeline-execution-status-change", ("currentPipelineExecutionStatus", "Succeeded")),
        ("pipeline-step-status-change", ("currentStepStatus", "Succeeded")),
    ],
)
def test_event_has_the_documented_fields(
    events: list[dict[str, Any]], sample_name: str, status: tuple[str, str]
) -> None:
    """Every documented field is there with its type, and no other envelope field."""
    sample = SAMPLES[sample_name]["sample"]
    found = [
        event
        for event in events
        if event["detail-type"] == sample["detail-type"] and event["detail"].get(status[0]) == status[1]
    ]
    assert found, sample["detail-type"]
    ours = set(fields(found[-1]))
    assert set(fields(sample)) - ours == set()
    assert set(found[-1]) == set(sample)
    assert len(found[-1]["resources"]) == len(sample["resources"])
    if sample_name.startswith("pipeline"):
        assert set(found[-1]["detail"]) == set(sample["detail"])


@pytest.mark.parametrize(
    ("sample_name", "operation"),
    [("endpoint-state-change", "DescribeEndpoint"), ("model-package-state-change", "DescribeModelPackage")],
)
def test_further_fields_of_an_event_are_those_of_describe(
    events: list[dict[str, Any]], sample_name: str, operation: str
) -> None:
    """A field that the sample lacks is one that the resource's description has."""
    sample = SAMPLES[sample_name]["sample"]
    model: Any = botocore.session.Session().get_service_model("sagemaker")
    members = model.operation_model(operation).output_shape.members
    for event in events:
        if event["detail-type"] == sample["detail-type"]:
            assert set(event["detail"]) - set(sample["detail"]) <= set(members)


def test_captured_line_has_the_documented_fields(aws: LocalAws) -> None:
    """The same fields and types, and no other; an InferenceId adds one."""
    bucket = unique_name("captured")
    aws.client("s3").create_bucket(Bucket=bucket)
    csv = {"CsvContentTypes": ["text/csv"]}
    name = create_endpoint(aws, capture=capture_config(f"s3://{bucket}/c", CaptureContentTypeHeader=csv))
    invoke_endpoint(aws, name, "1,2")
    assert aws.flush()
    listed = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    body = aws.client("s3").get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read()
    line = json.loads(body.splitlines()[0])
    assert dict(fields(line)) == dict(fields(SAMPLES["captured-line"]["sample"]))
    assert line["eventVersion"] == SAMPLES["captured-line"]["sample"]["eventVersion"]


def test_error_body_has_the_documented_fields(aws: LocalAws) -> None:
    """In the JSON protocol: the type and the message."""
    key = aws.environment()["AWS_ACCESS_KEY_ID"]
    headers = {
        "X-Amz-Target": "SageMaker.DescribeModel",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sagemaker/aws4_request",
    }
    request = urllib.request.Request(aws.url, data=b'{"ModelName": "a_"}', headers=headers)  # noqa: S310 - loopback
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)  # noqa: S310 - loopback
    body = json.loads(caught.value.read())
    assert set(fields(SAMPLES["error-body-json"]["sample"])) <= set(fields(body))
    assert body["__type"] == SAMPLES["error-body-json"]["sample"]["__type"]


def pattern_of(service: str, operation: str, *path: str) -> str:
    """The pattern of a member in the service's model."""
    model: Any = botocore.session.Session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    for part in path:
        shape = shape.member if part == "[]" else shape.members[part]
    return str(shape.metadata["pattern"])


def test_message_of_two_failures_is_the_documented_one(aws: LocalAws) -> None:
    """Length first, then the pattern, joined by a semicolon; the pattern is that of today's model."""
    value = "{{ " + "a" * 80 + " }}"
    container = {"Image": IMAGE}
    with pytest.raises(ClientError) as caught:
        aws.client("sagemaker").create_model(ModelName=value, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    sample = SAMPLES["error-message-length-and-pattern"]["sample"]
    pattern = pattern_of("sagemaker", "CreateModel", "ModelName")
    assert caught.value.response["Error"]["Message"] == sample.replace("{value}", value).replace("{pattern}", pattern)


def test_message_of_a_tag_is_the_documented_one(aws: LocalAws) -> None:
    """The sixth tag of a list, counted from one, in the query protocol."""
    value = "SourceIP: 192.0.2.1, UserAgent: a"
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(5)] + [{"Key": "k", "Value": value}]
    with pytest.raises(ClientError) as caught:
        aws.client("iam").create_user(UserName="tagged", Tags=tags)
    sample = SAMPLES["error-message-tag-in-a-list"]["sample"]
    pattern = pattern_of("iam", "CreateUser", "Tags", "[]", "Value")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"] == sample.replace("{value}", value).replace("{pattern}", pattern)
