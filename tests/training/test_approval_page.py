"""Tests of what an approval page gathers from a drift reference and from Git; `propose` tests the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ml import config
from ml.gitops.reason_text import SameCoefficients
from ml.model.drift.performance_estimation import calibration
from ml.training.approval_page import same_coefficients, score_bands, settings_changed
from tests.harness.git.repositories import GitWorkspace


def test_bands_have_enough_frauds_and_all_rows() -> None:
    """At most nine bands; all but the last hold an eighth of the frauds, and the shares of frauds rise."""
    rng = np.random.default_rng(3)
    labels = (rng.random(20_000) < 0.01).astype(int)
    found = score_bands(calibration(np.clip(rng.normal(0.2 + 0.5 * labels, 0.15), 0, 1), labels))
    assert 2 <= len(found) <= 9
    assert (sum(band.rows for band in found), sum(band.frauds for band in found)) == (20_000, labels.sum())
    assert all(band.frauds >= labels.sum() / 8 for band in found[:-1])
    shares = [band.frauds / band.rows for band in found]
    assert shares == sorted(shares)
    assert (found[0].low, found[-1].high) == (None, None)
    assert [band.high for band in found[:-1]] == [band.low for band in found[1:]]


def test_reference_without_calibration_has_no_bands() -> None:
    """A model of an earlier version; and one whose held-out rows have no fraud has one band."""
    assert score_bands(None) == []
    (band,) = score_bands({"edges": [0.5], "rows": [90, 10], "frauds": [0, 0]})
    assert (band.rows, band.frauds) == (100, 0)


def test_fit_that_gives_the_champion_again_is_recognized() -> None:
    """By everything in model.json that is fitted; its threshold and code/ decide whether any decision changes."""
    former: dict[str, object] = {
        "parts": [{"coefficients": [1.0]}],
        "threshold": {"score": 0.5},
        "provenance": {"a": "b"},
    }

    code = {"code/inference.py": b"1", "code/ml/model/scorer.py": b"2"}

    def found(new: Mapping[str, bytes] = code, **changes: object) -> SameCoefficients | None:
        models = (json.dumps(document).encode() for document in (former, former | changes))
        return same_coefficients(
            *({"model.json": model, **files} for model, files in zip(models, (code, new), strict=True))
        )

    assert found(provenance={"a": "c"}) == SameCoefficients(threshold=True, code=True)
    assert found({**code, "baseline.json": b"{}"}) == SameCoefficients(threshold=True, code=True)
    assert found(threshold={"score": 0.6}) == SameCoefficients(threshold=False, code=True)
    for other in ({**code, "code/ml/model/scorer.py": b"3"}, {**code, "code/ml/new.py": b""}, {}):
        assert found(other) == SameCoefficients(threshold=True, code=False)
    assert found(code, parts=[{"coefficients": [1.5]}]) is None
    assert found(categories=["country"]) is None


def test_changed_settings_are_read_from_both_commits(tmp_path: Path) -> None:
    """By name with both values; nothing without a champion, and a file that cannot be read is left out."""
    (tmp_path / "README.md").write_text("A repository.\n")
    workspace = GitWorkspace.begin(tmp_path)
    commits = []
    for model, gate in (("value: 0.0025\n", "min_recall: 0.5\n"), ("value: 0.0095\n", "min_recall: [\n")):
        workspace.write({config.MODEL: f"threshold:\n  {model}", config.GATE: gate}, "Change settings")
        commits.append(workspace.git("rev-parse", "HEAD"))
    found = settings_changed(workspace.repository, commits[0], commits[1])
    assert [change.words for change in found] == ["threshold.value 0.0025 → 0.0095"]
    assert settings_changed(workspace.repository, None, commits[1]) == []
    assert settings_changed(workspace.repository, commits[0], commits[0]) == []
