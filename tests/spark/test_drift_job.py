"""A drift check counts on Spark 3.5 as in one process, with the roles of infra/, on the AWS emulator.

The environment is `.venv-spark` (`make spark`); the tests fail where it or Java is missing. They need no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ml.errors import CloudError, ConfigError
from tests.spark.checked_platform import Platform, checked_platform

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]
SINGLE: dict[str, Any] = {"engine": "single"}
CLUSTER: dict[str, Any] = {"instance_type": "ml.m5.xlarge", "volume_gb": 30, "max_runtime_minutes": 30}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The account, as drift.yml's role sees it."""
    with checked_platform(tmp_path_factory.mktemp("drift")) as made:
        yield made


def test_counts_are_those_of_one_process(platform: Platform) -> None:
    """Counts, verdict and report with one executor and with two.

    A check of the same input, as after one that was cut off, takes the result of the job that has completed."""
    expected, page = platform.check(SINGLE)
    assert expected["traffic"]["kept_aside"]
    for instances in (1, 2):
        found, again = platform.check({"engine": "spark", "instances": instances, **CLUSTER})
        job = found.pop("job")
        assert job.startswith("fraudops-drift-2026030100-")
        assert found == expected
        assert again == page
    started = platform.processing_jobs()
    found, again = platform.check({"engine": "spark", "instances": 2, **CLUSTER})
    assert (found.pop("job"), found, again) == (job, expected, page)
    assert platform.processing_jobs() == started


def test_failed_job_fails_the_check_with_its_reason(platform: Platform) -> None:
    """A label file that no process accepts; no verdict is stored."""
    key = "labels/late-broken/labels.parquet"
    platform.cloud.client("s3").put_object(Bucket=platform.bucket, Key=key, Body=b"no Parquet file")
    try:
        with pytest.raises(CloudError, match=f"is Failed: .*{key}: is not a file of event_id, label and known_at"):
            platform.check({"engine": "spark", "instances": 1, **CLUSTER})
    finally:
        platform.cloud.client("s3").delete_object(Bucket=platform.bucket, Key=key)


def test_window_beyond_the_volumes_is_refused_before_a_job_starts(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every instance downloads the window, so the error says how much it needs."""
    monkeypatch.setattr("ml.drift.counting_job._FILLED", 1e-9)
    with pytest.raises(ConfigError, match=r"drift.yaml: compute.volume_gb must be at least \d+ for this window"):
        platform.check({"engine": "spark", "instances": 1, **CLUSTER})
