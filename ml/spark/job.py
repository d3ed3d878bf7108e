"""The program that smspark-submit runs on the cluster's primary machine: `job.py STEP ARGS`."""

from __future__ import annotations

import sys
from importlib import import_module

from ml.spark.spark_cluster import connect


def main(step: str, arguments: list[str]) -> int:
    """Runs ml.spark.STEP; returns its exit code."""
    with connect() as cluster:
        code: int = import_module(f"ml.spark.{step}").main(cluster, arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
