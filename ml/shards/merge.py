"""Merges what the instances of a job have counted: adds their counts, and joins their rows with their labels by bucket.

Runs in the workflow's process, in bounded memory: two buckets at a time. The result is that of one process
(`ml.drift.traffic_aggregation`) to the last bit. Calls no service and makes no verdict.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Any

from ml.aws.capture.captured_batches import CaptureCounts
from ml.aws.capture.dead_letter_writer import MAX_URIS
from ml.aws.capture.summary_request import SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts, with_unexpected
from ml.aws.labels.label_counts import LabelCounts
from ml.errors import DataError
from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.window_counts import WindowSummary
from ml.shards import bucket_files
from ml.spark import traffic
from ml.spark.traffic import Answered

_AT_ONCE = 2
"""Buckets that are read and joined at the same time, so that the download of one fills the wait for another."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What all instances have counted; `counts` as `traffic_aggregation.read` returns them."""

    summary: WindowSummary
    label_summary: LabelSummary | None
    counts: dict[str, Any]


def merge(request: SummaryRequest, names: Iterable[str], read: Callable[[str], bytes]) -> Merged:
    """The counts of the window.

    Args:
        names: the instances' files, each with the name of the instance in front: HOST/counts.json and so on.
        read: the content of such a file. It is called from several threads.

    Raises:
        DataError: the instances have not counted every object and label file exactly once.
    """
    files: dict[str, list[str]] = {}
    for name in sorted(names):
        files.setdefault(name.partition("/")[2], []).append(name)
    documents = [json.loads(read(name)) for name in files.get(bucket_files.COUNTS, [])]
    _check_complete("captured objects", [item.key for item in request.objects], documents, "objects")
    _check_complete("label files", request.labels, documents, "labels")
    summed, counts, aside = TrafficCounts.none(request.model), CaptureCounts(), list[tuple[int, str]]()
    for found in sorted(documents, key=lambda document: min(document["objects"], default=-1)):
        summed.merge(WindowSummary.from_dict(found["summary"]), found["others"])
        counts.merge(CaptureCounts.from_dict(found["counts"]))
        aside += [(place, uri) for place, uri in found["unreadable"]]
    counts.kept_aside = [uri for _, uri in sorted(aside, key=lambda each: each[0])][:MAX_URIS]
    scored, without_id = (sum(document[name] for document in documents) for name in ("scored", "without_id"))
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="merge") as pool:
        joined = list(pool.map(partial(_joined, request, files, read), range(bucket_files.buckets(request))))
    days = traffic.days_of(request, (bucket for bucket, _ in joined))
    labelled = [found[number] for _, found in joined for number, day in days.items() if day.mature and number in found]
    label_counts = reduce(add, labelled, LabelCounts.of(request.model, []))
    every = tuple(days.values())
    return Merged(
        summary=with_unexpected(summed.summary, counts.schema),
        label_summary=label_counts.summary(every),
        counts={"traffic": counts.to_dict() | {"other_models": dict(summed.others)}}
        | label_counts.to_dict(every, repeated=scored - sum(day.rows for day in every), without_id=without_id),
    )


def _joined(
    request: SummaryRequest, files: Mapping[str, Sequence[str]], read: Callable[[str], bytes], bucket: int
) -> tuple[Answered, dict[int, LabelCounts]]:
    """The days of a bucket's rows, and the counts of those labelled by day: which days are mature is known later."""
    found = [
        (kind, piece)
        for kind in (traffic.ROWS, traffic.LABELS)
        for name in files.get(bucket_files.name(kind, bucket), [])
        for piece in bucket_files.pieces(read(name))
    ]
    joined = traffic.answered(request, found)
    by_day = {
        number: traffic.label_counts(request, frozenset([number]), joined)
        for number, _, labelled, _ in joined.days
        if labelled
    }
    return replace(joined, labelled=b""), by_day


def _check_complete(what: str, keys: Sequence[str], documents: Sequence[Mapping[str, Any]], name: str) -> None:
    counted = Counter(place for document in documents for place in document[name])
    for place, key in enumerate(keys):
        if counted[place] != 1:
            raise DataError(
                f"the instances counted {counted.total():,} of {len(keys):,} {what}, {key} {counted[place]} times"
            )
