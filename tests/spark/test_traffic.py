"""Counts of a window do not depend on a lost executor, nor on how many there are.

The environment is `.venv-spark` (`make spark`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ml.aws.capture.summary_request import SUMMARY
from ml.spark import drift
from ml.spark.cluster import OneProcess
from tests.harness.aws import moto_server
from tests.spark import captured_window
from tests.spark.submitted import submit
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
ATTEMPTS = 25_000
"""Spark starts meanwhile: pytest's timeout ends the test sooner."""


def counted(folder: Path, base: Path, sha256: str) -> dict[str, Any]:
    """What two executors count below `base`, of which one is ended when it holds counted parts."""
    signals = folder / "signals"
    signals.mkdir(parents=True)

    def computed() -> list[int]:
        return [int(file.read_text()) for file in signals.glob("computed-*") if file.suffix != ".part"]

    with submit("lost_executor_drift_program.py", str(base), sha256, str(signals), folder=folder) as program:
        try:
            wait_until(lambda: (signals / "waiting").exists() or program.poll() is not None, ATTEMPTS)
            assert program.poll() is None, (folder / "errors").read_text()[-2_000:]
            before = computed()
            os.kill(before[0], signal.SIGKILL)
            (signals / "go").touch()
            code = program.wait()
        finally:
            program.kill()
    assert code == 0, (folder / "errors").read_text()[-2_000:]
    assert len(computed()) - len(before) >= before.count(before[0]), "what an executor held is counted again"
    found: dict[str, Any] = json.loads((base / "summary" / SUMMARY).read_text())
    return found


def test_lost_executor_changes_no_count(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it held is counted again from the captured objects; dead letters are written once."""
    moto_server.point_at(server, monkeypatch)
    bucket = moto_server.make_bucket(f"spark-{uuid4().hex}")
    captured_window.Traffic(bucket).lay()
    base = tmp_path / "processing"
    *_, sha256 = captured_window.laid(captured_window.requested(bucket), base)
    assert drift.main(OneProcess(), ["--base-dir", str(base), "--request-sha256", sha256]) == 0
    expected = json.loads((base / "summary" / SUMMARY).read_text())
    shutil.rmtree(base / "summary")
    assert counted(tmp_path / "cluster", base, sha256) == expected
