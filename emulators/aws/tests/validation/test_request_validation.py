"""Requests that AWS refuses, in every protocol: refused before any handler, with AWS's code and message."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from aws_resources import ROLE, unique_name
from botocore.config import Config
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

JSON = "application/x-amz-json-1.1"


def unchecked(aws: LocalAws, service: str) -> Any:
    """A client that checks nothing itself."""
    environment = aws.environment()
    return boto3.client(
        service,
        region_name=aws.region,
        endpoint_url=aws.url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


def refusal(aws: LocalAws, service: str, operation: str, **parameters: Any) -> tuple[str, str]:
    """Code and message of the refusal of a call."""
    with pytest.raises(ClientError) as caught:
        getattr(unchecked(aws, service), operation)(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def post(aws: LocalAws, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer to a raw call of the JSON protocol."""
    status, answer = send(aws, service, body, {"X-Amz-Target": target, "Content-Type": JSON})
    return status, json.loads(answer)


def send(aws: LocalAws, service: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of the answer to a raw call."""
    key = aws.environment()["AWS_ACCESS_KEY_ID"]
    scope = f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=a, Signature=b"
    signed = {**headers, "Authorization": scope}
    request = urllib.request.Request(aws.url, data=body, headers=signed, method="POST")  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("name", [b"\xff", b"%FF", b"a%E2%82"])
def test_form_that_is_not_utf8_is_refused(aws: LocalAws, name: bytes) -> None:
    """Raw and percent-encoded bytes; the answer is an error of the query protocol, not the emulator's own failure."""
    body = b"Action=GetRole&Version=2010-05-08&RoleName=" + name
    status, answer = send(aws, "iam", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 400, answer
    assert b"<Code>MalformedInput</Code><Message>the request's form is not UTF-8" in answer


VARIANT = {"VariantName": "all", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
ONE = "1 validation error detected: Value"
FAILURE = "failed to satisfy constraint: Member must"
PATTERN = f"{FAILURE} satisfy regular expression pattern: "


@pytest.mark.parametrize(
    ("call", "parameters", "code", "message"),
    [
        pytest.param(
            "sagemaker.describe_pipeline", {"PipelineName": "a_b"}, "ValidationException",
            f"{ONE} 'a_b' at 'pipelineName' {PATTERN}",
            id="json-pattern",
        ),
        pytest.param(
            "sagemaker.create_model_package_group", {}, "ValidationException",
            f"{ONE} null at 'modelPackageGroupName' {FAILURE} not be null",
            id="json-required",
        ),
        pytest.param(
            "sagemaker.describe_model", {"ModelName": "a" * 64}, "ValidationException",
            f"{ONE} '{'a' * 64}' at 'modelName' {FAILURE} "
            "have length less than or equal to 63",
            id="json-length",
        ),
        pytest.param(
            "sagemaker.create_endpoint_config",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InstanceType": "ml.none"}]},
            "ValidationException",
            f"{ONE} 'ml.none' at 'productionVariants.1.member.instanceType' {FAILURE} "
            "satisfy enum value set: [ml.t2.medium, ",
            id="json-enumeration-in-a-list",
        ),
        pytest.param(
            "sagemaker.create_endpoint_config",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InitialInstanceCount": -1}]},
            "ValidationException",
            f"{ONE} '-1' at 'productionVariants.1.member.initialInstanceCount' {FAILURE} "
            "have value greater than or equal to 1",
            id="json-range",
        ),
        pytest.param(
            "sagemaker.create_endpoint_config", {"EndpointConfigName": "a_b", "ProductionVariants": []},
            "ValidationException",
            f"2 validation errors detected: Value 'a_b' at 'endpointConfigName' {PATTERN}",
            id="json-several",
        ),
        pytest.param(
            "sagemaker.create_model",
            {"ModelName": "m", "ExecutionRoleArn": ROLE,
             "PrimaryContainer": {"Image": "i", "Environment": {"a b": "1"}}},
            "ValidationException",
            f"{ONE} '{{a b=1}}' at 'primaryContainer.environment' failed to satisfy "
            "constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024",
            id="json-map-keys",
        ),
        pytest.param(
            "events.put_rule", {"Name": "a b", "EventPattern": "{}"}, "ValidationException",
            f"{ONE} 'a b' at 'name' {PATTERN}",
            id="events",
        ),
        pytest.param(
            "logs.create_log_group", {"logGroupName": "a b"}, "InvalidParameterException",
            f"{ONE} 'a b' at 'logGroupName' {PATTERN}",
            id="logs-code",
        ),
        pytest.param(
            "iam.create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}, "ValidationError",
            f"{ONE} 'a b' at 'roleName' {PATTERN}",
            id="query-pattern",
        ),
        pytest.param(
            "sts.assume_role", {"RoleArn": ROLE, "RoleSessionName": "session", "DurationSeconds": 1}, "ValidationError",
            f"{ONE} '1' at 'durationSeconds' {FAILURE} "
            "have value greater than or equal to 900",
            id="query-range",
        ),
        pytest.param(
            "cloudformation.create_stack", {"StackName": "1", "TemplateBody": "{}", "Capabilities": ["X"]},
            "ValidationError", "failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must satisfy enum value set: [CAPABILITY_IAM, ",
            id="query-list",
        ),
        pytest.param(
            "lambda.get_function", {"FunctionName": "a b"}, "ValidationException",
            f"{ONE} 'a b' at 'functionName' {PATTERN}",
            id="rest-json-path",
        ),
        pytest.param(
            "lambda.create_function", {"FunctionName": "f", "Role": ROLE, "Code": {}, "Timeout": 0},
            "ValidationException",
            f"{ONE} '0' at 'timeout' {FAILURE} have value greater than or equal to 1",
            id="rest-json-body",
        ),
        pytest.param(
            "lambda.list_functions", {"MaxItems": 100000}, "ValidationException",
            f"{ONE} '100000' at 'maxItems' {FAILURE} "
            "have value less than or equal to 10000",
            id="rest-json-query",
        ),
        pytest.param(
            "sagemaker-runtime.invoke_endpoint", {"EndpointName": "e", "Body": b"1", "TargetVariant": "a_b"},
            "ValidationError", f"{ONE} 'a_b' at 'targetVariant' {PATTERN}",
            id="rest-json-header",
        ),
        pytest.param(
            "s3.put_bucket_versioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "On"}}, "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
            id="rest-xml-body",
        ),
        pytest.param(
            "s3.put_object", {"Bucket": "b", "Key": "k", "StorageClass": "COLD"}, "InvalidArgument",
            f"{ONE} 'COLD' at 'storageClass' {FAILURE} satisfy enum value set: ",
            id="rest-xml-header",
        ),
    ],
)  # fmt: skip
def test_invalid_request_is_refused_in_awss_words(
    aws: LocalAws, call: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    """Each protocol, and each kind of constraint."""
    service, operation = call.split(".")
    found = refusal(aws, service, operation, **parameters)
    assert found[0] == code
    assert message in found[1]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{", "SerializationException", "the request's body is not JSON"),
        (b"[]", "SerializationException", "Start of structure or map expected"),
        (b'{"ModelName": 1}', "SerializationException", "NUMBER_VALUE can not be converted to a String"),
        (b'{"ModelName": ["m"]}', "SerializationException", "Start of list found where not expected"),
        (b'{"ModelName": "m", "Modelname": "m"}', "ValidationException", 'Unknown parameter in input: "Modelname"'),
    ],
)
def test_body_of_another_type_is_refused(aws: LocalAws, body: bytes, code: str, message: str) -> None:
    """Clients of AWS check types and names themselves; other senders may not."""
    status, answer = post(aws, "sagemaker", "SageMaker.DescribeModel", body)
    assert (status, answer["__type"]) == (400, code)
    assert message in answer["message"]


def test_unknown_member_of_a_structure_names_its_place(aws: LocalAws) -> None:
    """In lists too."""
    body = {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "Count": 1}]}
    _, answer = post(aws, "sagemaker", "SageMaker.CreateEndpointConfig", json.dumps(body).encode())
    assert 'Unknown parameter in input of productionVariants.1.member: "Count"' in answer["message"]


def test_refused_request_reaches_no_handler(aws: LocalAws) -> None:
    """moto would create the group."""
    name = unique_name("group") + "_"
    refusal(aws, "sagemaker", "create_model_package_group", ModelPackageGroupName=name)
    groups = aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert name not in [group["ModelPackageGroupName"] for group in groups]


def test_refused_request_is_logged(aws: LocalAws) -> None:
    """With its operation and the error."""
    refusal(aws, "sagemaker", "describe_pipeline", PipelineName="logged_")
    lines = [json.loads(line) for line in (aws.folder / "logs/calls.jsonl").read_text().splitlines()]
    assert any(
        (line["call"], line["status"], line.get("error")) == ("sagemaker:DescribePipeline", 400, "ValidationException")
        for line in lines
    )


def test_compressed_body_is_read(aws: LocalAws) -> None:
    """botocore compresses the body of PutMetricData from 10 KiB on; the metrics arrive, and a bad one is refused."""
    client, namespace = aws.client("cloudwatch"), unique_name("Metrics")
    data = [{"MetricName": f"metric-{number:04d}", "Value": 1.0, "Unit": "None"} for number in range(500)]
    client.put_metric_data(Namespace=namespace, MetricData=data)
    pages = client.get_paginator("list_metrics").paginate(Namespace=namespace)
    assert sum(len(page["Metrics"]) for page in pages) == 500
    wrong = [{**row, "Unit": "x"} for row in data]
    with pytest.raises(ClientError, match="validation error"):
        unchecked(aws, "cloudwatch").put_metric_data(Namespace=namespace, MetricData=wrong)


def test_compressed_body_that_is_not_gzip_is_refused(aws: LocalAws) -> None:
    """The header promises gzip, and the body is plain text."""
    scope = "AKIALOCALAWS00000000/20260101/us-east-1/sagemaker/aws4_request"
    headers = {
        "Content-Type": JSON,
        "Content-Encoding": "gzip",
        "X-Amz-Target": "SageMaker.ListPipelines",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}",
    }
    request = urllib.request.Request(aws.url, data=b"{}", headers=headers)  # noqa: S310 - the emulator's own address
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310 - the emulator's own address
    assert refused.value.code == 400
    assert json.loads(refused.value.read())["message"].startswith("the request's body is not gzip")
