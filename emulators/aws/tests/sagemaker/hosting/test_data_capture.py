"""Captured traffic in S3: SageMaker's layout, schema and encodings, sampled, and never lost on the way."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from aws_resources import ask, capture_config, configuration, endpoint, settle, unique, until
from local_aws.sagemaker.hosting.data_capture import Capture, Exchange, Settings
from local_aws.server import LocalCloud

TYPES: dict[str, Any] = {
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
}


def lines(cloud: LocalCloud, bucket: str) -> list[dict[str, Any]]:
    """Every captured record of a bucket."""
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def bucket_of(cloud: LocalCloud) -> str:
    """A new bucket."""
    name = unique("captured")
    cloud.client("s3").create_bucket(Bucket=name)
    return name


def test_a_request_and_its_answer_land_in_sagemakers_layout_and_schema(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key has endpoint, variant and the hour of the one clock; the record has both bodies and the caller's id."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T06:30:00Z")
    bucket = bucket_of(cloud)
    name = endpoint(cloud, capture=capture_config(f"s3://{bucket}/capture", **TYPES), VERSION="3")
    ask(cloud, name, "1,2\n", InferenceId="case-1", CustomAttributes="shop=7")
    cloud.flush()
    [item] = cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert re.fullmatch(rf"capture/{name}/AllTraffic/2026/03/01/06/[0-9a-f-]{{36}}\.jsonl", item["Key"])
    [record] = lines(cloud, bucket)
    assert record["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv", "mode": "INPUT", "data": "1,2\n", "encoding": "CSV",
    }  # fmt: skip
    assert record["captureData"]["endpointOutput"]["data"] == "3:text/csv:1,2\n"
    metadata = record["eventMetadata"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("case-1", ["shop=7"])
    assert metadata["inferenceTime"] == "2026-03-01T06:30:00Z"
    assert record["eventVersion"] == "0"


def test_without_content_types_and_for_other_types_the_data_is_base64(cloud: LocalCloud) -> None:
    """Text is kept as text only for the types that the configuration names; what is no UTF-8 never is."""
    bucket = bucket_of(cloud)
    plain = endpoint(cloud, capture=capture_config(f"s3://{bucket}/a", modes=("Input",)))
    typed = endpoint(cloud, capture=capture_config(f"s3://{bucket}/b", modes=("Input",), **TYPES))
    ask(cloud, plain, "1,2")
    ask(cloud, typed, b"\xff\xfe", ContentType="text/csv; charset=latin-1")
    ask(cloud, typed, '{"a": 1}', ContentType="application/json; charset=utf-8")
    cloud.flush()
    found = [record["captureData"] for record in lines(cloud, bucket)]
    assert all("endpointOutput" not in data for data in found)
    parts = sorted((data["endpointInput"]["encoding"], data["endpointInput"]["data"]) for data in found)
    assert parts == sorted(
        [("BASE64", base64.b64encode(b"1,2").decode()), ("BASE64", base64.b64encode(b"\xff\xfe").decode()),
         ("JSON", '{"a": 1}')]
    )  # fmt: skip


def test_capture_reaches_s3_by_itself_and_at_once_when_the_endpoint_changes(cloud: LocalCloud) -> None:
    """A reader who only polls S3 finds every record, also those of a fleet that was replaced."""
    bucket = bucket_of(cloud)
    name = endpoint(cloud, capture=capture_config(f"s3://{bucket}/capture", **TYPES))
    for row in range(20):
        ask(cloud, name, f"{row}")
    until(lambda: len(lines(cloud, bucket)) == 20)
    ask(cloud, name, "20")
    update = configuration(cloud, capture=capture_config(f"s3://{bucket}/capture", percent=0))
    cloud.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=update)
    assert settle(cloud, name) == "InService"
    ask(cloud, name, "never")
    cloud.flush()
    rows = {record["captureData"]["endpointInput"]["data"] for record in lines(cloud, bucket)}
    assert rows == {str(row) for row in range(21)}


class Store:
    """Stands for S3 where a test has to make it fail."""

    def __init__(self) -> None:
        self.failures = 0
        self.objects: list[dict[str, Any]] = []

    def put_object(self, **request: Any) -> None:
        """Fails as often as it is told to."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no S3 now")
        self.objects.append(request)


def exchange(number: int) -> Exchange:
    """One request."""
    return Exchange(
        endpoint="e",
        variant="v",
        sent=str(number).encode(),
        sent_type="text/csv",
        answered=b"",
        answered_type="text/csv",
        inference_id=None,
        custom_attributes=None,
    )


def settings(percent: float) -> Settings:
    """What is captured: this share of the inputs."""
    found = Settings.of(capture_config("s3://b/c", modes=("Input",), **TYPES) | {"InitialSamplingPercentage": percent})
    assert found is not None
    return found


def test_sampling_takes_its_share_and_the_same_requests_for_the_same_seed() -> None:
    """At 30 % about a third of many requests is kept, and a second run keeps the same ones."""
    runs = []
    for _ in range(2):
        store = Store()
        capture = Capture(lambda _, s=store: s, flush_seconds=60, seed=5)  # type: ignore[misc] # bound early on purpose
        for number in range(2_000):
            capture.record(settings(30), exchange(number))
        capture.close()
        runs.append([json.loads(line)["captureData"] for put in store.objects for line in put["Body"].splitlines()])
    assert runs[0] == runs[1]
    assert 520 < len(runs[0]) < 680


def test_a_write_that_fails_is_tried_again() -> None:
    """Records stay in memory until S3 takes them."""
    store = Store()
    store.failures = 3
    capture = Capture(lambda _: store, flush_seconds=0.01)
    capture.record(settings(100), exchange(1))
    until(lambda: store.objects)
    capture.close()
    assert sum(put["Body"].count(b"\n") for put in store.objects) == 1


def test_capture_that_is_not_enabled_captures_nothing() -> None:
    """A configuration without EnableCapture has no settings."""
    assert Settings.of({}) is None
    assert Settings.of(capture_config("s3://b/c") | {"EnableCapture": False}) is None
