"""Prepare step: turns transactions and labels of the lake into training, validation and test rows.

A run of another kind than `fit` has no validation rows: their share belongs to the training rows.

Runs as a SageMaker processing job. Below its base folder it reads settings and dataset (raw/… and labels/… as in the
lake, and the listing of their digests), and writes prepared. It parses no file before it has verified the file's
digest. It never resamples or changes a row, and counts every row that it leaves out. A row is used if it has a label,
however young: which days' labels are old enough is decided where the training window is chosen (ml.drift).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.model import run_kinds
from ml.model.run_kinds import FIT, RUN_KINDS, RunKind
from ml.model.stored_rows import BLOCK_ROWS
from ml.model.training_settings import Split, Training
from ml.steps import (
    category_columns,
    duplicate_rows,
    id_index,
    job_runner,
    label_files,
    prepared_files,
    training_set_listing,
)
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import ID, LABEL
from ml.steps.raw_transactions import RawTransactions

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def main(arguments: list[str] | None = None) -> int:
    """Runs the step; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prepare", description="Split the lake's transactions by time.")
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
        window = parsed((options.window_start, options.window_end))
        training_set_listing.verify(base / "dataset", options.data_sha256, window)
        prepare(base, options.kind, options.window_start, options.window_end)

    return job_runner.run(step, base.parent / "output" / "message")


def prepare(base: Path, kind: RunKind, window_start: str, window_end: str) -> None:
    """Reads below `base`, writes `base`/prepared, or nothing if it fails.

    Memory holds ids, times and labels of all rows, and the columns of some row groups.

    Raises:
        StepFailed: files or columns are missing, values break the contract, two different transactions have the same
            event_id, or a part would lack frauds that it needs.
    """
    training = job_runner.settings(base / "settings").training
    window = window_start, window_end
    parsed(window)
    raw = RawTransactions(base / "dataset", training.columns)
    try:
        plan = _Plan.of(raw, label_files.read(base / "dataset"), window, part_shares(kind, training.split))
    except StepFailed:
        raw.check()  # a value that breaks the contract is the cause, whatever follows from it
        raise
    folder = base / "prepared"
    try:
        more = _write(raw, plan, training, folder)
        raw.check(all_groups=False)
        for part, found in plan.windows.items():
            if run_kinds.fits_coefficients(kind) or part != "train":  # a threshold follows from legitimate rows
                check_has_fraud(part, found)
            log.info("%s: %s", part, found)
        counts = plan.counts | more
        log.info("of all rows: %s", counts)
        summary = {"kind": kind, "rows": counts | {"used": len(plan.places)}, "windows": plan.windows}
        prepared_files.write_summary(folder, summary)
    except StepFailed:
        for part in plan.parts:
            (folder / f"{part}.parquet").unlink(missing_ok=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        raise


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Which rows are used: their places among the raw ones in order of time, their labels, and the parts' ranges."""

    places: NDArray[np.intp]
    labels: NDArray[np.int8]
    parts: dict[str, tuple[int, int]]
    windows: dict[str, dict[str, Any]]
    counts: dict[str, int]

    @classmethod
    def of(cls, raw: RawTransactions, known: pa.Table, window: tuple[str, str], ends: Mapping[str, float]) -> _Plan:
        """Leaves out and counts repeated ids, rows outside the window, and rows without a label."""
        repeats, firsts = id_index.repeats(raw.ids)
        _check_repeats_agree(raw, repeats, firsts)
        log.info("%d transactions read, %d of them delivered more than once", len(raw), len(repeats))
        used = np.ones(len(raw), dtype=np.bool_)
        used[repeats] = False
        start, end = parsed(window)
        if start is not None:
            used &= raw.times >= (start - EPOCH) // timedelta(microseconds=1)
        if end is not None:
            used &= raw.times < (end - EPOCH) // timedelta(microseconds=1)
        inside = int(np.count_nonzero(used))
        counts = {"read": len(raw), "repeated_ids": len(repeats), "outside_window": len(raw) - len(repeats) - inside}
        check_any_inside(inside, counts, window)
        place = id_index.places(raw.ids, known[ID])
        used &= place >= 0
        labelled = int(np.count_nonzero(used))
        counts["unlabelled"] = inside - labelled
        check_any_labelled(labelled, counts)
        places = in_order(np.flatnonzero(used), raw.times, raw.ids)
        labels = known[LABEL].to_numpy()[place[places]]
        times = raw.times[places]
        parts = split(times, ends)
        windows = {
            part: {
                "start": stamp(times[first]),
                "end": stamp(times[last - 1]),
                "rows": last - first,
                "frauds": int(labels[first:last].sum()),
            }
            for part, (first, last) in parts.items()
        }
        return cls(places=places, labels=labels, parts=parts, windows=windows, counts=counts)


def check_any_inside(inside: int, counts: Mapping[str, int], window: tuple[str, str]) -> None:
    """Raises StepFailed if no transaction is in the window."""
    if not inside:
        raise StepFailed(
            f"no transaction is in the window from {window[0] or 'the first'} to {window[1] or 'the last'} "
            f"({counts['outside_window']} are outside): widen it"
        )


def check_any_labelled(labelled: int, counts: Mapping[str, int]) -> None:
    """Raises StepFailed if no transaction in the window has a label."""
    log.info("%d rows in the window have a label, %d have none and are left out", labelled, counts["unlabelled"])
    if not labelled:
        raise StepFailed(f"none of the {counts['unlabelled']} transactions in the window has a label yet")


def in_order(places: NDArray[np.intp], times: NDArray[np.int64], ids: pa.ChunkedArray) -> NDArray[np.intp]:
    """The places in the order of their rows' times; of equal times, in that of their ids."""
    steps = np.diff(times[places])
    if not np.any(steps < 0):
        tied = np.flatnonzero(steps == 0)
        before, after = (ids.take(pa.array(places[tied + more])) for more in (0, 1))
        if pc.all(pc.less(before, after), min_count=0).as_py():
            return places
    keys = pa.table({"time": times[places], "id": ids.take(pa.array(places))})
    order = pc.sort_indices(keys, sort_keys=[("time", "ascending"), ("id", "ascending")])
    return np.asarray(places[order.to_numpy()])


def _write(raw: RawTransactions, plan: _Plan, training: Training, folder: Path) -> dict[str, int]:
    """Writes the parts, some blocks at once; returns the numbers of duplicates."""
    folder.mkdir(parents=True, exist_ok=True)
    distinct, hashes = category_columns.DistinctValues(training), np.empty(len(plan.places), dtype=np.uint64)
    names, at_once = [*training.columns.inputs, LABEL], raw.rows_at_once(plan.places)

    def rows(chosen: slice | NDArray[np.intp]) -> pa.Table:
        return raw.rows(plan.places[chosen]).add_column(2, LABEL, pa.array(plan.labels[chosen]))

    for part, (first, last) in plan.parts.items():
        with prepared_files.writer(folder, part, raw.schema.insert(2, pa.field(LABEL, pa.int8()))) as file:
            for start in range(first, last, at_once):
                chosen = slice(start, min(start + at_once, last))
                table = rows(chosen)
                hashes[chosen] = duplicate_rows.row_hashes(table.select(names))
                if part == "train":
                    distinct.add(table)
                file.write_table(table, row_group_size=BLOCK_ROWS)
        if part == "train":
            distinct.check()
    copies = id_index.shared(hashes)
    part_number = np.searchsorted([last for _, last in plan.parts.values()], copies, side="right")
    frame = pa.concat_tables(
        [rows(copies[start : start + at_once]).select(names) for start in range(0, len(copies), at_once)]
        or [rows(copies).select(names)]
    ).to_pandas()
    return duplicate_rows.counts(frame, part_number)


def part_shares(kind: RunKind, shares: Split) -> dict[str, float]:
    """The parts of a run of `kind` in order of time, with the share of the rows at which each ends."""
    earlier = {"train": shares.train, "validation": shares.train + shares.validation}
    return (earlier if kind == FIT else {"train": earlier["validation"]}) | {"test": 1.0}


def split(times: NDArray[np.int64], ends: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Splits rows at ascending times into the parts of `part_shares`: the places of each part's first row and its end.

    Rows with equal times go to the later part.

    Raises:
        StepFailed: a part would be empty.
    """
    cuts = [0]
    for share in list(ends.values())[:-1]:
        place = min(math.floor(share * len(times) + 0.5), len(times) - 1)
        cuts.append(int(np.searchsorted(times, times[place], side="left")))
    cuts.append(len(times))
    parts = dict(zip(ends, pairwise(cuts), strict=True))
    for part, (first, last) in parts.items():
        if first == last:
            refuse_empty(part, len(times), times[0], times[-1])
    return parts


def refuse_empty(part: str, rows: int, first: int, last: int) -> NoReturn:
    """Raises StepFailed: the part would be empty, of so many rows from the first to the last time."""
    raise StepFailed(
        f"the {part} part would be empty: {rows} rows from {stamp(first)} to {stamp(last)} "
        f"cannot be split by time at the shares of `split`; widen the window"
    )


def parsed(window: tuple[str, str]) -> tuple[datetime | None, datetime | None]:
    """Start and end of the window; None where it is open. StepFailed if one is no time with an offset."""
    return _parse_time("window start", window[0]), _parse_time("window end", window[1])


def _parse_time(what: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise StepFailed(f"the {what} must be a time with an offset, as 2026-03-01T00:00:00Z (got {text!r})")
    return moment.astimezone(UTC)


def _check_repeats_agree(raw: RawTransactions, repeats: NDArray[np.intp], firsts: NDArray[np.intp]) -> None:
    names, differing = raw.schema.names[1:], dict[str, int]()
    for start in range(0, len(repeats), BLOCK_ROWS):
        again, first = (raw.rows(places[start : start + BLOCK_ROWS]) for places in (repeats, firsts))
        for name in names:
            differ = pc.invert(pc.equal(again[name], first[name]))
            if name not in differing and pc.any(differ, min_count=0).as_py():
                differing[name] = int(repeats[start + pc.index(differ, True).as_py()])
    for name in names:
        if name in differing:
            event_id = raw.ids[differing[name]].as_py()
            raise StepFailed(f"event_id {event_id!r} occurs in two transactions that differ in {name}")


def stamp(microseconds: int) -> str:
    """ISO 8601 in UTC; fractions of a second only if there are any."""
    moment = EPOCH + timedelta(microseconds=int(microseconds))
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def check_has_fraud(part: str, window: dict[str, Any]) -> None:
    """Raises StepFailed if the part with this window has no fraud."""
    if not window["frauds"]:
        raise StepFailed(
            f"the {part} part has no fraud among its {window['rows']} rows from {window['start']} to {window['end']}: "
            f"widen the window, or change `split` in model-config/training/model.yaml"
        )


if __name__ == "__main__":
    sys.exit(main())
