"""Counts a window's captured traffic and labels for the drift check, on a cluster.

Runs as a SageMaker processing job with the inputs `request`, `capture` and, if there are label files, `labels`, and
writes `summary`: what ml.drift.traffic_aggregation makes in one process, and the unreadable lines. Executors count
parts of the window, and join rows and labels in buckets of ids; the first machine adds the counts in order. No verdict
is made here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ml.aws.capture.captured_batches import CaptureCounts
from ml.aws.capture.dead_letter_writer import DEAD_LETTER_PREFIX, DeadLetterWriter
from ml.aws.capture.summary_request import SUMMARY, UNREADABLE, SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts, with_unexpected
from ml.aws.labels.label_counts import LabelCounts
from ml.aws.labels.maturity import Day
from ml.spark import traffic
from ml.spark.cluster import Cluster, Kept
from ml.spark.traffic import LabelFile, Part
from ml.steps import job_runner
from ml.steps.job_runner import StepFailed, log

BUCKET_ROWS = 1 << 19
"""Rows or labels of a bucket of ids: some 40 MB."""


def main(cluster: Cluster, arguments: list[str]) -> int:
    """Runs the step; returns the exit code."""
    parser = argparse.ArgumentParser(prog="drift", description="Count captured traffic and labels, on a cluster.")
    parser.add_argument("--base-dir", type=Path, required=True)
    parser.add_argument("--request-sha256", required=True, help="digest of request.json")
    options = parser.parse_args(arguments)
    base: Path = options.base_dir

    def step() -> None:
        count(cluster, traffic.read_request(base / "request", options.request_sha256), base)

    return job_runner.run(step, base.parent / "output" / "message")


def count(cluster: Cluster, request: SummaryRequest, base: Path) -> None:
    """Reads below `base`, writes `base`/summary.

    Raises:
        StepFailed: a captured object was replaced, or a label file has another schema or bad values.
    """
    capture, labels, target = base / "capture", base / "labels", base / "summary"
    for item in request.objects:
        if (capture / item.key).stat().st_size != item.bytes:
            raise StepFailed(f"s3://{request.bucket}/{item.key}: was replaced while the window was read; check again")
    for failure in cluster.each(partial(traffic.label_failure, labels, request.bucket), request.labels):
        if failure is not None:
            raise StepFailed(failure)
    parts = [Part(number=number, objects=objects) for number, objects in enumerate(request.parts())]
    files = [LabelFile(key=key) for key in request.labels]
    counted = cluster.keep(partial(traffic.count, request, capture), [*parts, *files])
    summed, counts, scored, without_id, unreadable = TrafficCounts.none(request.model), CaptureCounts(), 0, 0, 0
    for totals in counted.each(_totals):
        if totals is None:
            continue
        summed.merge(totals.summary, totals.others)
        counts.merge(totals.counts)
        scored, without_id = scored + totals.scored, without_id + totals.without_id
        unreadable += totals.unreadable
    log.info("%d rows in %d parts, %d of them scored and with an id", counts.rows, len(parts), scored)
    if unreadable:
        aside = _write_unreadable(counted, request.bucket, target / UNREADABLE)
        counts.unreadable_lines, counts.reasons, counts.kept_aside = aside.lines, dict(aside.reasons), aside.uris
    days, label_counts = _labels(cluster, request, counted, labels, scored)
    summary = label_counts.summary(days)
    repeated = scored - sum(day.rows for day in days)
    document = {
        "summary": with_unexpected(summed.summary, counts.schema).to_dict(),
        "label_summary": summary.to_dict() if summary is not None else None,
        "counts": {"traffic": counts.to_dict() | {"other_models": dict(summed.others)}}
        | label_counts.to_dict(days, repeated=repeated, without_id=without_id),
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / SUMMARY).write_text(json.dumps(document, allow_nan=False), "utf-8")


def _labels(
    cluster: Cluster, request: SummaryRequest, counted: Kept, labels: Path, scored: int
) -> tuple[tuple[Day, ...], LabelCounts]:
    """The days with scored rows, and the counts of the labelled rows of mature days."""
    known = sum(cluster.each(partial(_label_rows, labels), request.labels))
    buckets = max(request.instances, -(-max(scored, known) // BUCKET_ROWS))
    sent = counted.exchange(partial(traffic.by_id, request, labels, buckets), buckets)
    answered = sent.then(partial(traffic.answered, request))
    days = traffic.days_of(request, answered.each(_days_alone))
    mature = frozenset(number for number, day in days.items() if day.mature)
    return tuple(days.values()), reduce(add, answered.each(partial(traffic.label_counts, request, mature)))


def _days_alone(item: traffic.Answered) -> traffic.Answered:
    return replace(item, labelled=b"")


def _totals(item: Any) -> traffic.Totals | None:
    return None if isinstance(item, LabelFile) else item.totals


def _unreadable(item: Any) -> list[Any]:
    return [] if isinstance(item, LabelFile) else item.unreadable


def _label_rows(labels: Path, key: str) -> int:
    return int(pq.read_metadata(labels / key).num_rows)


def _write_unreadable(counted: Kept, bucket: str, folder: Path) -> DeadLetterWriter:
    """Writes the unreadable lines below `folder`, a part after the other, under the names of their dead letters."""
    root = f"s3://{bucket}/{DEAD_LETTER_PREFIX}/"

    def write(uri: str, content: bytes, _: str) -> None:
        file = folder / uri.removeprefix(root)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    writer = DeadLetterWriter(bucket, write)
    for found in counted.one_by_one(_unreadable):
        for unread in found:
            writer.add(unread)
    writer.flush()
    return writer
