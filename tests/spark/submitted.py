"""Starts a Spark application of the tests with worker processes on this machine; not a test itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.steps.step_runs import ROOT


def submit(
    program: str, *arguments: str, folder: Path, workers: int = 2, memory_megabytes: int = 1_024
) -> subprocess.Popen[str]:
    """Starts tests/spark/`program` on `workers` executors; they write below `folder`. Errors are in `folder`/errors."""
    python, home = ROOT / ".venv-spark/bin/python", folder / "home"
    [package] = python.parents[1].glob("lib/python*/site-packages/pyspark")
    home.mkdir()
    for entry in package.iterdir():  # workers write below SPARK_HOME
        (home / entry.name).symlink_to(entry)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
    }
    spark_submit, application = str(home / "bin/spark-submit"), str(ROOT / "tests/spark" / program)
    master, memory = f"local-cluster[{workers},1,{memory_megabytes}]", f"spark.executor.memory={memory_megabytes}m"
    command = [spark_submit, "--master", master, "--conf", memory, application]
    with (folder / "errors").open("w", encoding="utf-8") as errors:
        return subprocess.Popen(
            [*command, *arguments], env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, text=True
        )
