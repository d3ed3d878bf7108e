"""Reduces a window's traffic and labels to counts with a SageMaker processing job whose instances share the objects.

The instances decode and count their shares (ml.shards.count); this process joins their rows with their labels and adds
their counts (ml.shards.merge).
"""

from __future__ import annotations

from typing import Any

from ml.aws import s3_objects
from ml.aws.capture.summary_request import UNREADABLE, SummaryRequest
from ml.aws.pipeline.image import image_uri
from ml.drift import counting_job
from ml.drift.counting_job import Counted, Program
from ml.model.drift import detector
from ml.shards.bucket_files import COUNTS
from ml.shards.merge import merge


def _results(request: SummaryRequest) -> list[str]:
    """The files of every instance, by the names that SageMaker gives them."""
    return [f"algo-{number + 1}/{COUNTS}" for number in range(request.instances)]


PROGRAM = Program(image=image_uri, counting="shards", arguments=(), sharded=True, results=_results)


def read(job: Counted) -> tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]:
    """What `traffic_aggregation.read` returns, from the files of a job.

    Raises:
        CloudError: S3 cannot be read.
        DataError: an object was counted by no instance or by several.
    """
    bucket, prefix = job.request.bucket, job.prefix
    names = [key.removeprefix(prefix) for key in s3_objects.keys(bucket, prefix)]
    merged = merge(job.request, names, lambda name: s3_objects.read(f"s3://{bucket}/{prefix}{name}"))
    for host in sorted({name.partition("/")[0] for name in names if f"/{UNREADABLE}/" in name}):
        counting_job.store_dead_letters(bucket, f"{prefix}{host}/{UNREADABLE}/")
    return merged.summary, merged.label_summary, merged.counts
