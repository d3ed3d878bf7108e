"""Prepare step on Spark: what ml.steps.prepare writes, from rows that executors bring together, sort and compare.

Runs as a SageMaker processing job with the inputs `settings` and `dataset`, and writes `prepared`: the rows, the order
and the counts of one machine. The first machine writes the files, a partition after the other.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.model import run_kinds
from ml.model.run_kinds import RUN_KINDS, RunKind
from ml.model.stored_rows import BLOCK_ROWS
from ml.model.training_settings import Training
from ml.spark import order_statistics, raw_rows
from ml.spark.cluster import Cluster, Kept
from ml.spark.raw_rows import Failed, Joined, Lake
from ml.steps import (
    category_columns,
    duplicate_rows,
    id_index,
    job_runner,
    label_files,
    prepared_files,
    raw_transactions,
    training_set_listing,
)
from ml.steps import prepare as one_machine
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import ID, LABEL, TIME

PARTITION_ROWS = 1 << 18
"""Of the rows that are sent between machines: some 60 MB."""
Window = tuple[datetime | None, datetime | None]


def main(cluster: Cluster, arguments: list[str]) -> int:
    """Runs the step; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prepare", description="Split the lake's transactions by time, on a cluster.")
    parser.add_argument("--window-start", default="", help="first event time, included; '' leaves it open")
    parser.add_argument("--window-end", default="", help="end of event times, not included; '' leaves it open")
    parser.add_argument("--kind", required=True, choices=RUN_KINDS, help="the kind of the run")
    parser.add_argument("--base-dir", type=Path, required=True)
    parser.add_argument("--config-sha256", required=True, help="digest of settings.json")
    parser.add_argument("--data-sha256", required=True, help="digest of the listing of the data set's files")
    options = parser.parse_args(arguments)
    base: Path = options.base_dir

    def step() -> None:
        job_runner.verify_settings(base / "settings", options.config_sha256)
        window = one_machine.parsed((options.window_start, options.window_end))
        training_set_listing.verify(base / "dataset", options.data_sha256, window)
        prepare(cluster, base, options.kind, options.window_start, options.window_end)

    return job_runner.run(step, base.parent / "output" / "message")


def prepare(cluster: Cluster, base: Path, kind: RunKind, window_start: str, window_end: str) -> None:
    """Reads below `base`, writes `base`/prepared, or nothing if it fails.

    Raises:
        StepFailed: as ml.steps.prepare.prepare.
    """
    training = job_runner.settings(base / "settings").training
    window = one_machine.parsed((window_start, window_end))
    joined = _joined(cluster, base / "dataset", training, window)
    counts = _counts(joined, (window_start, window_end))
    ordered = _Ordered.of(joined, one_machine.part_shares(kind, training.split))
    joined.release()
    names = [*training.columns.inputs, LABEL]
    counts |= ordered.duplicates(names)
    ordered.check_categories(training)
    for part, found in ordered.windows.items():
        if run_kinds.fits_coefficients(kind) or part != "train":  # a threshold follows from legitimate rows
            one_machine.check_has_fraud(part, found)
        log.info("%s: %s", part, found)
    log.info("of all rows: %s", counts)
    ordered.write(base / "prepared")
    used = sum(found["rows"] for found in ordered.windows.values())
    summary = {"kind": kind, "rows": counts | {"used": used}, "windows": ordered.windows}
    prepared_files.write_summary(base / "prepared", summary)


def _joined(cluster: Cluster, dataset: Path, training: Training, window: Window) -> Kept:
    """Buckets of labelled rows, checked."""
    files, types = raw_transactions.files_of(dataset, training.columns)
    lake = Lake(dataset=dataset, columns=training.columns, types=types)
    parts = raw_rows.partitions(files, PARTITION_ROWS)
    rows, incomplete, long = 0, Counter[str](), Counter[str]()
    for found in cluster.each(lake.checked, parts):
        if isinstance(found, Failed):
            raise StepFailed(found.reason)
        rows, incomplete, long = rows + found.rows, incomplete + found.incomplete, long + found.long
    for name in (ID, TIME):
        if incomplete[name]:
            raise StepFailed(raw_transactions.missing(name, incomplete[name], rows))
    category_columns.refuse_long(long, rows)
    for name in training.columns.inputs:
        if incomplete[name]:
            raise StepFailed(raw_transactions.missing(name, incomplete[name], rows))
    labels = label_files.files_of(dataset)
    for failed in cluster.each(partial(_label_failure, dataset), labels):
        if failed is not None:
            raise StepFailed(failed)
    buckets = max(1, -(-rows // PARTITION_ROWS))
    by_event = cluster.exchange(partial(lake.by_event, buckets), [*parts, *labels], buckets)
    joined = by_event.then(partial(raw_rows.join, types, window))
    for differing in joined.each(_differing):
        for name in types.names:
            if name in differing:
                raise StepFailed(f"event_id {differing[name]!r} occurs in two transactions that differ in {name}")
    by_event.release()
    return joined


def _counts(joined: Kept, window: tuple[str, str]) -> dict[str, int]:
    """The rows that are read and left out."""
    counts: Counter[str] = Counter()
    rows = 0
    for found, labelled in joined.each(_counted):
        counts.update(found)
        rows += labelled
    log.info("%d transactions read, %d of them delivered more than once", counts["read"], counts["repeated_ids"])
    inside = counts["read"] - counts["repeated_ids"] - counts["outside_window"]
    one_machine.check_any_inside(inside, counts, window)
    one_machine.check_any_labelled(rows, counts)
    return {name: counts[name] for name in ("read", "repeated_ids", "outside_window", "unlabelled")}


class _Ordered:
    """Buckets of consecutive rows in order of time; a bucket belongs to one part."""

    def __init__(self, buckets: Kept, part_of: NDArray[np.intp], windows: dict[str, dict[str, Any]]) -> None:
        self._buckets, self._part_of, self.windows = buckets, part_of, windows

    @classmethod
    def of(cls, joined: Kept, ends: dict[str, float]) -> _Ordered:
        """The rows of all buckets, brought into the order of time."""
        times = joined.then(_times)
        rows = sum(times.each(len))
        places = [min(math.floor(share * rows + 0.5), rows - 1) for share in list(ends.values())[:-1]]
        ranks = sorted({0, rows - 1, *places, *range(PARTITION_ROWS, rows, PARTITION_ROWS)})
        found = order_statistics.select({TIME: ranks}, lambda asked: times.each(partial(_time_counts, asked[TIME])))[
            TIME
        ]
        times.release()
        cuts = [int(found[place]) for place in places]
        bounds = np.asarray(
            sorted({int(value) for value in found.values()} - {int(found[0])} | {*cuts}), dtype=np.int64
        )
        # The first bucket, below all bounds, is empty if the first time is one.
        part_of = np.searchsorted(np.asarray(cuts, dtype=np.int64), np.concatenate([[-(2**62)], bounds]), side="right")
        ordered = joined.exchange(partial(_by_time, bounds), len(bounds) + 1).then(_sorted)
        windows: dict[str, dict[str, Any]] = {}
        names = list(ends)
        for part, edges in zip(part_of.tolist(), ordered.each(_edges), strict=True):
            if edges is None:
                continue
            first, last, count, frauds = edges
            known = windows.setdefault(names[part], {"start": first, "end": last, "rows": 0, "frauds": 0})
            known |= {"end": last, "rows": known["rows"] + count, "frauds": known["frauds"] + frauds}
        for part_name in names:
            if part_name not in windows:
                one_machine.refuse_empty(part_name, rows, int(found[0]), int(found[rows - 1]))
        for known in windows.values():
            known |= {side: one_machine.stamp(known[side]) for side in ("start", "end")}
        return cls(ordered, part_of, {name: windows[name] for name in names})

    def duplicates(self, names: Sequence[str]) -> dict[str, int]:
        """The numbers of rows with the inputs and label of an earlier row."""
        count = len(self._part_of)
        by_hash = self._buckets.exchange(partial(_hash_pieces, names, count), count)
        shared = np.sort(np.concatenate([*by_hash.each(_shared)]))
        by_hash.release()
        candidates = [raw_rows.unpacked(found) for found in self._buckets.each(partial(_with_hashes, names, shared))]
        part = np.repeat(self._part_of, [len(table) for table in candidates])
        return duplicate_rows.counts(pa.concat_tables(candidates).to_pandas(), part)

    def check_categories(self, training: Training) -> None:
        """Refuses a category with too many values among the training rows."""
        distinct = category_columns.DistinctValues(training)
        found = self._buckets.each(partial(_distinct, training.columns.categories))
        for part, (values, rows) in zip(self._part_of.tolist(), found, strict=True):
            if part == 0:
                distinct.add_values(values, rows)
        distinct.check()

    def write(self, folder: Path) -> None:
        """Writes each part."""
        folder.mkdir(parents=True, exist_ok=True)
        names, writer, writing = list(self.windows), None, -1
        try:
            for part, content in zip(self._part_of.tolist(), self._buckets.one_by_one(raw_rows.packed), strict=True):
                table = raw_rows.unpacked(content)
                if writer is None or part != writing:
                    if writer is not None:
                        writer.close()
                    writer, writing = prepared_files.writer(folder, names[part], table.schema), part
                writer.write_table(table, row_group_size=BLOCK_ROWS)
        finally:
            if writer is not None:
                writer.close()


def _label_failure(dataset: Path, file: Path) -> str | None:
    try:
        label_files.read_file(file, dataset)
    except StepFailed as error:
        return str(error)
    return None


def _differing(joined: Joined) -> dict[str, str]:
    return joined.differing


def _counted(joined: Joined) -> tuple[Counter[str], int]:
    return joined.counts, len(joined.table)


def _times(joined: Joined) -> NDArray[np.float64]:
    """Microseconds since 1970, which float64 holds exactly until the year 2255."""
    return np.asarray(joined.table[TIME].cast(pa.int64()).to_numpy(), dtype=np.float64)


def _time_counts(request: order_statistics.Request, times: NDArray[np.float64]) -> dict[str, order_statistics.Counts]:
    return {TIME: order_statistics.count(times, request)}


def _by_time(bounds: NDArray[np.int64], joined: Joined) -> Iterator[tuple[int, bytes]]:
    times = joined.table[TIME].cast(pa.int64()).to_numpy()
    return raw_rows.split(np.searchsorted(bounds, times, side="right"), joined.table)


def _sorted(bucket: list[bytes]) -> pa.Table | None:
    """The rows of a bucket in order of time, of equal times in that of their ids; None if there are none."""
    if not bucket:
        return None
    table = pa.concat_tables([raw_rows.unpacked(content) for content in bucket])
    return table.sort_by([(TIME, "ascending"), (ID, "ascending")]).combine_chunks()


def _edges(table: pa.Table | None) -> tuple[int, int, int, int] | None:
    """The first and the last time, the number of rows, and that of frauds."""
    if table is None:
        return None
    times = table[TIME].cast(pa.int64())
    return times[0].as_py(), times[-1].as_py(), len(table), int(pc.sum(table[LABEL]).as_py())


def _hash_pieces(names: Sequence[str], buckets: int, table: pa.Table) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    hashes = duplicate_rows.row_hashes(table.select(names))
    numbers = hashes % np.uint64(buckets)
    for bucket in range(buckets):
        yield bucket, hashes[numbers == bucket]


def _shared(bucket: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """The hashes that more than one row has."""
    hashes = np.concatenate(bucket)
    return np.unique(hashes[id_index.shared(hashes)])


def _with_hashes(names: Sequence[str], shared: NDArray[np.uint64], table: pa.Table) -> bytes:
    """The rows with one of these hashes, which are ascending."""
    rows = table.select(names)
    if not len(shared):
        return raw_rows.packed(rows.slice(0, 0))
    hashes = duplicate_rows.row_hashes(rows)
    places = np.minimum(np.searchsorted(shared, hashes), len(shared) - 1)
    return raw_rows.packed(rows.filter(pa.array(shared[places] == hashes)))


def _distinct(names: Sequence[str], table: pa.Table) -> tuple[dict[str, pa.Array], int]:
    return {name: pc.unique(table[name]) for name in names}, len(table)
