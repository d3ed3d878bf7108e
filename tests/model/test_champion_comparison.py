"""Tests of the comparison of challenger and champion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ml.model import champion_comparison
from ml.model.champion_comparison import Comparison
from tests.model.training_samples import GATE

RULE = GATE.challenger
FITTED = [
    {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    {"start": "2026-01-02T00:00:01Z", "end": "2026-01-03T00:00:00.000005Z"},
]


def scored(n: int, frauds: int, strength: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and scores and decisions of a model whose separation is `strength`."""
    random = np.random.default_rng(seed)
    labels = np.r_[np.ones(frauds, int), np.zeros(n - frauds, int)]
    scores = 1 / (1 + np.exp(-(random.standard_normal(n) + strength * labels - 2)))
    return labels, scores, (scores >= 0.5).astype(int)


def compare(strength: float, against: float, n: int = 4000, frauds: int = 120) -> Comparison:
    """Compares a challenger and a champion of two strengths on the same rows with the same noise."""
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


def test_compare_model_with_itself_gives_zero_interval() -> None:
    """The bootstrap is paired, so the interval of a model against itself has no width."""
    made = compare(3, 3)
    assert made.status == "compared"
    for figure in (made.average_precision, made.recall):
        assert figure is not None
        assert (figure.difference, figure.low, figure.high) == (0, 0, 0)


def test_compare_figures_match_scikit_learn_and_counting() -> None:
    """Average precision equals scikit-learn's and recall the count; the difference is challenger minus champion."""
    made = compare(2, 4)
    labels, ours, decisions = scored(4000, 120, 2)
    assert made.average_precision is not None and made.recall is not None
    assert made.average_precision.challenger == pytest.approx(average_precision_score(labels, ours))
    assert made.recall.challenger == pytest.approx(decisions[labels == 1].mean())
    assert made.average_precision.difference < 0
    assert made.average_precision.low < made.average_precision.difference < made.average_precision.high


def test_compare_interval_matches_row_bootstrap() -> None:
    """Drawing cells gives the same interval as drawing rows, to the noise of the bootstrap."""
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
def test_compare_handles_ties(seed: int) -> None:
    """Rounded scores with many ties are compared as well."""
    labels, ours, decisions = scored(2000, 60, 2, seed)
    rounded = np.round(ours, 1)
    made = champion_comparison.compare(
        labels, challenger=(rounded, decisions), champion=(ours, decisions), rule=RULE, seed=0, artifact_sha256="f" * 64
    )
    assert made.average_precision is not None
    assert made.average_precision.challenger == pytest.approx(average_precision_score(labels, rounded))


def test_compare_is_not_possible_with_too_few_frauds() -> None:
    """14 frauds with a minimum of 15 give no figure, and a reason with the counts."""
    made = compare(3, 3, frauds=14)
    assert made.status == "not possible"
    assert made.average_precision is made.recall is None
    assert "14 frauds among the 4000 test rows that it has not seen, and 15 are needed" in made.reason


def test_unseen_excludes_every_window_that_the_model_depends_on() -> None:
    """The first and last row of each window count as seen; rows between and after them do not."""
    times = [
        "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:01Z",
        "2026-01-03T00:00:00.000005Z", "2026-01-03T00:00:00.000006Z", "2026-01-03T00:00:01Z", "2026-02-01T00:00:00Z",
    ]  # fmt: skip
    microseconds = [champion_comparison.microseconds(text) for text in times]
    expected = [True, False, False, False, False, True, True, True]
    assert champion_comparison.unseen(microseconds, FITTED).tolist() == expected


def test_microseconds_are_exact_and_need_an_offset() -> None:
    """Microseconds are kept; a time without an offset is rejected."""
    assert champion_comparison.microseconds("1970-01-01T01:00:00.000001+01:00") == 1
    with pytest.raises(ValueError, match="offset"):
        champion_comparison.microseconds("2026-01-01T00:00:00")


def test_no_champion_has_status_none_and_a_reason() -> None:
    """Without a champion the status is none, with a reason."""
    document = champion_comparison.NO_CHAMPION.to_dict()
    assert document["status"] == "none"
    assert "no champion" in document["reason"]
    assert set(document) == {field.name for field in dataclasses.fields(Comparison)}
