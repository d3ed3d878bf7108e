"""Tests of the comparison of challenger and champion."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ml.model import champion_comparison, paired_difference
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
    """The bootstrap is paired: the interval of a model against itself has no width, and rates have that of chance."""
    made = compare(3, 3)
    assert made.status == "compared"
    for figure in (made.average_precision, made.precision):
        assert figure is not None
        assert (figure.difference, figure.low, figure.high) == (0, 0, 0)
    for rate, rows in ((made.recall, 120), (made.false_positive_rate, 3880)):
        assert rate is not None
        assert rate.difference == 0
        assert rate.high == -rate.low == pytest.approx(1.96 * 2**0.5 / (rows + 2), rel=1e-3)


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
    assert (made.status, made.cause) == ("not possible", "few frauds")
    assert made.average_precision is made.recall is None
    assert made.slices == ()
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


def test_slices_are_compared_like_the_whole_with_wider_intervals() -> None:
    """Each slice has its own rows and figures; two slices share the chance of error of one interval."""
    labels, ours, decisions = scored(4000, 120, 2)
    _, theirs, their_decisions = scored(4000, 120, 3)
    half = np.arange(4000) % 2 == 0
    made = champion_comparison.compare(
        labels,
        challenger=(ours, decisions),
        champion=(theirs, their_decisions),
        rule=RULE,
        seed=1,
        artifact_sha256="f" * 64,
        slices={"even": half, "odd": ~half},
    )
    even, odd = made.slices
    assert (even.name, even.rows, even.positives, odd.positives) == ("even", 2000, 60, 60)
    fraud = (labels == 1) & half
    alone = paired_difference.of_rates(decisions[fraud], their_decisions[fraud], 0.975)
    assert even.recall == alone
    assert even.average_precision is not None
    assert even.average_precision.challenger == pytest.approx(average_precision_score(labels[half], ours[half]))
    assert json.loads(json.dumps(made.to_dict()))["slices"][1]["name"] == "odd"


def test_slice_without_frauds_has_no_recall() -> None:
    """A slice of legitimate rows has a false-positive rate and nothing to find."""
    labels, ours, decisions = scored(4000, 120, 2)
    made = champion_comparison.compare(
        labels,
        challenger=(ours, decisions),
        champion=(ours, decisions),
        rule=RULE,
        seed=1,
        artifact_sha256="f" * 64,
        slices={"legitimate": labels == 0},
    )
    (part,) = made.slices
    assert part.recall is part.average_precision is None
    assert part.false_positive_rate is not None


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_amount_bands_divide_the_rows(amounts: list[float]) -> None:
    """Every row is in exactly one band, and no band is empty."""
    bands = champion_comparison.amount_bands(amounts)
    assert all(mask.any() for mask in bands.values())
    assert np.sum(list(bands.values()), axis=0).tolist() == [1] * len(amounts) or not amounts


def test_amount_bands_are_named_by_their_edges() -> None:
    """A hundred amounts are divided at 50, 90 and 99 %."""
    bands = champion_comparison.amount_bands(np.arange(1.0, 102.0))
    assert {name: int(mask.sum()) for name, mask in bands.items()} == {
        "amount below 51": 50,
        "amount 51 to 91": 40,
        "amount 91 to 100": 9,
        "amount 100 or more": 2,
    }


def test_patterns_follow_the_part_with_the_higher_log_odds() -> None:
    """A model of one part has no patterns to compare."""
    found = champion_comparison.patterns(np.array([[1.0, -1.0], [-3.0, -2.0], [0.0, 0.0]]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "known pattern": [True, False, True],
        "new pattern": [False, True, False],
    }
    assert champion_comparison.patterns(np.zeros((3, 1))) == {}
