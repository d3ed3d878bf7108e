"""`fraudops data import`: imports a file of transactions into the data lake, completely or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from ml import config
from ml.aws import platform_stack
from ml.aws.import_manifest import ImportManifest, Source
from ml.aws.lake import Lake
from ml.errors import DataError
from ml.ingest import data_file
from ml.ingest import quarantine as quarantine_file
from ml.ingest.table import Content
from ml.model import data_contract
from ml.model.data_contract import EVENT_ID, EVENT_TIME
from ml.model.training_settings import Columns

DEFAULT_START = date(2013, 9, 1)
"""The month in which the ULB transactions were made; the data set has no date."""
_MICROSECONDS = 1_000_000
_DAY = 86_400 * _MICROSECONDS


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """The result of an import: `rows` of the file = `imported` + `quarantined`."""

    path: str
    name: str
    """The import's folder below raw/ and labels/."""
    manifest_uri: str
    new: bool
    """False if the lake already had this content and nothing was written."""
    rows: int
    imported: int
    quarantined: int
    quarantine_path: str | None
    problems: dict[str, int]
    """Number of quarantined rows by kind of fault."""
    frauds: int
    duplicates: int
    """Rows that repeat an earlier row; they are imported."""
    start: datetime
    end: datetime
    """First and last event."""
    notes: tuple[str, ...]
    """Assumptions about what the file does not say, and warnings."""


def import_file(root: Path, path: str, *, start: date | None, quarantine: bool) -> ImportReport:
    """Imports `path` into the platform's lake, with the columns that model-config/ below `root` names.

    Raises:
        Refused: the caller is the account's root user.
        ConfigError, CloudError: the columns or the platform cannot be read.
        DataError: as `import_data`.
    """
    columns = config.load_settings(root).training.columns
    platform_stack.refuse_root()
    return import_data(
        path, lake=Lake(platform_stack.read().bucket), columns=columns, start=start, quarantine=quarantine
    )


def import_data(path: str, *, lake: Lake, columns: Columns, start: date | None, quarantine: bool) -> ImportReport:
    """Imports the file at `path` (CSV, gzipped CSV or Parquet; local or s3://) into `lake`.

    Args:
        columns: the required columns; `event_id` and `event_time` are optional.
        start: the day, midnight UTC, from which the file's time column counts; 2013-09-01 if None.
        quarantine: whether faulty rows go to PATH.quarantine.csv and the others are imported.

    Raises:
        DataError: the file breaks the contract; nothing was imported.
        CloudError: S3 refused or was unreachable; no part of the import is visible.
    """
    content = data_file.read(path, columns)
    bad = content.bad
    if bad.any() and (not quarantine or bad.all()):
        raise DataError(_refusal(content, int(bad.sum()), quarantine))
    place, quarantined = quarantine_file.write(content) if bad.any() else (None, 0)
    frame, notes = _with_event_time(path, content.frame[~bad].reset_index(drop=True), columns, start)
    digest = data_contract.content_sha256(frame)
    if EVENT_ID not in frame:
        frame.insert(0, EVENT_ID, data_contract.event_ids(digest, len(frame)))
    transactions, labels = _tables(frame, columns)
    stored = lake.store(
        transactions,
        labels,
        source=Source(name=PurePosixPath(path).name, bytes=content.bytes, sha256=content.sha256),
        content_sha256=digest,
        duplicates=data_contract.duplicates(frame),
        quarantined=quarantined,
    )
    notes += _overlaps(lake, stored.manifest)
    imported = sum(file.rows for file in stored.manifest.files if file.key.startswith("raw/"))
    if imported + quarantined != len(content.frame):
        raise DataError(
            f"{path}: {len(content.frame)} rows were read, but {imported} were imported and {quarantined} quarantined; "
            f"delete {stored.manifest_uri} and report this as a defect"
        )
    return ImportReport(
        path=path,
        name=stored.manifest.name,
        manifest_uri=stored.manifest_uri,
        new=bool(stored.uploaded),
        rows=len(content.frame),
        imported=imported,
        quarantined=quarantined,
        quarantine_path=place,
        problems=quarantine_file.counts(content),
        frauds=stored.manifest.frauds,
        duplicates=stored.manifest.duplicates,
        start=stored.manifest.start,
        end=stored.manifest.end,
        notes=notes,
    )


def _refusal(content: Content, bad: int, quarantine: bool) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in quarantine_file.counts(content).items())
    share = f"{bad} of {len(content.frame)} rows break the contract ({kinds})"
    found = f"{content.path}: {quarantine_file.first_problem(content)}; {share}"
    if quarantine:
        return f"{found}, so no row is left to import; correct them at the source"
    return f"{found}; correct them at the source, or import with --quarantine to quarantine them"


def _with_event_time(
    path: str, frame: pd.DataFrame, columns: Columns, start: date | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """`frame` with `event_time` and every model input in the lake's column order, and the assumptions made."""
    notes = []
    if EVENT_TIME in frame:
        if start is not None:
            raise DataError(f"{path}: has an {EVENT_TIME} column, so --start has no effect; leave it out")
        if columns.time is not None and columns.time not in frame:
            moments = data_contract.microseconds(frame[EVENT_TIME])
            midnight = moments.min() // _DAY * _DAY
            frame[columns.time] = (moments - midnight) / _MICROSECONDS
            first = frame[EVENT_TIME].min().date()
            notes.append(f"{columns.time} was computed from {EVENT_TIME}: seconds since {first} 00:00 UTC")
    else:
        day = DEFAULT_START if start is None else start
        if not data_contract.FIRST_YEAR <= day.year <= data_contract.LAST_YEAR - 100:
            last = data_contract.LAST_YEAR - 100
            raise DataError(f"{path}: --start must be in the years {data_contract.FIRST_YEAR} to {last} (got {day})")
        midnight = int(datetime.combine(day, time(), UTC).timestamp()) * _MICROSECONDS
        moments = midnight + np.rint(frame[columns.time].to_numpy() * _MICROSECONDS).astype(np.int64)
        frame[EVENT_TIME] = pd.Series(moments.view("M8[us]")).dt.tz_localize("UTC")
        if start is None:
            assumed = f"{columns.time} is taken to count from {day} 00:00 UTC, the month of the ULB data"
            notes.append(f"{assumed}; set another day with --start")
    ids = [EVENT_ID] if EVENT_ID in frame else []
    return frame[[*ids, EVENT_TIME, *columns.inputs, columns.label]], tuple(notes)


def _overlaps(lake: Lake, manifest: ImportManifest) -> tuple[str, ...]:
    """Warnings of imports with events of the same time: a corrected file does not replace the first."""
    return tuple(
        f"the lake also has {other.rows} transactions of the same time from {other.source.name}; if they are the same "
        f"ones, training counts them twice: delete s3://{lake.bucket}/{other.key}"
        for other in lake.imports()
        if manifest.meets(other)
    )


def _tables(frame: pd.DataFrame, columns: Columns) -> tuple[pa.Table, pa.Table]:
    """The transactions and their labels as tables of the lake; a label in a file is known at its event's time."""
    ids = pa.array(frame[EVENT_ID], pa.string())
    times = pa.array(data_contract.microseconds(frame[EVENT_TIME])).cast(pa.timestamp("us", "UTC"))
    inputs = {name: pa.array(frame[name].to_numpy(dtype=np.float64)) for name in columns.inputs}
    labels = pa.array(frame[columns.label].to_numpy().astype(np.int8))
    return (
        pa.table({EVENT_ID: ids, EVENT_TIME: times, **inputs}),
        pa.table({EVENT_ID: ids, "label": labels, "known_at": times}),
    )
