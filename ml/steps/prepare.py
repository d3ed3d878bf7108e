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
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.model import run_kinds
from ml.model.run_kinds import FIT, RUN_KINDS, RunKind
from ml.model.training_settings import Columns, Split
from ml.steps import category_columns, job_runner, prepared_files, training_set_listing
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import CHANNEL, ID, KNOWN, LABEL, TIME

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = pa.timestamp("us", tz="UTC")
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio: every bit of a factor reaches the high half
_ANALYST, _CHARGEBACK = "analyst", "chargeback"


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
        window = _parse_time("window start", options.window_start), _parse_time("window end", options.window_end)
        training_set_listing.verify(base / "dataset", options.data_sha256, window)
        prepare(base, options.kind, options.window_start, options.window_end)

    return job_runner.run(step, base.parent / "output" / "message")


def prepare(base: Path, kind: RunKind, window_start: str, window_end: str) -> None:
    """Reads below `base`, writes `base`/prepared.

    Raises:
        StepFailed: files or columns are missing, values break the contract, or a part would lack frauds that it needs.
    """
    training = job_runner.settings(base / "settings").training
    start, end = _parse_time("window start", window_start), _parse_time("window end", window_end)
    rows, counts = read_transactions(base / "dataset", training.columns)
    log.info("%d transactions read, %d of them delivered more than once", counts["read"], counts["repeated_ids"])
    rows = _within(rows, start, end)
    counts["outside_window"] = counts["read"] - counts["repeated_ids"] - len(rows)
    if not len(rows):
        raise StepFailed(
            f"no transaction is in the window from {window_start or 'the first'} to {window_end or 'the last'} "
            f"({counts['outside_window']} are outside): widen it"
        )
    rows, counts["unlabelled"] = join_labels(rows, read_labels(base / "dataset"))
    log.info("%d rows in the window have a label, %d have none and are left out", len(rows), counts["unlabelled"])
    if not len(rows):
        raise StepFailed(f"none of the {counts['unlabelled']} transactions in the window has a label yet")
    rows = rows.sort_by([(TIME, "ascending"), (ID, "ascending")])
    tables = split(rows, part_shares(kind, training.split))
    category_columns.check_values(tables["train"], training)
    counts |= duplicates(tables, training.columns)
    windows = {part: _window(table) for part, table in tables.items()}
    for part, window in windows.items():
        if run_kinds.fits_coefficients(kind) or part != "train":  # a threshold follows from scores of legitimate rows
            _check_has_fraud(part, window)
        log.info("%s: %s", part, window)
    log.info("of all rows: %s", counts)
    summary = {"kind": kind, "rows": counts | {"used": len(rows)}, "windows": windows}
    prepared_files.write(base / "prepared", tables, summary)


def read_transactions(dataset: Path, columns: Columns) -> tuple[pa.Table, dict[str, int]]:
    """Reads every transaction below `dataset`/raw once; also counts the rows read and the repeated ids.

    Keeps further columns that all files have, so that a champion with other inputs can be scored on these rows.

    Raises:
        StepFailed: there is no file, a column is missing or of another type, a value is missing, not finite or too
            long for a category, or two different transactions have the same event_id.
    """
    files = sorted((dataset / "raw").rglob("*.parquet"))
    if not files:
        raise StepFailed(f"{dataset / 'raw'}: no Parquet file; import data with `fraudops data import`")
    schemas = [pq.read_schema(file) for file in files]
    names = [ID, TIME, *columns.inputs]
    for file, schema in zip(files, schemas, strict=True):
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise StepFailed(f"{file.relative_to(dataset)}: column {', '.join(missing)} is missing")
    by_name = {str(file.relative_to(dataset)): schema for file, schema in zip(files, schemas, strict=True)}
    category_columns.check_types(by_name, columns)
    shared = set.intersection(*(_numeric(schema) for schema in schemas)) - {*names, LABEL}
    names += sorted(shared)
    kinds = {name: pa.string() if name in columns.categories else pa.float64() for name in names[2:]}
    types = pa.schema([(ID, pa.string()), (TIME, _TIMES), *kinds.items()])
    tables = [_cast(pq.read_table(file, columns=names), types, file.relative_to(dataset)) for file in files]
    table = category_columns.trimmed(pa.concat_tables(tables), columns).combine_chunks()
    _check_complete(table, columns)
    first = _first_occurrence(table[ID])
    repeats = np.flatnonzero(first != np.arange(len(table)))
    _check_repeats_agree(table, first, repeats, names)
    unique = table.take(np.flatnonzero(first == np.arange(len(table)))) if len(repeats) else table
    return unique, {"read": len(table), "repeated_ids": len(repeats)}


def read_labels(dataset: Path) -> pa.Table:
    """Reads event_id and label, one row per event with a label of the chargeback channel.

    In each channel the label known last counts, and fraud if two have the same time; the event is a fraud if either
    channel says so. Events that only analysts have labelled are left out: they were alerts, and a model trained on them
    would take what alerts reveal for the whole. A file without the column `channel` holds chargeback labels.

    Raises:
        StepFailed: there is no file, a column is missing, or a label or a channel has another value.
    """
    files = sorted((dataset / "labels").rglob("*.parquet"))
    if not files:
        raise StepFailed(f"{dataset / 'labels'}: no Parquet file; training needs labels")
    table = pa.concat_tables([_read_label_file(file, file.relative_to(dataset)) for file in files])
    if not pc.all(pc.is_in(table[LABEL], value_set=pa.array([0, 1], pa.int8()))).as_py():
        raise StepFailed(f"{dataset / 'labels'}: labels must be 0 or 1")
    if not pc.all(pc.is_in(table[CHANNEL], value_set=pa.array([_ANALYST, _CHARGEBACK]))).as_py():
        raise StepFailed(f"{dataset / 'labels'}: channels must be {_ANALYST} or {_CHARGEBACK}")
    by_analyst = pc.equal(table[CHANNEL], _ANALYST)
    whole, findings = (_latest(table.filter(part)) for part in (pc.invert(by_analyst), by_analyst))
    finding = findings[LABEL].take(pc.index_in(whole[ID], value_set=findings[ID].combine_chunks()))
    return whole.set_column(1, LABEL, pc.max_element_wise(whole[LABEL], finding))


def _read_label_file(file: Path, name: Path) -> pa.Table:
    types = pa.schema([(ID, pa.string()), (LABEL, pa.int8()), (KNOWN, _TIMES), (CHANNEL, pa.string())])
    names = pq.read_schema(file).names
    missing = [column for column in types.names if column not in names and column != CHANNEL]
    if missing:
        raise StepFailed(f"{name}: column {', '.join(missing)} is missing")
    table = pq.read_table(file, columns=[column for column in types.names if column in names])
    if CHANNEL not in names:
        table = table.append_column(CHANNEL, pa.array([_CHARGEBACK] * len(table), pa.string()))
    return _cast(table, types, name)


def _latest(labels: pa.Table) -> pa.Table:
    """event_id and label of the label known last, one row per event."""
    table = labels.sort_by([(KNOWN, "descending"), (LABEL, "descending")]).combine_chunks()
    latest = _first_occurrence(table[ID])
    return table.take(np.flatnonzero(latest == np.arange(len(table)))).select([ID, LABEL])


def join_labels(rows: pa.Table, labels: pa.Table) -> tuple[pa.Table, int]:
    """Adds the label to the rows that have one; also counts the rows without a label."""
    label = labels[LABEL].take(pc.index_in(rows[ID], value_set=labels[ID].combine_chunks()))
    joined = rows.add_column(2, LABEL, label).filter(pc.is_valid(label))
    return joined, len(rows) - len(joined)


def part_shares(kind: RunKind, shares: Split) -> dict[str, float]:
    """The parts of a run of `kind` in order of time, with the share of the rows at which each ends."""
    earlier = {"train": shares.train, "validation": shares.train + shares.validation}
    return (earlier if kind == FIT else {"train": earlier["validation"]}) | {"test": 1.0}


def split(rows: pa.Table, ends: Mapping[str, float]) -> dict[str, pa.Table]:
    """Splits the rows by time into the parts of `part_shares`; rows with equal times go to the later part.

    Raises:
        StepFailed: a part would be empty.
    """
    times = rows[TIME].cast(pa.int64()).to_numpy()
    cuts = [0]
    for share in list(ends.values())[:-1]:
        place = min(math.floor(share * len(times) + 0.5), len(times) - 1)
        cuts.append(int(np.searchsorted(times, times[place], side="left")))
    cuts.append(len(times))
    parts = dict(zip(ends, pairwise(cuts), strict=True))
    for part, (first, last) in parts.items():
        if first == last:
            raise StepFailed(
                f"the {part} part would be empty: {len(times)} rows from {_stamp(times[0])} to {_stamp(times[-1])} "
                f"cannot be split by time at the shares of `split`; widen the window"
            )
    return {part: rows.slice(first, last - first) for part, (first, last) in parts.items()}


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


def _within(rows: pa.Table, start: datetime | None, end: datetime | None) -> pa.Table:
    if start is not None:
        rows = rows.filter(pc.greater_equal(rows[TIME], pa.scalar(start, _TIMES)))
    if end is not None:
        rows = rows.filter(pc.less(rows[TIME], pa.scalar(end, _TIMES)))
    return rows


def _numeric(schema: pa.Schema) -> set[str]:
    return {field.name for field in schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)}


def _cast(table: pa.Table, types: pa.Schema, file: Path) -> pa.Table:
    try:
        return table.select(types.names).cast(types)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise StepFailed(f"{file}: a column has another type than the lake's: {error}") from error


def _check_complete(table: pa.Table, columns: Columns) -> None:
    for name in (ID, TIME, *columns.inputs):
        column = table[name]
        bad = column.null_count
        if name in columns.numbers:
            bad += len(column) - pc.sum(pc.fill_null(pc.is_finite(column), True)).as_py()
        if bad:
            raise StepFailed(f"column {name}: {bad} of {len(column)} values are missing or not finite")


def _first_occurrence(ids: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """The position of the first occurrence of each id."""
    column = ids.combine_chunks()
    return np.asarray(pc.index_in(column, value_set=column).to_numpy(zero_copy_only=False), dtype=np.int64)


def _check_repeats_agree(
    table: pa.Table, first: np.ndarray[Any, Any], repeats: np.ndarray[Any, Any], names: list[str]
) -> None:
    if not len(repeats):
        return
    for name in names[1:]:
        same = pc.equal(table[name].take(repeats), table[name].take(first[repeats])).to_numpy()
        if not np.all(same):
            event_id = table[ID][int(repeats[np.flatnonzero(~same.astype(bool))[0]])].as_py()
            raise StepFailed(f"event_id {event_id!r} occurs in two transactions that differ in {name}")


def duplicates(tables: Mapping[str, pa.Table], columns: Columns) -> dict[str, int]:
    """The rows with the inputs and label of an earlier row, and those of them whose first copy is in an earlier part.

    Both are kept. The latter make a test look better than it is: the model was fitted on such a row.
    """
    names = [*columns.inputs, LABEL]
    rows = pa.concat_tables([table.select(names) for table in tables.values()])
    candidates = _equal_hashes(rows)
    frame = rows.take(candidates).to_pandas()
    part = np.repeat(np.arange(len(tables)), [len(table) for table in tables.values()])[candidates]
    copies = frame.duplicated(keep=False).to_numpy()
    group = frame[copies].groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    first = np.full(group.max(initial=-1) + 1, len(tables))
    np.minimum.at(first, group, part[copies])
    return {
        "duplicates": int(frame.duplicated().sum()),
        "duplicates_across_parts": int(np.count_nonzero(part[copies] > first[group])),
    }


def _equal_hashes(rows: pa.Table) -> np.ndarray[Any, Any]:
    """The rows whose 64-bit hash another row has too, in order: all copies, and rarely a row that is none.

    A grouping of all rows by thirty columns would take longer than the rest of the step.
    """
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.itercolumns():
        if pa.types.is_string(column.type):
            bits = column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.uint64)
        else:
            bits = (column.to_numpy().astype(np.float64) + 0.0).view(np.uint64)  # -0.0 equals 0.0
        hashes = (hashes ^ bits) * _HASH_FACTOR
        hashes ^= hashes >> np.uint64(32)
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    places = np.searchsorted(repeated, hashes)
    places[places == len(repeated)] = 0
    return np.flatnonzero(repeated[places] == hashes) if len(repeated) else np.empty(0, dtype=np.int64)


def _window(table: pa.Table) -> dict[str, Any]:
    """The times of the first and the last row, the number of rows and the number of frauds."""
    times = table[TIME].cast(pa.int64())
    return {
        "start": _stamp(times[0].as_py()),
        "end": _stamp(times[-1].as_py()),
        "rows": len(table),
        "frauds": int(pc.sum(table[LABEL]).as_py()),
    }


def _stamp(microseconds: int) -> str:
    """ISO 8601 in UTC; fractions of a second only if there are any."""
    moment = _EPOCH + timedelta(microseconds=int(microseconds))
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _check_has_fraud(part: str, window: dict[str, Any]) -> None:
    if not window["frauds"]:
        raise StepFailed(
            f"the {part} part has no fraud among its {window['rows']} rows from {window['start']} to {window['end']}: "
            f"widen the window, or change `split` in model-config/training/model.yaml"
        )


if __name__ == "__main__":
    sys.exit(main())
