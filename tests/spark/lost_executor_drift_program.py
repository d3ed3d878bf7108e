"""A Spark application that counts a window, and stops until its test has ended an executor; not a test itself.

`lost_executor_drift_program.py BASE SHA256 SIGNALS` reads the job's inputs below BASE and writes its summary there. It
waits, as `lost_executor_program` does, when the parts are counted and before their rows are sent to the join.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ml.spark import drift, traffic
from ml.spark.spark_cluster import connect
from tests.spark.lost_executor_program import Stopping

if __name__ == "__main__":
    base, sha256, signals = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    with connect() as cluster:
        drift.count(Stopping(cluster, signals, 1), traffic.read_request(base / "request", sha256), base)
