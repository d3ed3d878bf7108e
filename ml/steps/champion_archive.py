"""Reads the champion's model archive, verified by the digest that Git records. Scores nothing."""

from __future__ import annotations

from pathlib import Path

from ml.model import artifact
from ml.model.artifact import Artifact, ArtifactInvalid
from ml.steps import job_runner
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
