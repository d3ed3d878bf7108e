"""Reads the champion's model archive, verified by the digest that Git records, and finds the rows that it has not seen.

Scores nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.model import artifact, champion_comparison
from ml.model.artifact import Artifact, ArtifactInvalid
from ml.model.drift.reference import FITTED_NUMBERS
from ml.model.run_kinds import ADAPT, FIT, THRESHOLD, RunKind
from ml.model.stored_rows import Rows
from ml.steps import job_runner, prepared_files
from ml.steps.job_runner import StepFailed

ARCHIVE = "model.tar.gz"


def read(folder: Path, sha256: str, *, parameter: str) -> Artifact | None:
    """The archive in `folder` that Git records as serving; None if no digest is given.

    Args:
        sha256: the digest that the archive must have; '' for none, then `folder` must hold no archive.
        parameter: the pipeline's parameter that names the folder, for errors.

    Raises:
        StepFailed: the archive is missing, unexpected, invalid, or another one than the recorded.
    """
    path = folder / ARCHIVE
    if not sha256:
        if path.is_file():
            raise StepFailed(f"{path}: unexpected archive; no digest of a champion was given")
        return None
    if not path.is_file():
        raise StepFailed(f"{path}: no such file although the champion {sha256} serves; check {parameter}")
    digest = job_runner.file_sha256(path)
    if digest != sha256:
        raise StepFailed(f"{path}: digest {digest} is not that of the champion, {sha256}: the object was replaced")
    try:
        return artifact.read(path.read_bytes())
    except ArtifactInvalid as error:
        raise StepFailed(f"{path}: the champion's archive is invalid: {error}") from error


def unfitted_rows(champion: Artifact, kind: RunKind, rows: Rows) -> NDArray[np.bool_]:
    """Mask of the prepared `rows` on which no coefficient was fitted that a run of `kind` keeps.

    A new threshold keeps both parts; an adaptation, and a run that drops a part, keep the part for known patterns. The
    scores of fitted rows are not those of new rows: they would overstate what the champion finds. Rows on which only a
    threshold was chosen do not count.
    """
    kept = {FITTED_NUMBERS[FIT], FITTED_NUMBERS[ADAPT]} if kind == THRESHOLD else {FITTED_NUMBERS[FIT]}
    windows = [window for window in champion.baseline["fitted"] if window["numbers"] in kept]
    return champion_comparison.unseen(prepared_files.times(rows).astype(np.int64), windows)
