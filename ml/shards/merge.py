"""Merges what the instances of a job have counted: adds their counts, and joins their rows with their labels by bucket.

Runs in the workflow's process. Memory does not grow with the number of instances or of buckets: the counts of eight
instances at most are read ahead, two buckets are joined at a time, on disk, and a bucket's file of one instance is in
memory at a time. The result is that of one process (`ml.drift.traffic_aggregation`) to the last bit. Calls no service
and makes no verdict.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.aws.capture.captured_batches import CaptureCounts
from ml.aws.capture.dead_letter_writer import MAX_URIS
from ml.aws.capture.summary_request import SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts, with_unexpected
from ml.aws.labels.join_tables import JoinTables, LabelledBatch
from ml.aws.labels.label_counts import LabelCounts
from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.window_counts import WindowSummary
from ml.shards.instance_files import IncompleteFiles, InstanceFiles, Read
from ml.shards.read_ahead import read_ahead
from ml.spark import traffic
from ml.spark.traffic import Answered

_AT_ONCE = 2
"""Buckets that are read and joined at the same time, so that the download of one fills the wait for another."""
_BATCH_ROWS = 65_536
_EPOCH = date(1970, 1, 1)

Labels = Callable[[int], Iterable[pa.Table]]
"""The labels of a bucket. It is called from several threads."""
LabelsOf = Callable[[int], Labels]
"""The labels in so many buckets."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What all instances have counted; `counts` as `traffic_aggregation.read` returns them."""

    summary: WindowSummary
    label_summary: LabelSummary | None
    counts: dict[str, Any]


def merge(request: SummaryRequest, names: Iterable[str], read: Read, *, labels: LabelsOf | None = None) -> Merged:
    """The counts of the window.

    Args:
        names: the instances' files, each with the name of the instance in front: HOST/counts.json and so on.
        read: the content of such a file.
        labels: replaces the labels that the instances have read (`new_labels`).

    Raises:
        OtherVersion: the files have another form than this code writes.
        IncompleteFiles: a file of an instance is missing, is one too many, has another size or was not read, the rows
            are not as many as were counted, or an object or label file was not counted exactly once.
    """
    files = InstanceFiles(request, names, read)
    summed, counts, aside = TrafficCounts.none(request.model), CaptureCounts(), list[tuple[int, str]]()
    scored = without_id = 0
    for found in files.counts():
        summed.merge(WindowSummary.from_dict(found["summary"]), found["others"])
        counts.merge(CaptureCounts.from_dict(found["counts"]))
        scored, without_id = scored + found["scored"], without_id + found["without_id"]
        aside = sorted([*aside, *((place, uri) for place, uri in found["unreadable"])], key=_place)[:MAX_URIS]
    counts.kept_aside = [uri for _, uri in aside]
    known = partial(files.tables, traffic.LABELS) if labels is None else labels(files.buckets)
    call = partial(_joined, request, partial(files.tables, traffic.ROWS), known)
    by_day: dict[int, Counter[int]] = {}
    label_counts: dict[int, LabelCounts] = {}
    rows_read = 0
    for count, days, labelled in read_ahead(call, range(files.buckets), at_once=_AT_ONCE):
        rows_read += count
        for number, *numbers in days:
            by_day.setdefault(number, Counter()).update(dict(enumerate(numbers)))
        for number, found_labels in labelled.items():
            label_counts[number] = label_counts[number] + found_labels if number in label_counts else found_labels
    for kind in (traffic.ROWS,) if labels is not None else (traffic.ROWS, traffic.LABELS):
        files.check_read(kind)
    if rows_read != scored:
        raise IncompleteFiles(f"the instances counted {scored:,} scored rows, and their files have {rows_read:,}")
    rows = [(number, found[0], found[1], found[2]) for number, found in by_day.items()]
    days_ = traffic.days_of(request, [Answered(days=rows, labelled=b"")])
    mature = (label_counts[number] for number, day in days_.items() if day.mature and number in label_counts)
    outcomes, every = reduce(add, mature, LabelCounts.of(request.model, [])), tuple(days_.values())
    return Merged(
        summary=with_unexpected(summed.summary, counts.schema),
        label_summary=outcomes.summary(every),
        counts={"traffic": counts.to_dict() | {"other_models": dict(summed.others)}}
        | outcomes.to_dict(every, repeated=scored - sum(day.rows for day in every), without_id=without_id),
    )


def _place(unreadable: tuple[int, str]) -> int:
    return unreadable[0]


def _joined(
    request: SummaryRequest, rows: Labels, labels: Labels, bucket: int
) -> tuple[int, list[tuple[int, int, int, int]], dict[int, LabelCounts]]:
    """How many rows a bucket has, their days, and the counts of those labelled by day.

    Which days are mature is known later.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fraudops-merge-") as folder,
        JoinTables(Path(folder), request.keep) as made,
    ):
        made.start_labels()
        count = 0
        for table in rows(bucket):
            made.add_rows(table)
            count += len(table)
        for table in labels(bucket):
            made.add_labels(table)
        made.join(count)
        days = made.days()
        return (
            count,
            days,
            {
                number: LabelCounts.of(
                    request.model,
                    (
                        LabelledBatch.of(batch, request.keep)
                        for batch in made.labelled([_EPOCH + timedelta(days=number)], _BATCH_ROWS)
                    ),
                )
                for number, _, labelled, _ in days
                if labelled
            },
        )
