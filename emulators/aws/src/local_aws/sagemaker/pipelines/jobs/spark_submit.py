"""Runs a Spark application as `smspark-submit` does in SageMaker's Spark image, with worker processes on this machine.

Runs inside a job, with the job's Python, which has pyspark: `spark_submit.py RESOURCECONFIG [OPTIONS] APP ARGS`.
Imports the standard library and pyspark alone. Each instance of the job is a worker process with one core.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

WORKER_MEMORY_MB = 1_024


def main(arguments: list[str]) -> None:
    """Becomes `spark-submit`."""
    import pyspark

    resources, *submitted = arguments
    hosts = json.loads(Path(resources).read_text("utf-8"))["hosts"]
    home = _home(Path(pyspark.__file__).parent)
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONHASHSEED": "0",
    }
    master = f"local-cluster[{len(hosts)},1,{WORKER_MEMORY_MB}]"
    command = [str(home / "bin/spark-submit"), "--master", master, *submitted]
    os.execve(command[0], command, environment)  # noqa: S606 - the arguments are the job's, and there is no shell


def _home(package: Path) -> Path:
    """A folder of the job with links to Spark's files: workers write below SPARK_HOME, and other jobs use the package.

    It is in the job's virtual environment, so that it is removed with the job's folder whatever TMPDIR the job sets.
    """
    home = Path(tempfile.mkdtemp(prefix="spark-home-", dir=sys.prefix))
    for entry in package.iterdir():
        (home / entry.name).symlink_to(entry)
    return home


if __name__ == "__main__":
    main(sys.argv[1:])
