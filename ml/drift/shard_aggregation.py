"""Reduces a window's traffic and labels to counts with a SageMaker processing job whose instances share the objects.

The instances decode and count their shares (ml.shards.count); this process joins their rows with their labels and adds
their counts (ml.shards.merge). Where only labels have come since, it joins the rows of the earlier job with them
(ml.shards.new_labels).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.aws import s3_objects
from ml.aws.capture import reader
from ml.aws.capture.summary_request import UNREADABLE, SummaryRequest
from ml.aws.labels import join as labels
from ml.aws.pipeline.image import image_uri
from ml.console import note
from ml.drift import counting_job
from ml.drift.calendar import Window
from ml.drift.counting_job import Counted, Program
from ml.model.drift import detector
from ml.shards import new_labels
from ml.shards.instance_files import COUNTS, IncompleteFiles, InstanceFiles, OtherVersion, hosts
from ml.shards.merge import Merged, merge

if TYPE_CHECKING:
    from ml.config.settings_files import LabelLimits
    from ml.drift.approved_model import Model

Found = tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]


def _results(request: SummaryRequest) -> list[str]:
    """The counts of every instance, by the names that SageMaker gives them."""
    return [f"{host}/{COUNTS}" for host in hosts(request)]


def _problem(job: Counted) -> str | None:
    """Why the files of a job cannot be merged; None if they can."""
    listed = s3_objects.listed(job.request.bucket, job.prefix)
    sizes = {item.key.removeprefix(job.prefix): item.bytes for item in listed}
    files = InstanceFiles(job.request, sizes, _reader(job))
    try:
        for _ in files.counts():
            pass
        files.check_sizes(sizes)
    except (OtherVersion, IncompleteFiles) as error:
        return str(error)
    return None


PROGRAM = Program(image=image_uri, counting="shards", arguments=(), sharded=True, results=_results, problem=_problem)


def read(job: Counted) -> Found:
    """What `traffic_aggregation.read` returns, from the files of a job.

    Raises:
        CloudError: S3 cannot be read.
        DataError: a file of an instance is missing or is one too many, or an object was counted by no instance or by
            several.
    """
    bucket, prefix = job.request.bucket, job.prefix
    names = _names(job)
    merged = merge(job.request, names, _reader(job))
    for host in sorted({name.partition("/")[0] for name in names if f"/{UNREADABLE}/" in name}):
        counting_job.store_dead_letters(bucket, f"{prefix}{host}/{UNREADABLE}/")
    return _found(merged)


def read_again(
    name: str, bucket: str, endpoint: str, window: Window, *, model: Model, limits: LabelLimits, now: datetime
) -> Found | None:
    """What `traffic_aggregation.read` returns now, from the rows of the job `name` and the labels in the lake.

    None if that job did not count what is in the window now, or has left no rows that can be used: they have expired or
    are incomplete, or it was one of Spark or of another version. Then the traffic must be read.

    Raises:
        CloudError: S3 cannot be read.
        DataError: a label file has another schema.
    """
    job = counting_job.earlier(bucket, endpoint, name)
    if job is None:
        return None
    asked = (window, model.counted.to_dict(), tuple(reader.list_objects(bucket, endpoint, *window)))
    request = job.request
    if ((request.start, request.end), request.model.to_dict(), request.objects) != asked:
        return None
    names = _names(job)
    if not {*_results(request)} <= {*names}:
        return None
    note(f"joining labels with the rows that the processing job {name} has left")
    with tempfile.TemporaryDirectory(prefix="fraudops-labels-") as folder:
        try:
            merged = new_labels.join(
                request,
                names,
                _reader(job),
                labels.label_paths(bucket, window[0], Path(folder)),
                as_of=now,
                min_coverage=limits.min_coverage,
                min_age_days=limits.min_age_days,
            )
        except (OtherVersion, IncompleteFiles) as error:
            note(f"the rows of the processing job {name} cannot be used, so the traffic is read again: {error}")
            return None
    return _found(merged)


def _names(job: Counted) -> list[str]:
    return [key.removeprefix(job.prefix) for key in s3_objects.keys(job.request.bucket, job.prefix)]


def _reader(job: Counted) -> Callable[[str], bytes]:
    return lambda name: s3_objects.read(f"s3://{job.request.bucket}/{job.prefix}{name}")


def _found(merged: Merged) -> Found:
    return merged.summary, merged.label_summary, merged.counts
