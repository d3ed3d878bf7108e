"""A drift check on instances that share the objects counts as in one process, with the roles of infra/.

The job runs on the AWS emulator.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws.capture import reader
from ml.aws.labels import store
from ml.errors import CloudError, ConfigError
from tests.harness.platform import permissions
from tests.shards.divided_window import in_turn
from tests.spark.captured_window import END, ENDPOINT, NOW, START
from tests.spark.checked_platform import Platform, checked_platform

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
SINGLE: dict[str, Any] = {"engine": "single"}
SHARDS: dict[str, Any] = {"instance_type": "ml.m5.xlarge", "volume_gb": 30, "max_runtime_minutes": 30}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The account, as drift.yml's role sees it."""
    with checked_platform(tmp_path_factory.mktemp("drift")) as made:
        yield made


def shards(instances: int) -> dict[str, Any]:
    """The settings of so many instances without Spark."""
    return {"engine": "single", "instances": instances, **SHARDS}


def objects_by_host(platform: Platform, job: str) -> dict[str, list[str]]:
    """The captured objects that each instance has counted."""
    s3, prefix = platform.cloud.client("s3"), f"monitoring/{ENDPOINT}/jobs/{job}/"
    with platform.signed_in():
        keys = [item.key for item in reader.list_objects(platform.bucket, ENDPOINT, START, END)]
    listed = s3.list_objects_v2(Bucket=platform.bucket, Prefix=f"{prefix}summary/")["Contents"]
    found = {}
    for item in listed:
        if item["Key"].endswith("/counts.json"):
            document = json.load(s3.get_object(Bucket=platform.bucket, Key=item["Key"])["Body"])
            host = item["Key"].removeprefix(f"{prefix}summary/").partition("/")[0]
            found[host] = [keys[place] for place in document["objects"]]
    return found


def test_counts_are_those_of_one_process(platform: Platform) -> None:
    """Counts, verdict and report on one instance and on three, which divide the objects; the role needs no other right.

    A check of the same input, as after one that was cut off, takes the result of the job that has completed."""
    expected, page = platform.check(SINGLE)
    assert expected["traffic"]["kept_aside"]
    for instances in (1, 3):
        found, again = platform.check(shards(instances))
        job = found.pop("job")
        assert job.startswith("fraudops-drift-2026030100-")
        assert found == expected
        assert again == page
        counted = objects_by_host(platform, job)
        every = sorted(key for share in counted.values() for key in share)
        assert [counted[f"algo-{number + 1}"] for number in range(instances)] == in_turn(every, instances)
    started = platform.processing_jobs()
    found, again = platform.check(shards(3))
    assert (found.pop("job"), found, again) == (job, expected, page)
    assert platform.processing_jobs() == started
    for owner, sid in permissions.statements_of(permissions.COUNT):
        assert sid in platform.used(owner), (owner, sid)


def test_incomplete_result_of_a_completed_job_is_counted_again(platform: Platform) -> None:
    """A file of rows is cut, then counts are: each time the next check starts a job with the next numbered name."""
    found, page = platform.check(shards(4))
    first, s3 = found.pop("job"), platform.cloud.client("s3")
    for number, job, name in ((2, first, "algo-1/rows/000000.arrows"), (3, f"{first}-2", "algo-2/counts.json")):
        key = f"monitoring/{ENDPOINT}/jobs/{job}/summary/{name}"
        content = s3.get_object(Bucket=platform.bucket, Key=key)["Body"].read()
        s3.put_object(Bucket=platform.bucket, Key=key, Body=content[:-1])
        again, same = platform.check(shards(4))
        assert again.pop("job") == f"{first}-{number}"
        assert (again, same) == (found, page)


def test_job_that_does_not_end_is_stopped(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the role. The next check of the same input starts a job with a numbered name.

    There are fewer objects than the hundred instances of the settings: those beyond are not started, nor paid for."""
    monkeypatch.setattr("ml.drift.counting_job._START_SECONDS", -60 * SHARDS["max_runtime_minutes"])
    with platform.signed_in():
        objects = len([*reader.list_objects(platform.bucket, ENDPOINT, START, END)])
    names = []
    for _ in range(2):
        with pytest.raises(CloudError, match="has not ended after 0 minutes and was stopped") as caught:
            platform.check(shards(100))
        names.append(str(caught.value).split()[3])
    assert names[1] == f"{names[0]}-2"
    for name in names:
        job = platform.cloud.client("sagemaker").describe_processing_job(ProcessingJobName=name)
        assert job["ProcessingJobStatus"] in ("Stopping", "Stopped")
        assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == objects < 100


def test_failed_instance_fails_the_check_with_its_reason(platform: Platform) -> None:
    """A label file that no process accepts, which one of the instances has; no verdict is stored."""
    key = "labels/late-broken/labels.parquet"
    platform.cloud.client("s3").put_object(Bucket=platform.bucket, Key=key, Body=b"no Parquet file")
    try:
        with pytest.raises(CloudError, match=f"is Failed: .*{key}: is not a file of event_id, label and known_at"):
            platform.check(shards(2))
    finally:
        platform.cloud.client("s3").delete_object(Bucket=platform.bucket, Key=key)


def test_window_beyond_a_volume_is_refused_before_a_job_starts(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance downloads its share, so the error says how much the largest may be."""
    monkeypatch.setattr("ml.drift.counting_job._FILLED", 1e-9)
    with pytest.raises(ConfigError, match=r"volume_gb must be at least \d+ for this window .* downloads up to 0 GB"):
        platform.check(shards(2))


def test_new_labels_start_no_job_and_late_traffic_does(platform: Platform) -> None:
    """The check that new labels cause equals one from nothing, in one process; the role needs no other right."""
    first, _ = platform.check(shards(2))
    started, s3 = platform.processing_jobs(), platform.cloud.client("s3")
    moment = END - timedelta(hours=19)
    capture = f"capture/{ENDPOINT}/AllTraffic/{moment:%Y/%m/%d/%H}"
    ids = [f"{moment:%m%d%H}-{request}#{row}" for request in range(4) for row in range(20)]
    known = pa.array([NOW] * len(ids), pa.timestamp("us", "UTC"))
    file, labels = io.BytesIO(), pa.array([1] * len(ids), pa.int8())
    pq.write_table(pa.table([pa.array(ids), labels, known], schema=store.SCHEMA), file)
    try:
        s3.put_object(Bucket=platform.bucket, Key="labels/late-more/labels.parquet", Body=file.getvalue())
        found, page = platform.check(shards(2), keep=True)
        assert platform.processing_jobs() == started
        assert found["job"] == first["job"]
        assert found["label_summary"] != first["label_summary"]
        content = s3.get_object(Bucket=platform.bucket, Key=f"{capture}/0.jsonl")["Body"].read()
        s3.put_object(Bucket=platform.bucket, Key=f"{capture}/late.jsonl", Body=content)
        late, _ = platform.check(shards(2), keep=True)
        assert len(platform.processing_jobs()) == len(started) + 1
        assert late["summary"]["rows"] > found["summary"]["rows"]
        s3.delete_object(Bucket=platform.bucket, Key=f"{capture}/late.jsonl")
        expected, whole = platform.check(SINGLE)
        assert (found | {"job": None}, page) == (expected | {"job": None}, whole)
    finally:
        for key in ("labels/late-more/labels.parquet", f"{capture}/late.jsonl"):
            s3.delete_object(Bucket=platform.bucket, Key=key)
