"""`fraudops labels import`: imports files of labels into the data lake, each completely or not at all.

A correction is a later label of the same event and channel. Equal labels are stored once, so that an import that was
interrupted can be repeated. An event id that is not known is no fault: its transaction may be captured traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from ml import clock, config
from ml.aws import platform_stack
from ml.aws.labels import store
from ml.aws.labels.event_lookup import EventLookup, Found
from ml.console import note
from ml.errors import DataError
from ml.ingest import file_listing, label_file
from ml.ingest import quarantine as quarantine_file
from ml.ingest.file_listing import FoundFile
from ml.ingest.label_file import LabelFile

_SHOWN_FILES = 5


@dataclass(frozen=True, kw_only=True)
class FileImport:
    """The result of one file: `rows` = `imported` + `repeated` + `quarantined`, unless it was refused."""

    path: str
    refused: str | None
    """Why nothing of the file was imported; None if it was."""
    name: str | None = None
    """The delivery's folder below labels/; None if the file was refused."""
    uri: str | None = None
    new: bool = False
    """False if the lake already had these labels and nothing was written."""
    rows: int = 0
    imported: int = 0
    repeated: int = 0
    """Rows that repeat another row of the file in every column; they are stored once."""
    quarantined: int = 0
    quarantine_path: str | None = None
    problems: dict[str, int]
    """Number of faulty rows by kind of fault."""
    frauds: int = 0
    channels: dict[str, int]
    """Number of imported labels by channel."""
    first: datetime | None = None
    last: datetime | None = None
    """The earliest and the latest time at which a label became known."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LabelImport:
    """The result of `fraudops labels import`, in the order of the files."""

    files: tuple[FileImport, ...]
    rows: int
    imported: int
    quarantined: int
    frauds: int
    events: Found
    """Labels of unknown events, and labels that are older than their event."""

    @property
    def error(self) -> DataError | None:
        """The error that names the refused files; None if there are none."""
        refused = [each for each in self.files if each.refused]
        if not refused:
            return None
        others = [each.path for each in refused[1:]]
        shown = ", ".join(others[:_SHOWN_FILES]) + (
            f" and {len(others) - _SHOWN_FILES} more" * (len(others) > _SHOWN_FILES)
        )
        also = f"; also refused: {shown}" if others else ""
        kept = f"; imported: {len(self.files) - len(refused)} of {len(self.files)} files" if len(self.files) > 1 else ""
        return DataError(f"{refused[0].refused}{also}{kept}")


def import_files(root: Path, paths: Sequence[str], *, channel: str | None, quarantine: bool) -> LabelImport:
    """Imports label files into the platform's lake; a file that is refused does not stop the others.

    Args:
        root: the repository; model-config/ names the columns of label files, and the endpoint whose scored rows are
            looked up.
        paths: files, folders, patterns or S3 prefixes (`file_listing.find`).
        channel: analyst or chargeback, of the labels of files without a column of channels; that of data.yaml if None.
        quarantine: whether faulty rows go to PATH.quarantine.csv and the others are imported.

    Raises:
        Refused: the caller is the account's root user.
        ConfigError, CloudError: model-config/ or the platform cannot be read.
        DataError: a path means no file.
    """
    file_listing.require(paths)  # before AWS is asked
    files = file_listing.find(paths)
    columns, endpoint = config.load_data(root).labels, config.load_serving(root).endpoint
    platform_stack.refuse_root()
    bucket = platform_stack.read().bucket
    return import_into(bucket, files, columns=columns, endpoint=endpoint, channel=channel, quarantine=quarantine)


def import_into(
    bucket: str,
    files: Sequence[FoundFile],
    *,
    columns: config.LabelColumns,
    endpoint: str,
    channel: str | None,
    quarantine: bool,
) -> LabelImport:
    """Imports label files into the lake `bucket`; see `import_files`."""
    now = clock.now()
    with EventLookup(bucket, endpoint) as lookup:
        results = []
        for number, file in enumerate(files, start=1):
            try:
                content = label_file.read(file.path, columns, channel=channel, now=now, partition=file.partition)
            except DataError as error:
                results.append(FileImport(path=file.path, refused=str(error), problems={}, channels={}))
            else:
                results.append(_import_file(bucket, content, lookup, quarantine=quarantine))
            if len(files) > 1:
                note(f"{number} of {len(files)}: {file.path}: {_outcome(results[-1])}")
        events = lookup.find()
    return LabelImport(
        files=tuple(results),
        rows=sum(each.rows for each in results),
        imported=sum(each.imported for each in results),
        quarantined=sum(each.quarantined for each in results),
        frauds=sum(each.frauds for each in results),
        events=events,
    )


def _import_file(bucket: str, file: LabelFile, lookup: EventLookup, *, quarantine: bool) -> FileImport:
    content, faulty, place = file.content, file.faulty_rows, None
    problems = quarantine_file.counts(content)
    if faulty and (not quarantine or not file.labels.num_rows):
        refusal = _refusal(file, problems, quarantine)
        return FileImport(path=content.path, refused=refusal, rows=file.rows, problems=problems, channels={})
    if faulty:
        place, _ = quarantine_file.write(content)
    delivered = store.deliver(bucket, file.labels)
    lookup.add(file.labels)
    known = file.labels["known_at"]
    channels = {name: pc.sum(pc.equal(file.labels["channel"], name)).as_py() for name in store.CHANNELS}
    return FileImport(
        path=content.path,
        refused=None,
        name=delivered.name,
        uri=delivered.uri,
        new=delivered.new,
        rows=file.rows,
        imported=delivered.rows,
        repeated=file.repeated,
        quarantined=faulty,
        quarantine_path=place,
        problems=problems,
        frauds=delivered.frauds,
        channels={name: count for name, count in channels.items() if count},
        first=pc.min(known).as_py(),
        last=pc.max(known).as_py(),
        notes=_notes(file),
    )


def _notes(file: LabelFile) -> tuple[str, ...]:
    found = []
    if file.ignored:
        shown = ", ".join(file.ignored[:8]) + (", …" if len(file.ignored) > 8 else "")
        found.append(f"columns that are none of a label were ignored: {shown}")
    same = file.labels.group_by(["event_id", "channel", "known_at"], use_threads=False).aggregate([])
    if contradictory := file.labels.num_rows - same.num_rows:
        found.append(f"events with both labels of one channel and time: {contradictory}; there, fraud counts")
    return tuple(found)


def _refusal(file: LabelFile, problems: dict[str, int], quarantine: bool) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in problems.items())
    found = (
        f"{file.content.path}: {quarantine_file.first_problem(file.content)}; {file.faulty_rows} of {file.rows} rows "
        f"break the contract of labels ({kinds})"
    )
    if quarantine:
        return f"{found}, so no row is left to import; correct them at the source"
    return f"{found}; correct them at the source, or import with --quarantine to quarantine them"


def _outcome(result: FileImport) -> str:
    if result.refused:
        return "refused"
    return f"{result.imported:,} labels {'imported' if result.new else 'in the lake already'}"
