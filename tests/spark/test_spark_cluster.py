"""Executors of Spark give what one process gives, in the same order."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.steps.step_runs import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]


def test_executors_give_what_one_process_gives(tmp_path: Path) -> None:
    """Of each item, of kept results, and of pieces that were sent to their buckets."""
    python = ROOT / ".venv-spark/bin/python"
    [package] = python.parents[1].glob("lib/python*/site-packages/pyspark")
    for entry in package.iterdir():  # workers write below SPARK_HOME
        (tmp_path / entry.name).symlink_to(entry)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SPARK_HOME": str(tmp_path),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
    }
    program = ROOT / "tests/spark/cluster_program.py"
    done = subprocess.run(
        [tmp_path / "bin/spark-submit", "--master", "local-cluster[2,1,1024]", program],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
