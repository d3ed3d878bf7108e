"""`fraudops labels collect`: imports the label files in the lake's inbox, and moves each that was imported.

Any system that may write to `labels-inbox/` delivers labels so, without a person and without access to the labels
themselves. A file that is refused stays in the inbox and is refused again by each run until it is replaced or removed,
so that it cannot be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ml import config
from ml.aws import platform_stack, s3_objects
from ml.console import command, note
from ml.gitops import markdown_escaping
from ml.workflow import runner_commands

if TYPE_CHECKING:
    from ml.commands.labels_import import FileImport, LabelImport

INBOX = "labels-inbox/"
IMPORTED = f"{INBOX}imported/"
QUARANTINE = ".quarantine.csv"
"""The end of a quarantine's name, as in `ml.ingest.quarantine`, which imports pandas. A person's import wrote it."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The result of `fraudops labels collect`."""

    inbox: str
    """The URI of the inbox."""
    moved: tuple[str, ...]
    """The URIs to which the imported files were moved."""
    labels: LabelImport | None
    """The import; None if the inbox was empty."""


def collect(root: Path) -> Collected:
    """Imports every file directly in the inbox, whatever its name, except for quarantines; an empty inbox is no error.

    Args:
        root: the repository; model-config/ names the columns of label files, and the endpoint whose scored rows are
            looked up.

    Raises:
        Refused: the caller is the account's root user.
        ConfigError, CloudError: model-config/, the platform or its lake cannot be read or written.
    """
    columns, endpoint = config.load_data(root).labels, config.load_serving(root).endpoint
    platform_stack.refuse_root()
    bucket = platform_stack.read().bucket
    inbox = f"{s3_objects.SCHEME}{bucket}/{INBOX}"
    etags = {
        f"{s3_objects.SCHEME}{bucket}/{key}": etag
        for key, etag, _ in s3_objects.listed(bucket, INBOX)
        if "/" not in key.removeprefix(INBOX) and key != INBOX
    }
    files = [uri for uri in etags if not uri.endswith(QUARANTINE)]
    if not files:
        note(f"{inbox} has no files")
        return Collected(inbox=inbox, moved=(), labels=None)
    from ml.commands import labels_import  # it imports pandas, which an empty inbox does not need
    from ml.ingest.file_listing import FoundFile

    found = [FoundFile(path=uri, name=uri, partition={}) for uri in files]
    report = labels_import.import_into(
        bucket, found, columns=columns, endpoint=endpoint, channel=None, quarantine=False
    )
    moved = [_move(bucket, each, etags[each.path]) for each in report.files if not each.refused]
    runner_commands.summary(_summary(report))
    for each in report.files:
        if each.refused:
            command(runner_commands.annotate("error", f"Label file refused: {each.refused}"))
    return Collected(inbox=inbox, moved=tuple(filter(None, moved)), labels=report)


def _move(bucket: str, each: FileImport, etag: str) -> str:
    """Moves an imported file; returns where it is now, '' if it was replaced meanwhile and is left for the next run."""
    _, key = s3_objects.split(each.path)
    target = f"{IMPORTED}{each.name}/{PurePosixPath(key).name}"
    if s3_objects.move(bucket, key, target, etag=etag):
        return f"{s3_objects.SCHEME}{bucket}/{target}"
    note(f"{each.path} was replaced while it was imported; the next run imports it again")
    return ""


def _summary(report: LabelImport) -> str:
    rows = [
        [
            markdown_escaping.code(PurePosixPath(each.path).name),
            f"{each.imported:,}",
            f"{each.frauds:,}",
            f"**refused**: {markdown_escaping.text(each.refused)}" if each.refused else "imported",
        ]
        for each in report.files
    ]
    table = markdown_escaping.table(["file", "labels", "frauds", "result"], rows, numbers=(1, 2))
    found = (
        f"\n\n{report.events.unknown:,} labels are of events that are neither transactions of the lake nor scored rows."
    )
    return f"### Labels\n\n{table}{found if report.events.unknown else ''}"
