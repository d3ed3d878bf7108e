"""A window without captured traffic starts no job; tests/shards and tests/spark run jobs."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from ml.config.compute import JobInstances
from ml.drift import counting_job, shard_aggregation
from tests.harness.aws import moto_server
from tests.spark import captured_window
from tests.spark.captured_window import END, ENDPOINT, LIMITS, NOW, START


def test_window_without_traffic_starts_no_job(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SageMaker refuses a job without input; the workflow's job counts nothing at once."""
    moto_server.point_at(server, monkeypatch)
    instances = JobInstances(
        engine="single", instances=2, instance_type="ml.m5.xlarge", volume_gb=30, max_runtime_minutes=30
    )
    found = counting_job.run(
        shard_aggregation.PROGRAM,
        moto_server.make_bucket(f"empty-{uuid4().hex}"),
        ENDPOINT,
        (START, END),
        model=captured_window.model(),
        limits=LIMITS,
        now=NOW,
        instances=instances,
        root=tmp_path,
    )
    assert found is None
