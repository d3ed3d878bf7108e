"""Orders, outcomes and the history of deployments in a bucket of moto."""

from __future__ import annotations

import json

import pytest

from ml import config
from ml.aws import deployment_records
from ml.aws.session import client
from ml.errors import CloudError
from tests.harness.aws import moto_server
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import SERVING, record


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty lake."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def answer(identifier: str, outcome: str = "created", desired: str | None = "order-1") -> None:
    """An outcome as the deploy function writes it."""
    document = {
        "schema": 1,
        "event_id": identifier,
        "model_package_arn": record(7).model_package_arn,
        "outcome": outcome,
        "code": outcome,
        "reason": "because",
        "desired": desired,
        "endpoint": "fraudops-production",
        "endpoint_config": "c",
        "at": "2026-03-01T00:00:00Z",
    }
    client("s3").put_object(Bucket="lake", Key=f"deploy/outcomes/{identifier}.json", Body=json.dumps(document))


def test_order_has_the_values_of_git() -> None:
    """Package, digest, container, endpoint, instance, capture, roll-out and commit."""
    serving = config.parse(SERVING.replace("null", "7"), config.SERVING, config.ServingFile)
    deployment_records.write_order(
        "lake", deployment_records.order("order-1", record(7), serving, commit="c" * 40, serving_sha256="d" * 64)
    )
    document = json.loads(client("s3").get_object(Bucket="lake", Key="deploy/desired.json")["Body"].read())
    assert document["model_package_arn"] == record(7).model_package_arn
    assert document["artifact_sha256"] == record(7).artifact.sha256
    assert document["container"] == {"image": "image:1.9-0", "environment": {"SAGEMAKER_PROGRAM": "inference.py"}}
    assert document["instance"] == {"type": "ml.m5.large", "count": 1}
    assert document["capture"] == {"sampling_percentage": 100}
    assert (document["schema"], document["id"], document["commit"]) == (1, "order-1", "c" * 40)


def test_only_answers_from_now_on_are_new() -> None:
    """Outcomes of an earlier deployment are skipped; each new one is returned once."""
    answer("old")
    answers = deployment_records.Answers("lake")
    assert answers.new() == []
    answer("one")
    answer("two", "refused", None)
    assert {found.event_id for found in answers.new()} == {"one", "two"}
    assert answers.new() == []


def test_overwritten_answer_is_new() -> None:
    """An object is identified by key and ETag, not by the key alone."""
    answer("one")
    answers = deployment_records.Answers("lake")
    answer("one", "unchanged", "order-2")
    (found,) = answers.new()
    assert (found.outcome, found.desired, found.accepted) == ("unchanged", "order-2", True)


def test_history_keeps_everything() -> None:
    """Recorded deployments are read back equal, oldest first, with time and approval in the key."""
    first, second = finished(1, "2026-03-01T00:00:00Z"), finished(2, "2026-03-02T00:00:00Z", smoke=None)
    assert deployment_records.record("lake", second) == "s3://lake/deploy/history/20260302T000000Z-0002.json"
    assert deployment_records.history("lake") == [second]
    moto_server.make_bucket("other")
    for item in (first, second):
        deployment_records.record("other", item)
    assert deployment_records.history("other") == [first, second]


@pytest.mark.parametrize("at", ["2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z"])
def test_clock_that_stands_or_goes_back_does_not_reorder_the_history(at: str) -> None:
    """The order is that of recording, also if simulated time stands still or goes back."""
    deployment_records.record("lake", finished(2, "2026-03-01T00:00:00Z"))
    deployment_records.record("lake", finished(1, at))
    assert [item.approval for item in deployment_records.history("lake")] == [2, 1]


def test_object_of_another_format_is_an_error() -> None:
    """The error names the object."""
    client("s3").put_object(Bucket="lake", Key="deploy/history/20260301T000000Z-0001.json", Body=b'{"schema": 9}')
    with pytest.raises(CloudError, match=r"20260301T000000Z-0001\.json is not in the form"):
        deployment_records.history("lake")
