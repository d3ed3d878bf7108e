"""Captured traffic in S3: layout, schema, encodings, sampling and retries."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import Any

from aws_resources import (
    ROLE,
    capture_config,
    create_endpoint,
    create_endpoint_config,
    invoke_endpoint,
    unique_name,
    wait_until,
    wait_until_settled,
)
from local_aws.clock import Clock
from local_aws.sagemaker.hosting.data_capture import CapturedInvocation, CaptureSettings, DataCapture
from local_aws.server import LocalAws

TYPES: dict[str, Any] = {
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
}


def lines(aws: LocalAws, bucket: str) -> list[dict[str, Any]]:
    """Every captured record of a bucket."""
    s3 = aws.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def bucket_of(aws: LocalAws) -> str:
    """A new bucket."""
    name = unique_name("captured")
    aws.client("s3").create_bucket(Bucket=name)
    return name


def test_captured_record_has_sagemakers_layout_and_schema(aws: LocalAws, simulated_time: datetime) -> None:
    """The key has endpoint, variant and the clock's hour; the record has both bodies and the caller's id."""
    bucket = bucket_of(aws)
    name = create_endpoint(aws, capture=capture_config(f"s3://{bucket}/capture", **TYPES), VERSION="3")
    invoke_endpoint(aws, name, "1,2\n", InferenceId="case-1", CustomAttributes="shop=7")
    aws.flush()
    [item] = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert re.fullmatch(rf"capture/{name}/AllTraffic/2026/03/01/06/[0-9a-f-]{{36}}\.jsonl", item["Key"])
    [record] = lines(aws, bucket)
    assert record["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv", "mode": "INPUT", "data": "1,2\n", "encoding": "CSV",
    }  # fmt: skip
    assert record["captureData"]["endpointOutput"]["data"] == "3:text/csv:1,2\n"
    metadata = record["eventMetadata"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("case-1", ["shop=7"])
    assert metadata["inferenceTime"] == "2026-03-01T06:30:00Z"
    assert record["eventVersion"] == "0"


def test_other_content_types_are_captured_as_base64(aws: LocalAws) -> None:
    """Only the configured types are stored as text, and only if they are valid UTF-8."""
    bucket = bucket_of(aws)
    plain = create_endpoint(aws, capture=capture_config(f"s3://{bucket}/a", modes=("Input",)))
    typed = create_endpoint(aws, capture=capture_config(f"s3://{bucket}/b", modes=("Input",), **TYPES))
    invoke_endpoint(aws, plain, "1,2")
    invoke_endpoint(aws, typed, b"\xff\xfe", ContentType="text/csv; charset=latin-1")
    invoke_endpoint(aws, typed, '{"a": 1}', ContentType="application/json; charset=utf-8")
    aws.flush()
    found = [record["captureData"] for record in lines(aws, bucket)]
    assert all("endpointOutput" not in data for data in found)
    parts = sorted((data["endpointInput"]["encoding"], data["endpointInput"]["data"]) for data in found)
    assert parts == sorted(
        [("BASE64", base64.b64encode(b"1,2").decode()), ("BASE64", base64.b64encode(b"\xff\xfe").decode()),
         ("JSON", '{"a": 1}')]
    )  # fmt: skip


def test_capture_is_written_periodically_and_on_endpoint_changes(aws: LocalAws) -> None:
    """S3 gets every record, including those of a replaced fleet."""
    bucket = bucket_of(aws)
    name = create_endpoint(aws, capture=capture_config(f"s3://{bucket}/capture", **TYPES))
    for row in range(20):
        invoke_endpoint(aws, name, f"{row}")
    wait_until(lambda: len(lines(aws, bucket)) == 20)
    invoke_endpoint(aws, name, "20")
    update = create_endpoint_config(aws, capture=capture_config(f"s3://{bucket}/capture", percent=0))
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=update)
    assert wait_until_settled(aws, name) == "InService"
    invoke_endpoint(aws, name, "never")
    aws.flush()
    rows = {record["captureData"]["endpointInput"]["data"] for record in lines(aws, bucket)}
    assert rows == {str(row) for row in range(21)}


class Store:
    """An S3 client that can fail."""

    def __init__(self) -> None:
        self.failures = 0
        self.objects: list[dict[str, Any]] = []

    def put_object(self, **request: Any) -> None:
        """Fails `failures` times."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no S3 now")
        self.objects.append(request)


def exchange(number: int) -> CapturedInvocation:
    """One request."""
    return CapturedInvocation(
        endpoint="e",
        variant="v",
        request_body=str(number).encode(),
        request_type="text/csv",
        response_body=b"",
        response_type="text/csv",
        inference_id=None,
        custom_attributes=None,
    )


def settings(percent: float) -> CaptureSettings:
    """Settings that capture this percentage of the inputs."""
    configuration = capture_config("s3://b/c", modes=("Input",), **TYPES) | {"InitialSamplingPercentage": percent}
    found = CaptureSettings.from_config(configuration, role_arn=ROLE)
    assert found is not None
    return found


def test_sampling_is_repeatable_by_seed() -> None:
    """At 30 % about a third of many requests is kept, and a second run keeps the same ones."""
    runs = []
    for _ in range(2):
        store = Store()
        capture = DataCapture(lambda *_, s=store: s, Clock(), flush_seconds=60, seed=5)  # bound early on purpose
        for number in range(2_000):
            capture.record(settings(30), exchange(number))
        capture.close()
        runs.append([json.loads(line)["captureData"] for put in store.objects for line in put["Body"].splitlines()])
    assert runs[0] == runs[1]
    assert 520 < len(runs[0]) < 680


def test_failed_capture_write_is_retried() -> None:
    """Records stay in memory until they are written."""
    store = Store()
    store.failures = 3
    capture = DataCapture(lambda *_: store, Clock(), flush_seconds=0.01)
    capture.record(settings(100), exchange(1))
    wait_until(lambda: store.objects)
    capture.close()
    assert sum(put["Body"].count(b"\n") for put in store.objects) == 1


def test_disabled_capture_has_no_settings() -> None:
    """A configuration without EnableCapture has no settings."""
    for configuration in ({}, capture_config("s3://b/c") | {"EnableCapture": False}):
        assert CaptureSettings.from_config(configuration, role_arn=ROLE) is None
