"""Challenger against champion on rows that neither was made from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ml.model import champion_comparison
from ml.model.champion_comparison import Comparison
from tests.model.training_samples import GATE

RULE = GATE.challenger
WINDOWS = {
    "train": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    "validation": {"start": "2026-01-02T00:00:01Z", "end": "2026-01-03T00:00:00.000005Z"},
    "test": {"start": "2026-01-03T00:00:01Z", "end": "2026-01-04T00:00:00Z"},
}


def scored(n: int, frauds: int, strength: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and scores and decisions of a model that tells them apart by `strength`."""
    random = np.random.default_rng(seed)
    labels = np.r_[np.ones(frauds, int), np.zeros(n - frauds, int)]
    scores = 1 / (1 + np.exp(-(random.standard_normal(n) + strength * labels - 2)))
    return labels, scores, (scores >= 0.5).astype(int)


def compare(strength: float, against: float, n: int = 4000, frauds: int = 120) -> Comparison:
    """A challenger of one strength against a champion of another, on the same rows with the same noise."""
    labels, ours, our_decisions = scored(n, frauds, strength)
    _, theirs, their_decisions = scored(n, frauds, against)
    return champion_comparison.compare(
        labels,
        challenger=(ours, our_decisions),
        champion=(theirs, their_decisions),
        rule=RULE,
        seed=1,
        artifact_sha256="f" * 64,
    )


def test_a_model_is_exactly_as_good_as_itself() -> None:
    """Paired: no resample can tell a model from itself, so the interval has no width."""
    made = compare(3, 3)
    assert made.status == "compared"
    for figure in (made.average_precision, made.recall):
        assert figure is not None
        assert (figure.difference, figure.low, figure.high) == (0, 0, 0)


def test_the_figures_are_those_of_the_rows() -> None:
    """Average precision as scikit-learn has it, recall by counting; the difference is challenger minus champion."""
    made = compare(2, 4)
    labels, ours, decisions = scored(4000, 120, 2)
    assert made.average_precision is not None and made.recall is not None
    assert made.average_precision.challenger == pytest.approx(average_precision_score(labels, ours))
    assert made.recall.challenger == pytest.approx(decisions[labels == 1].mean())
    assert made.average_precision.difference < 0
    assert made.average_precision.low < made.average_precision.difference < made.average_precision.high


def test_the_interval_is_that_of_a_paired_bootstrap_over_rows() -> None:
    """Drawing cells draws rows: both give the same interval, to the noise of the bootstrap."""
    made = compare(2.5, 3)
    labels, ours, _ = scored(4000, 120, 2.5)
    _, theirs, _ = scored(4000, 120, 3)
    random = np.random.default_rng(0)
    plain = []
    for _ in range(300):
        rows = np.concatenate([random.integers(0, 120, 120), random.integers(120, 4000, 3880)])
        plain.append(
            average_precision_score(labels[rows], ours[rows]) - average_precision_score(labels[rows], theirs[rows])
        )
    low, high = np.quantile(plain, [0.025, 0.975])
    assert made.average_precision is not None
    assert made.average_precision.low == pytest.approx(low, abs=0.25 * (high - low))
    assert made.average_precision.high == pytest.approx(high, abs=0.25 * (high - low))


@pytest.mark.parametrize("seed", range(3))
def test_cells_that_many_rows_share_change_nothing(seed: int) -> None:
    """Rounded scores, full of ties, are compared as well."""
    labels, ours, decisions = scored(2000, 60, 2, seed)
    rounded = np.round(ours, 1)
    made = champion_comparison.compare(
        labels, challenger=(rounded, decisions), champion=(ours, decisions), rule=RULE, seed=0, artifact_sha256="f" * 64
    )
    assert made.average_precision is not None
    assert made.average_precision.challenger == pytest.approx(average_precision_score(labels, rounded))


def test_too_few_frauds_make_it_not_possible_and_said_so() -> None:
    """14 frauds where 15 are needed: no figure, a reason with the counts."""
    made = compare(3, 3, frauds=14)
    assert made.status == "not possible"
    assert made.average_precision is made.recall is None
    assert "14 frauds among the 4000 test rows that it has not seen, and 15 are needed" in made.reason


def test_rows_of_the_champions_training_and_validation_are_left_out() -> None:
    """First and last row of both windows count as seen; its test rows and later ones do not."""
    times = [
        "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:01Z",
        "2026-01-03T00:00:00.000005Z", "2026-01-03T00:00:00.000006Z", "2026-01-03T00:00:01Z", "2026-02-01T00:00:00Z",
    ]  # fmt: skip
    microseconds = [champion_comparison.microseconds(text) for text in times]
    expected = [True, False, False, False, False, True, True, True]
    assert champion_comparison.unseen(microseconds, WINDOWS).tolist() == expected


def test_times_are_read_exactly_and_need_an_offset() -> None:
    """Microseconds survive; a time without an offset could mean any, and is refused."""
    assert champion_comparison.microseconds("1970-01-01T01:00:00.000001+01:00") == 1
    with pytest.raises(ValueError, match="offset"):
        champion_comparison.microseconds("2026-01-01T00:00:00")


def test_the_first_model_has_no_champion_and_says_so() -> None:
    """Status none, with a sentence."""
    document = champion_comparison.NO_CHAMPION.to_dict()
    assert document["status"] == "none"
    assert "no champion" in document["reason"]
    assert set(document) == {field.name for field in dataclasses.fields(Comparison)}
