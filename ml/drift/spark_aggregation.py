"""Reduces a window's traffic and labels to counts with a SageMaker processing job on Spark (ml.spark.drift)."""

from __future__ import annotations

import json
from typing import Any

from ml.aws import s3_objects
from ml.aws.capture.summary_request import SUMMARY, UNREADABLE
from ml.aws.pipeline.image import spark_image_uri
from ml.drift import counting_job
from ml.drift.counting_job import Counted, Program
from ml.model.drift import detector

PROGRAM = Program(
    image=spark_image_uri,
    counting="spark",
    arguments=("spark", "drift"),
    sharded=False,  # an executor may read any part of the inputs
    results=lambda _: (SUMMARY,),
    network={"EnableInterContainerTrafficEncryption": True},  # machines of a cluster talk to each other
)


def read(job: Counted) -> tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]:
    """What `traffic_aggregation.read` returns, from the files of a job.

    Raises:
        CloudError, DataError: S3 cannot be read.
    """
    bucket = job.request.bucket
    found = json.loads(s3_objects.read(f"s3://{bucket}/{job.prefix}{SUMMARY}"))
    if found["counts"]["traffic"]["unreadable_lines"]:
        counting_job.store_dead_letters(bucket, f"{job.prefix}{UNREADABLE}/")
    labels = found["label_summary"]
    return (
        detector.WindowSummary.from_dict(found["summary"]),
        detector.LabelSummary.from_dict(labels) if labels is not None else None,
        found["counts"],
    )
