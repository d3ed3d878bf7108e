"""Verifies the files of a training set against its listing.

The lake writes the listing as training-sets/<digest>/files.json. <digest> is the sha256 of the listing's bytes and
identifies the data in every record (DataSha256). That digest therefore covers every file.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from ml.steps import job_runner
from ml.steps.job_runner import StepFailed, log

_REPLACED = "find out who replaced it, then put it back with `fraudops data import` of the same file"


def verify(dataset: Path, sha256: str, window: tuple[datetime | None, datetime | None]) -> None:
    """Checks that the files below `dataset` are exactly those of the training set `sha256`.

    Args:
        window: start and end of the training window, which are part of the digest; None = open.

    Raises:
        StepFailed: the listing or a file is missing, changed or unlisted (the message has its name, the expected and
            the actual digest), or the window differs.
    """
    name = f"training-sets/{sha256}/files.json"
    try:
        text = (dataset / name).read_bytes()
    except FileNotFoundError:
        raise StepFailed(
            f"{name} is not among the files of the data set; DataManifestUri and DataSha256 must be of one training set"
        ) from None
    found = hashlib.sha256(text).hexdigest()
    if found != sha256:
        raise StepFailed(
            f"{name}: expected sha256 {sha256}, found {found}: the listing was replaced; "
            f"`fraudops train` writes it again from the imports' manifests"
        )
    files, bounds = json.loads(text)
    listed = tuple(datetime.fromisoformat(bound) if bound else None for bound in bounds)
    if listed != window:
        raise StepFailed(
            f"{name}: is for the window {_describe(listed)}, not {_describe(window)}; window and DataSha256 must be of "
            f"one training set"
        )
    expected: dict[str, str] = dict(files)
    _check_all_listed(dataset, expected.keys() | {name})
    for key, digest in sorted(expected.items()):
        try:
            found = job_runner.file_sha256(dataset / key)
        except FileNotFoundError:
            raise StepFailed(f"{key}: expected sha256 {digest}, found no such file; {_REPLACED}") from None
        if found != digest:
            raise StepFailed(f"{key}: expected sha256 {digest}, found {found}; {_REPLACED}")
    log.info("%d files are those of training set %s", len(expected), sha256)


def _describe(window: tuple[datetime | None, ...]) -> str:
    return " to ".join(bound.isoformat() if bound else "open" for bound in window)


def _check_all_listed(dataset: Path, names: set[str]) -> None:
    """The Prepare step reads every file in the folder, so an unlisted file would be read without verification."""
    files = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if not path.is_dir()}
    unlisted = sorted(files - names)
    if unlisted:
        raise StepFailed(f"{', '.join(unlisted[:5])}: not in the listing of the training set, so it cannot be verified")
