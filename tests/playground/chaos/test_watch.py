"""The watched model under faults: labels are counted once, reports are whole, and one retrain is requested."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.aws.session import client
from ml.playground.chaos import captured_month
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.loop import Loop
from ml.playground.chaos.watch import Watch

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
_ERROR_IN_THE_REPORT = 14
"""A seed in which S3 fails after the verdict was stored and before the report is whole."""

_ERROR_AFTER_THE_REQUEST = 68
"""A seed in which GitHub fails after the request was pushed: the rerun asks whether a training was started."""


def test_rerun_completes_what_a_fault_has_left(tmp_path: Path) -> None:
    """The lake has the bytes of a run without faults, the request is on main once; a lost object would be named."""
    with ChaosEnvironment(ROOT, tmp_path, flush_seconds=captured_month.FLUSH_SECONDS) as environment:
        scene = Watch(environment)
        loop = Loop(environment, scene)
        result = loop.run(_ERROR_IN_THE_REPORT)
        assert result.met == ["aws error_after"]
        assert [(run.verb, bool(run.error)) for run in result.runs] == [
            ("labels collect", False),
            ("drift check", True),
            ("drift check", False),
            ("drift request", False),
        ]
        assert result.violations == []
        assert loop.run(_ERROR_IN_THE_REPORT).trace() == result.trace()
        asked = loop.run(_ERROR_AFTER_THE_REQUEST)
        assert [(run.verb, bool(run.error)) for run in asked.runs[-2:]] == [
            ("drift request", True),
            ("drift request", False),
        ]
        assert asked.violations == []
        [page] = [key for key in _keys(environment, "monitoring/") if "202604" in key and key.endswith("report.html")]
        client("s3").delete_object(Bucket=environment.bucket, Key=page)
        assert scene.violations() == [f"{page} is missing"]


def _keys(environment: ChaosEnvironment, prefix: str) -> list[str]:
    listed = client("s3").list_objects_v2(Bucket=environment.bucket, Prefix=prefix)
    return [item["Key"] for item in listed["Contents"]]
