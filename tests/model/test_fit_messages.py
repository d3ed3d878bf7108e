"""Sentences about a fit have the settings and their values."""

from __future__ import annotations

import pytest

from ml.model import fit_messages
from ml.model.training_settings import Regression, Resampling


@pytest.mark.parametrize(("ratio", "added", "said"), [(0.02, 0, True), (0.02, 7, False), (0.0, 0, False)])
def test_note_says_that_smote_added_nothing(ratio: float, added: int, said: bool) -> None:
    """Only where it is set."""
    notes = fit_messages.resampling_notes(Resampling(minority_ratio=ratio, neighbours=5), added)
    assert bool(notes) is said
    assert all(f"frauds already are {ratio:g} or more" in note for note in notes)


def test_error_names_what_can_be_changed() -> None:
    """Settings, values and reason."""
    text = fit_messages.not_converged(Regression(l2_penalty=0.1, max_iterations=30, tolerance=1e-6), "no step")
    assert "to 1e-06 within 30 iterations" in text
    assert all(name in text for name in ("max_iterations", "l2_penalty", "regression.tolerance", "(no step)"))
