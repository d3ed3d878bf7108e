"""The champion is read only if its bytes are those that Git records; the error names the pipeline's parameter."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ml.steps import champion_archive
from ml.steps.champion_archive import ARCHIVE
from ml.steps.job_runner import StepFailed
from tests.steps.step_runs import Bench

pytestmark = pytest.mark.container


def test_recorded_archive_is_read(finished: Bench, tmp_path: Path) -> None:
    """Its digest is the one given, and its model scores."""
    (tmp_path / ARCHIVE).write_bytes(finished.artifact())
    sha256 = hashlib.sha256(finished.artifact()).hexdigest()
    found = champion_archive.read(tmp_path, sha256, parameter="BaseModelUri")
    assert found is not None
    assert (found.sha256, found.model.inputs) == (sha256, ("Time", "V1", "V2", "V3", "Amount"))


def test_placeholder_is_no_champion(tmp_path: Path) -> None:
    """Without a digest there is none, whatever else the folder holds; an archive beside no digest is an error."""
    (tmp_path / "none.json").write_text('{"champion": null}')
    assert champion_archive.read(tmp_path, "", parameter="ChampionUri") is None
    (tmp_path / ARCHIVE).write_bytes(b"")
    with pytest.raises(StepFailed, match="no digest of a champion was given"):
        champion_archive.read(tmp_path, "", parameter="ChampionUri")


@pytest.mark.parametrize("parameter", ["ChampionUri", "BaseModelUri"])
def test_missing_archive_names_the_parameter(tmp_path: Path, parameter: str) -> None:
    """Train and Evaluate read it from parameters of their own."""
    with pytest.raises(StepFailed, match=f"no such file although the champion {'a' * 64} serves; check {parameter}"):
        champion_archive.read(tmp_path, "a" * 64, parameter=parameter)


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    """Replaced bytes are refused by their digest, damaged ones that were recorded by their content."""
    (tmp_path / ARCHIVE).write_bytes(b"damaged")
    with pytest.raises(StepFailed, match="the object was replaced"):
        champion_archive.read(tmp_path, "a" * 64, parameter="ChampionUri")
    recorded = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(StepFailed, match="the champion's archive is invalid: archive: not a readable gzip"):
        champion_archive.read(tmp_path, recorded, parameter="ChampionUri")
