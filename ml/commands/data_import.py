"""`fraudops data import`: imports files of transactions into the data lake, all of them or none."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from ml import clock, config, console
from ml.aws import platform_stack, s3_objects
from ml.aws.import_manifest import ImportManifest, Source, StoredSource
from ml.aws.lake import Lake
from ml.errors import DataError
from ml.ingest import data_file, event_times, file_listing, lake_tables
from ml.ingest import quarantine as quarantine_file
from ml.ingest.category_values import CategoryValues
from ml.ingest.content import Content
from ml.ingest.event_times import Dating
from ml.ingest.file_listing import FoundFile
from ml.model import data_contract, time_units
from ml.model.data_contract import Fault
from ml.model.training_settings import Columns


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """The result of an import: `rows` of the files = `imported` + `quarantined`.

    Files that the lake has already are counted in `present` only.
    """

    path: str
    name: str
    """The import's folder below raw/ and labels/; that of an earlier import if the lake had all files."""
    manifest_uri: str
    new: bool
    """False if the lake already had this content and nothing was written."""
    files: int
    present: int
    """Files of which the lake has the content, from an earlier import or under another name."""
    rows: int
    imported: int
    quarantined: int
    quarantine_path: str | None
    """The file with the quarantined rows; the first one if there are several."""
    problems: dict[str, int]
    """Number of quarantined rows by kind of fault."""
    frauds: int
    duplicates: int
    """Rows that repeat an earlier row; they are imported."""
    start: datetime
    end: datetime
    """First and last event."""
    notes: tuple[str, ...]
    """Assumptions about what the files do not say, and warnings."""


def import_files(
    root: Path, paths: Sequence[str], *, start: date | None, quarantine: bool, labelled: bool
) -> ImportReport:
    """Imports `paths` into the platform's lake, with the columns that model-config/ below `root` names.

    Raises:
        Refused: the caller is the account's root user.
        ConfigError, CloudError: model-config/ or the platform cannot be read.
        DataError: as `import_data`.
    """
    data, model = config.load_data(root), config.load_model(root)
    file_listing.require(paths)  # before AWS is asked
    platform_stack.refuse_root()
    return import_data(
        *paths,
        lake=Lake(platform_stack.read().bucket),
        columns=data.to_columns(),
        renamed=data.renamed,
        max_values=model.categories.max_values,
        start=start,
        quarantine=quarantine,
        labelled=labelled,
    )


def import_data(
    *paths: str,
    lake: Lake,
    columns: Columns,
    renamed: Mapping[str, str] | None = None,
    max_values: int | None = None,
    start: date | None,
    quarantine: bool,
    labelled: bool = True,
) -> ImportReport:
    """Imports the files that `paths` mean (`file_listing.find`) into `lake`, as one import.

    A file whose content the lake has is left out, so the same command can be repeated each day. A run that was
    interrupted goes on where it stopped when it is repeated.

    Args:
        columns: the columns to read, in any order.
        renamed: the columns that files call otherwise: their name in files, and that in `columns`.
        max_values: how many different values of a category training allows; more of them are a warning, as the limit
            may be raised without another import. None for any number.
        start: the day, midnight UTC, from which the time column counts, if its unit is seconds since a start
            (2013-09-01 if None); or the day of a file without any time.
        quarantine: whether faulty rows go to PATH.quarantine.csv and the others are imported.
        labelled: whether the files must have labels; without, a label column is ignored.

    Raises:
        DataError: a file breaks the contract; nothing was imported.
        CloudError: S3 refused or was unreachable; no part of the import is visible.
    """
    found = file_listing.find(paths)
    run = _Run(
        lake=lake,
        columns=columns,
        renamed=renamed or {},
        categories=CategoryValues(columns=columns, max_values=sys.maxsize if max_values is None else max_values),
        dating=Dating(start=start, day=None, alone=len(found) == 1, now=clock.now()),
        quarantine=quarantine,
        labelled=labelled,
        known={source.content_sha256: item for item in lake.imports() for source in item.sources},
    )
    for place, file in enumerate(found, start=1):
        if len(found) > 1:
            console.note(f"file {place} of {len(found)}: {file.path}")
        run.take(file)
    return run.finish(found)


@dataclass(kw_only=True)
class _Run:
    """Takes one file after the other, and makes an import of those that are new."""

    lake: Lake
    columns: Columns
    renamed: Mapping[str, str]
    categories: CategoryValues
    dating: Dating
    quarantine: bool
    labelled: bool
    known: dict[str, ImportManifest]
    """The import of each content in the lake."""
    stored: list[StoredSource] = field(default_factory=list)
    present: list[ImportManifest | None] = field(default_factory=list)
    """For each file whose content the lake has, its import; None for a file with the content of another of this run."""
    uploaded: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    quarantine_paths: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    def take(self, file: FoundFile) -> None:
        """Stores the file's rows, unless the lake has them."""
        identity = self._identity(file)
        stored = self.lake.progress(identity)
        if stored is None:
            stored = self._store(file)
            self.lake.record_progress(identity, stored)
        if stored.content_sha256 in self.known:
            self.present.append(self.known[stored.content_sha256])
        elif any(stored.content_sha256 == other.content_sha256 for other in self.stored):
            self.present.append(None)
            self.notes[f"{file.name} has the same rows as another file of this run and is left out"] = None
        else:
            self.stored.append(stored)

    def finish(self, found: Sequence[FoundFile]) -> ImportReport:
        """Makes the import visible, and reports it."""
        new = self.stored
        if new:
            done = self.lake.complete(new)
            manifest, uri, written = done.manifest, done.manifest_uri, bool(done.uploaded) or bool(self.uploaded)
            self.notes |= dict.fromkeys(_overlaps(self.lake, manifest))
        else:
            manifest = next(item for item in reversed(self.present) if item is not None)
            uri, written = f"s3://{self.lake.bucket}/{manifest.key}", bool(self.uploaded)
        shown = manifest if not new else ImportManifest.of(new)
        rows = shown.rows + shown.quarantined
        return ImportReport(
            path=found[0].path if len(found) == 1 else f"{found[0].path} to {found[-1].path}",
            name=manifest.name,
            manifest_uri=uri,
            new=written,
            files=len(found),
            present=len(self.present),
            rows=rows,
            imported=shown.rows,
            quarantined=shown.quarantined,
            quarantine_path=self.quarantine_paths[0] if self.quarantine_paths else None,
            problems=dict(sorted(self.problems.items(), key=lambda item: (-item[1], item[0]))),
            frauds=shown.frauds,
            duplicates=shown.duplicates,
            start=shown.start,
            end=shown.end,
            notes=tuple(self.notes),
        )

    def _identity(self, file: FoundFile) -> str:
        """What the stored rows of a file depend on: its content, the columns, and how it is dated."""
        relative = self.columns.time is None or self.columns.time.unit == time_units.SECONDS_SINCE_START
        about = {
            "content": _version(file.path),
            "columns": asdict(self.columns),
            **({"renamed": dict(self.renamed)} if self.renamed else {}),
            "partition": dict(file.partition),
            "labelled": self.labelled,
            "dating": [str(self.dating.start), str(file.day), self.dating.alone] if relative else [],
        }
        return json.dumps(about, sort_keys=True)

    def _store(self, file: FoundFile) -> StoredSource:
        dating, assumed = replace(self.dating, day=file.day), list[str]()

        def faults(frame: pd.DataFrame) -> list[Fault]:
            dated = event_times.date_rows(file.path, frame, self.columns, dating)
            assumed.extend(dated.notes)
            return event_times.time_faults(frame, self.columns, dating, dated.column)

        content = data_file.read(
            file.path,
            self.columns,
            renamed=self.renamed,
            labelled=self.labelled,
            partition=file.partition,
            further_faults=faults,
        )
        quarantined = self._set_aside(content)
        self.notes |= dict.fromkeys(assumed)
        for warning in self.categories.add(file.path, content.frame[~content.bad]):
            console.note(f"warning: {warning}")
            self.notes[warning] = None
        frame, digest = lake_tables.identified(content.frame[~content.bad].reset_index(drop=True), self.columns)
        transactions, labels = lake_tables.tables(frame, self.columns)
        stored, uploaded = self.lake.store_source(
            transactions,
            labels,
            source=Source(name=file.name, bytes=content.bytes, sha256=content.sha256, time_unit=self.columns.time_unit),
            content_sha256=digest,
            duplicates=data_contract.duplicates(frame),
            quarantined=quarantined,
        )
        if stored.rows + quarantined != len(content.frame):
            raise DataError(
                f"{file.path}: {len(content.frame)} rows were read, but {stored.rows} were stored and {quarantined} "
                f"quarantined; report this as a defect"
            )
        self.uploaded += len(uploaded)
        return stored

    @property
    def _features(self) -> list[str]:
        """The features' names in files."""
        in_files = {name: file for file, name in self.renamed.items()}
        return [in_files.get(name, name) for name in self.columns.features]

    def _set_aside(self, content: Content) -> int:
        """Quarantines the rows with faults, and returns their number. Raises DataError if the import must stop."""
        bad = content.bad
        if not bad.any():
            return 0
        if not self.quarantine or bad.all():
            raise DataError(_refusal(content, int(bad.sum()), self._features, quarantine=self.quarantine))
        place, rows = quarantine_file.write(content)
        self.quarantine_paths.append(place)
        self.problems.update(quarantine_file.counts(content))
        return rows


def _version(path: str) -> str:
    """Identifies the content of a file without reading its rows: S3's ETag and size, or the digest of a local file."""
    if path.startswith(s3_objects.SCHEME):
        return s3_objects.version(path)
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError:
        return path  # reading it says what is wrong
    return digest.hexdigest()


def _refusal(content: Content, bad: int, features: Sequence[str], *, quarantine: bool) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in quarantine_file.counts(content).items())
    share = f"{bad} of {len(content.frame)} rows break the contract ({kinds})"
    found = f"{content.path}: {quarantine_file.first_problem(content)}; {share}"
    hint = _text_columns(content, features)
    if quarantine:
        return f"{found}, so no row is left to import; correct them at the source{hint}"
    return f"{found}; correct them at the source, or import with --quarantine to quarantine them{hint}"


def _text_columns(content: Content, features: Sequence[str]) -> str:
    """What to do about `features` that are no number in any row; '' if there are none."""
    rows_by_column: Counter[str] = Counter()
    for fault in content.faults:
        if fault.kind == "not a number" and fault.column is not None and fault.column in features:
            rows_by_column[fault.column] += fault.rows.size
    text = [name for name, rows in rows_by_column.items() if rows == len(content.frame)]
    return f". A column of text belongs in categories of data.yaml, not in features: {', '.join(text)}" if text else ""


def _overlaps(lake: Lake, manifest: ImportManifest) -> tuple[str, ...]:
    """Warnings of imports with events of the same time: a corrected file does not replace the first."""
    return tuple(
        f"the lake also has {other.rows} transactions of the same time from {other.source_names}; if they are the same "
        f"ones, training counts them twice: `fraudops data remove {other.name}`"
        for other in lake.imports()
        if manifest.meets(other)
    )
