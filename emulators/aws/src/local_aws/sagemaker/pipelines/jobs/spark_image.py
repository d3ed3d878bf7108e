"""SageMaker's managed Spark 3.5 image on this machine: its environment, and the command `smspark-submit`.

The image runs Spark on YARN, with each of the job's instances as a worker. Here Spark starts worker processes of its
own, one for each instance, and executors in these (`local-cluster`). Source: src/smspark and spark/processing/3.5 of
github.com/aws/sagemaker-spark-container.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from pathlib import Path

from local_aws.sagemaker.pipelines.jobs.storage import CreateFault

PATTERN = "*/sagemaker-spark-processing:3.5-*"
ENVIRONMENT = ".venv-spark"
"""The folder of a virtual environment with pyspark 3.5, in the folder of the image map."""
COMMAND = "smspark-submit"
_SUBMIT = Path(__file__).with_name("spark_submit.py")


def matches(image: str) -> bool:
    """Whether `image` is the managed Spark image."""
    return fnmatch.fnmatchcase(image, PATTERN)


def interpreter(folder: Path) -> Path:
    """The Python of `folder`/.venv-spark.

    Raises:
        CreateFault: there is none.
    """
    python = folder / ENVIRONMENT / "bin/python"
    if not os.access(python, os.X_OK):
        raise CreateFault(
            f"jobs of the image {PATTERN} need pyspark 3.5 in {folder / ENVIRONMENT}, which does not exist: create it "
            f"there (in fraudops: make .venv-spark/stamp), or map the image to an interpreter in local-images.yaml"
        )
    return python


def add_command(python: Path, resources: str) -> None:
    """Adds `smspark-submit` beside the job's `python`; `resources` is the path of the job's resourceconfig.json."""
    launcher = python.with_name(COMMAND)
    launcher.write_text(f'#!/bin/sh\nexec "{python}" -P "{_SUBMIT}" "{resources}" "$@"\n', "utf-8")
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
