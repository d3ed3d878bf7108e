"""The listing of a training set: its files and the digest of each.

The lake writes it as training-sets/<digest>/files.json, where <digest> is the sha256 of the listing's own bytes and so
the name of the data in every record (DataSha256). What it says of the files is therefore as good as that name.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from ml.steps import job
from ml.steps.job import StepFailed, log

_REPLACED = "find out who replaced it, then put it back with `fraudops data import` of the same file"


def verify(dataset: Path, sha256: str, window: tuple[datetime | None, datetime | None]) -> None:
    """Checks that the files below `dataset` are those of the training set `sha256`, all of them and no others.

    Args:
        window: the start and the end that the rows will be cut at, which are part of the digest; None = open.

    Raises:
        StepFailed: the listing or a file is missing, changed or unlisted (named, with the digest expected and found),
            or the window is another.
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
            f"`fraudops train` writes it anew from the imports' manifests"
        )
    files, bounds = json.loads(text)
    listed = tuple(datetime.fromisoformat(bound) if bound else None for bound in bounds)
    if listed != window:
        raise StepFailed(f"{name}: is for the window {_words(listed)}, not {_words(window)}; give both of one training")
    expected: dict[str, str] = dict(files)
    _refuse_others(dataset, expected.keys() | {name})
    for key, digest in sorted(expected.items()):
        try:
            found = job.digest(dataset / key)
        except FileNotFoundError:
            raise StepFailed(f"{key}: expected sha256 {digest}, found no such file; {_REPLACED}") from None
        if found != digest:
            raise StepFailed(f"{key}: expected sha256 {digest}, found {found}; {_REPLACED}")
    log.info("%d files are those of training set %s", len(expected), sha256)


def _words(window: tuple[datetime | None, ...]) -> str:
    return " to ".join(bound.isoformat() if bound else "open" for bound in window)


def _refuse_others(dataset: Path, names: set[str]) -> None:
    """Files that nobody listed would be read all the same."""
    there = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if not path.is_dir()}
    others = sorted(there - names)
    if others:
        raise StepFailed(f"{', '.join(others[:5])}: not listed in the data set, so nothing says what it must be")
