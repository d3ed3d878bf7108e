"""Chooses the imports and labels that a training run reads, and lists them under one digest. Reads no rows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from ml.aws import s3_objects
from ml.aws.import_manifest import ImportManifest, stamp
from ml.aws.labels import store as deliveries
from ml.aws.lake import Lake
from ml.errors import DataError

PREFIX = "training-sets"


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The imports and labels that a training run reads, under one digest; `start` and `end` are the requested window.

    `rows` counts whole imports, and `frauds` whole label files, corrected or not: the window and the corrections are
    applied when the files are read.
    """

    manifest_uri: str
    sha256: str
    rows: int
    frauds: int
    start: datetime | None
    end: datetime | None
    imports: tuple[str, ...]
    deliveries: tuple[str, ...] = ()
    """Labels that were delivered later and may belong to the window's events."""
    meeting: tuple[tuple[str, str], ...] = ()
    """Pairs of manifests of imports whose time spans overlap: transactions that are in both count twice."""


def choose(lake: Lake, start: datetime | None, end: datetime | None, *, time_unit: str | None = None) -> TrainingSet:
    """The imports with events from `start` (included) to `end` (not included; None = open), as one data set.

    It includes the labels that were delivered later and may belong to these events: those known from `start` on.

    Writes the manifest that SageMaker reads under the digest of the listed files; equal imports and window give an
    equal digest, and writing it again changes nothing. The digest is that of files.json, which is written beside
    the manifest: every file's key and sha256, with which the first step verifies its input.

    Args:
        start, end: the window, open where None.
        time_unit: the unit of the time column in data.yaml; None if it names no time.

    Raises:
        DataError: no import overlaps the window, or those that do have different columns or another unit of time.
        CloudError: S3 refuses or cannot be reached.
    """
    every = lake.imports()
    chosen = [item for item in every if item.overlaps(start, end)]
    if not chosen:
        raise DataError(
            f"s3://{lake.bucket}/raw/: {_nothing(every, start, end)}; import data with `fraudops data import`"
        )
    for item in chosen:
        if time_unit is not None and item.time_units - {time_unit}:
            raise DataError(f"s3://{lake.bucket}/{item.key}: {_other_unit(item, time_unit)}")
    for item in chosen[1:]:
        if item.columns != chosen[0].columns:
            raise DataError(f"s3://{lake.bucket}/{item.key}: {_other_columns(item, chosen[0])}")
    late = [item for item in deliveries.deliveries(lake.bucket) if item.concerns(start)]
    listed = [file for item in chosen for file in item.files]
    listed += [item.file for item in late] + deliveries.others(lake.bucket)
    files = sorted((file.key, file.sha256) for file in listed)
    window = [stamp(start) if start else None, stamp(end) if end else None]
    listing = json.dumps([files, window], separators=(",", ":"))
    sha256 = hashlib.sha256(listing.encode()).hexdigest()
    key, beside = (f"{PREFIX}/{sha256}/{name}" for name in ("dataset.manifest", "files.json"))
    lake.put_json(beside, listing)
    names = [*(name for name, _ in files), beside]
    lake.put_json(key, json.dumps([{"prefix": f"s3://{lake.bucket}/"}, *names], indent=1))
    return TrainingSet(
        manifest_uri=lake.uri(key),
        sha256=sha256,
        rows=sum(item.rows for item in chosen),
        frauds=sum(item.frauds for item in chosen) + sum(item.frauds for item in late),
        start=start,
        end=end,
        imports=tuple(item.name for item in chosen),
        meeting=tuple((one.key, two.key) for one, two in combinations(chosen, 2) if one.meets(two)),
        deliveries=tuple(item.name for item in late),
    )


def manifest_uri(bucket: str, sha256: str) -> str:
    """The manifest that SageMaker reads for the training set with that digest."""
    return f"s3://{bucket}/{PREFIX}/{sha256}/dataset.manifest"


def keys(bucket: str, sha256: str) -> frozenset[str] | None:
    """The keys of the files of the training set with the digest `sha256`; None if its listing is gone or damaged.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    try:
        files, _window = json.loads(s3_objects.read(f"s3://{bucket}/{PREFIX}/{sha256}/files.json"))
        return frozenset(key for key, _ in files)
    except (DataError, ValueError, TypeError):
        return None


def listing(bucket: str, sha256: str) -> list[tuple[str, str]]:
    """Key and sha256 of each file of the training set with the digest `sha256`, verified by that digest.

    Raises:
        DataError: the listing is gone, or was replaced.
        CloudError: S3 refuses or cannot be reached.
    """
    uri = f"s3://{bucket}/{PREFIX}/{sha256}/files.json"
    content = s3_objects.read(uri)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{uri}: must have the sha256 that it is filed under (got {found}); it was replaced")
    files, _window = json.loads(content)
    return [(str(key), str(digest)) for key, digest in files]


def _nothing(every: list[ImportManifest], start: datetime | None, end: datetime | None) -> str:
    if not every:
        return "no import is complete"
    window = f"from {stamp(start) if start else 'the beginning'} to {stamp(end) if end else 'the end'}"
    span = f"{stamp(every[0].start)} to {stamp(max(item.end for item in every))}"
    return f"no import has events {window} (there are {len(every)}, {span})"


def _other_unit(item: ImportManifest, unit: str) -> str:
    """That an import's times are in another unit than data.yaml says, and what can be done."""
    return (
        f"its time column is in {', '.join(sorted(item.time_units))}, and data.yaml says {unit}. Correct the unit, or "
        f"import its files again with the data.yaml of today and take this import back with `fraudops data remove "
        f"{item.name}`"
    )


def _other_columns(item: ImportManifest, first: ImportManifest) -> str:
    """That two imports cannot be one data set, the columns in which they differ, and what can be done."""
    more = [name for name in item.columns if name not in first.columns]
    fewer = [name for name in first.columns if name not in item.columns]
    parts = [f"{word} {', '.join(names[:5])}" for word, names in (("with", more), ("without", fewer)) if names]
    differ = f" ({'; '.join(parts)})" if parts else ", in another order"
    return (
        f"has other columns than {first.key}{differ}: data.yaml was another one. Import the files of the former one "
        f"again with the data.yaml of today, take it back with `fraudops data remove {first.name}` or "
        f"`fraudops data remove {item.name}`, or choose a window in which they agree"
    )
