"""Counts a part of a window's captured objects on one of several machines, and cuts its rows into buckets of their ids.

The machines are executors of Spark (`ml.spark.drift`) or the instances of a job without it (`ml.shards`). The counts
and the rules are those of one machine: ml.aws.capture.traffic_counts and ml.aws.labels.join_tables. Failures are values
here, because an exception of an executor would reach the driver as the text of a traceback.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from ml.aws.capture.captured_batches import CaptureCounts, CapturedBatches
from ml.aws.capture.captured_lines import RANGE, Block, CapturedObject, whole_lines
from ml.aws.capture.decoder import UnreadableLine
from ml.aws.capture.summary_request import REQUEST, SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts
from ml.aws.labels.join_tables import JoinTables, LabelledBatch, scored_rows
from ml.aws.labels.label_counts import LabelCounts
from ml.aws.labels.maturity import Day, day_of
from ml.errors import DataError
from ml.model.drift.window_counts import WindowSummary
from ml.spark import raw_rows
from ml.steps import id_index, job_runner
from ml.steps.job_runner import StepFailed

ROWS, LABELS = "rows", "labels"
Piece = tuple[str, bytes]
_PLACES = 1 << 40  # rows of a part: those of the next part are at later places
_LABEL_ROWS = 1 << 18
_DAY = np.int64(86_400_000_000)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive captured objects; `number` is the part's place among the others."""

    number: int
    objects: tuple[CapturedObject, ...]


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A label file, of which nothing stays in memory."""

    key: str


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The counts of a part. `scored` are its rows with an id and a score."""

    summary: WindowSummary
    others: Counter[str]
    counts: CaptureCounts
    scored: int
    without_id: int
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A part: its counts, its scored rows in Arrow's form, and its unreadable lines."""

    totals: Totals
    rows: bytes
    unreadable: list[UnreadableLine]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A bucket's answered rows by day (number since 1970, rows, labelled, frauds), and those labelled."""

    days: list[tuple[int, int, int, int]]
    labelled: bytes


@dataclass
class _Aside:
    """Unreadable lines, without the blocks around them."""

    uris: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    found: list[UnreadableLine] = field(default_factory=list)

    def add(self, unread: UnreadableLine) -> None:
        self.found.append(replace(unread, block=replace(unread.block, data=b"")))

    def flush(self) -> None:
        """Nothing is pending: the driver writes the lines."""


def count(request: SummaryRequest, capture: Path, item: Part | LabelFile) -> Counted | LabelFile:
    """The counts of a part, whose objects are files below `capture`; a label file as it is."""
    return item if isinstance(item, LabelFile) else count_part(request, capture, item)


def count_part(request: SummaryRequest, capture: Path, item: Part) -> Counted:
    """The counts of a part, whose objects are files below `capture`."""
    aside, traffic = _Aside(), TrafficCounts.none(request.model)
    batches = CapturedBatches(
        item.objects,
        partial(_blocks, capture),
        aside,
        (request.start, request.end),
        inputs=request.model.reference.names,
        texts=request.model.texts,
    )
    first, without_id = item.number * _PLACES, 0
    tables: list[pa.Table] = []
    for batch in batches:
        without_id += batch.event_ids.null_count
        tables.append(scored_rows(traffic.add(batch), first=first, keep=request.keep))
        first += len(tables[-1])
    totals = Totals(
        summary=traffic.summary,
        others=traffic.others,
        counts=batches.counts,
        scored=sum(map(len, tables)),
        without_id=without_id,
        unreadable=len(aside.found),
    )
    rows = raw_rows.packed(pa.concat_tables(tables)) if tables else b""
    return Counted(totals=totals, rows=rows, unreadable=aside.found)


def read_request(folder: Path, sha256: str) -> SummaryRequest:
    """The request of a job. Raises StepFailed if it has another digest."""
    path = folder / REQUEST
    if (found := job_runner.file_sha256(path)) != sha256:
        raise StepFailed(f"{path}: expected sha256 {sha256}, found {found}: the object was replaced; check again")
    return SummaryRequest.from_json(path.read_text("utf-8"))


def label_failure(labels: Path, bucket: str, key: str) -> str | None:
    """Why a label file cannot be used; None if it can."""
    with tempfile.TemporaryDirectory() as folder, JoinTables(Path(folder), ()) as tables:
        try:
            tables.check_label_file(labels / key, f"s3://{bucket}/{key}")
        except DataError as error:
            return str(error)
    return None


def by_id(
    request: SummaryRequest, labels: Path, buckets: int, item: Counted | LabelFile
) -> Iterator[tuple[int, Piece]]:
    """The scored rows of a part, or the labels of a file, by the bucket of their ids."""
    if isinstance(item, Counted):
        if item.rows:
            yield from _of_kind(ROWS, by_bucket(buckets, raw_rows.unpacked(item.rows)))
        return
    with tempfile.TemporaryDirectory() as folder, JoinTables(Path(folder), ()) as tables:
        tables.start_labels()
        tables.add_label_file(labels / item.key, f"s3://{request.bucket}/{item.key}", request.as_of)
        for table in tables.labels(_LABEL_ROWS):
            yield from _of_kind(LABELS, by_bucket(buckets, table))


def answered(request: SummaryRequest, bucket: list[Piece]) -> Answered:
    """One row per id of a bucket, its last answer, with its label."""
    with tempfile.TemporaryDirectory() as folder, JoinTables(Path(folder), request.keep) as tables:
        tables.start_labels()
        rows = 0
        for kind, content in bucket:
            table = raw_rows.unpacked(content)
            if kind == ROWS:
                tables.add_rows(table)
                rows += len(table)
            else:
                tables.add_labels(table)
        tables.join(rows)
        labelled = [*tables.labelled(None, _LABEL_ROWS)]
        packed = raw_rows.packed(pa.Table.from_batches(labelled)) if labelled else b""
        return Answered(days=tables.days(), labelled=packed)


def days_of(request: SummaryRequest, buckets: Iterable[Answered]) -> dict[int, Day]:
    """The days of all buckets' answered rows, by their number since 1970 and in order."""
    found: dict[int, Counter[int]] = {}
    for bucket in buckets:
        for number, *numbers in bucket.days:
            found.setdefault(number, Counter()).update(dict(enumerate(numbers)))
    return {
        number: day_of(
            number,
            *(found[number][place] for place in range(3)),
            as_of=request.as_of,
            min_coverage=request.min_coverage,
            min_age_days=request.min_age_days,
        )
        for number in sorted(found)
    }


def label_counts(request: SummaryRequest, mature: frozenset[int], bucket: Answered) -> LabelCounts:
    """The counts of a bucket's labelled rows on the days `mature`, numbers since 1970."""
    return LabelCounts.of(request.model, _of_days(request, mature, bucket.labelled))


def _of_days(request: SummaryRequest, mature: frozenset[int], content: bytes) -> Iterator[LabelledBatch]:
    if not content:
        return
    rows = raw_rows.unpacked(content)
    chosen = np.isin(rows["moment"].to_numpy() // _DAY, sorted(mature))
    for batch in rows.filter(pa.array(chosen)).to_batches():
        yield LabelledBatch.of(batch, request.keep)


def by_bucket(buckets: int, table: pa.Table) -> Iterator[tuple[int, bytes]]:
    """The rows of each bucket of a hash of their ids, in their order, in Arrow's form."""
    if not len(table):
        return
    ids = pa.chunked_array([table["id"].cast(pa.string()).combine_chunks()])
    numbers = (id_index.text_hashes(ids) % np.uint64(buckets)).astype(np.intp)
    yield from raw_rows.split(numbers, table)


def _of_kind(kind: str, pieces: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Piece]]:
    return ((bucket, (kind, content)) for bucket, content in pieces)


def _blocks(capture: Path, objects: Iterator[CapturedObject]) -> Iterator[Block]:
    """The lines of objects that SageMaker has downloaded."""
    return whole_lines(_ranges(capture, objects))


def _ranges(capture: Path, objects: Iterator[CapturedObject]) -> Iterator[tuple[CapturedObject, bytes]]:
    for item in objects:
        with (capture / item.key).open("rb") as file:
            while data := file.read(RANGE):
                yield item, data
