"""Tests of figures, intervals and counts against scikit-learn and a plain bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import average_precision_score, roc_auc_score

from ml.model import metrics
from ml.model.metrics import Confusion, Ranking

# few distinct scores, so that ties between and within classes are the rule
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=60)


def sample(n: int = 3000, share: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores that overlap, rounded so that some tie."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < share).astype(int)
    return labels, np.round(1 / (1 + np.exp(-random.normal(labels * 2.0 - 2, 1))), 3)


def test_rate_wilson_interval_matches_published_value() -> None:
    """81 of 263 gives 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I, method 3)."""
    figure = metrics.rate(81, 263, "nothing")
    assert (figure.count, figure.of) == (81, 263)
    assert figure.low == pytest.approx(0.2553, abs=5e-5)
    assert figure.high == pytest.approx(0.3662, abs=5e-5)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_rate_is_inside_its_interval(count: int, of: int) -> None:
    """Also at 0 and at 1, where a normal approximation has no width."""
    assume(count <= of)
    figure = metrics.rate(count, of, "nothing")
    assert figure.value is not None and figure.low is not None and figure.high is not None
    assert 0 <= figure.low <= figure.value + 1e-12
    assert figure.value - 1e-12 <= figure.high <= 1
    assert figure.low < figure.high


def test_rate_of_no_rows_is_null_with_reason() -> None:
    """0 of 0 is neither 0 nor NaN."""
    figure = metrics.rate(0, 0, "no alerts among the rows").to_dict()
    assert figure == {
        "value": None, "low": None, "high": None, "count": 0, "of": 0, "reason": "no alerts among the rows",
    }  # fmt: skip


def test_estimate_has_the_five_keys_of_an_approval() -> None:
    """A defined figure has value, low, high, count and of, and nothing else."""
    assert set(metrics.rate(1, 2, "").to_dict()) == {"value", "low", "high", "count", "of"}


@given(ROWS)
def test_average_precision_and_roc_auc_match_scikit_learn(rows: list[tuple[int, int]]) -> None:
    """Both agree with scikit-learn, also with ties."""
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1] / 10 for r in rows])
    assume(0 < labels.sum() < len(labels))
    ranking = Ranking(labels, scores)
    weights = ranking.frauds_by_group[None], ranking.rows_by_cell[None]
    assert ranking.average_precision(*weights)[0] == pytest.approx(average_precision_score(labels, scores))
    assert ranking.roc_auc(*weights)[0] == pytest.approx(roc_auc_score(labels, scores))


@given(ROWS, st.integers(0, 2**32 - 1))
def test_ranking_counts_represent_resampled_rows(rows: list[tuple[int, int]], seed: int) -> None:
    """A resample counted per group and cell has the average precision of the resampled rows."""
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1] / 10 for r in rows])
    assume(0 < labels.sum() < len(labels))
    random = np.random.default_rng(seed)
    fraud, legitimate = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    f, r = random.integers(0, len(fraud), len(fraud)), random.integers(0, len(legitimate), len(legitimate))
    drawn = np.concatenate([fraud[f], legitimate[r]])
    ranking = Ranking(labels, scores)
    weights = (
        np.bincount(ranking.group[f], minlength=ranking.groups)[None],
        np.bincount(ranking.cell[r], minlength=ranking.cells)[None],
    )
    assert ranking.average_precision(*weights)[0] == pytest.approx(
        average_precision_score(labels[drawn], scores[drawn])
    )
    assert ranking.roc_auc(*weights)[0] == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]))


def test_bootstrap_matches_row_bootstrap() -> None:
    """Intervals match those of a stratified bootstrap over row numbers, to its noise."""
    labels, scores = sample()
    figures = metrics.ranking_figures(labels, scores, seed=1)
    random = np.random.default_rng(2)
    fraud, legitimate = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    plain = []
    for _ in range(400):
        rows = np.concatenate([random.choice(fraud, len(fraud)), random.choice(legitimate, len(legitimate))])
        plain.append((average_precision_score(labels[rows], scores[rows]), roc_auc_score(labels[rows], scores[rows])))
    for column, name in enumerate(("average_precision", "roc_auc")):
        low, high = np.quantile(np.array(plain)[:, column], [0.025, 0.975])
        width = high - low
        assert figures[name].low == pytest.approx(low, abs=0.2 * width)
        assert figures[name].high == pytest.approx(high, abs=0.2 * width)


def test_bootstrap_is_deterministic_by_seed() -> None:
    """The same seed gives the same interval."""
    labels, scores = sample()
    assert metrics.ranking_figures(labels, scores, seed=4) == metrics.ranking_figures(labels, scores, seed=4)
    assert metrics.ranking_figures(labels, scores, seed=4) != metrics.ranking_figures(labels, scores, seed=5)


def test_measure_matches_counts_by_hand() -> None:
    """The figures of six rows equal those counted by hand."""
    labels = np.array([1, 1, 1, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.2, 0.7, 0.1, 0.1])
    decisions = (scores >= 0.7).astype(int)
    figures = metrics.measure(labels, scores, decisions, alert_budget=0.34, seed=0)
    counts = {name: (figure.count, figure.of) for name, figure in figures.items()}
    assert counts == {
        "recall": (2, 3), "precision": (2, 3), "false_positive_rate": (1, 3), "alert_rate": (3, 6),
        "recall_at_alert_budget": (2, 3), "average_precision": (None, None), "roc_auc": (None, None),
    }  # fmt: skip
    assert Confusion.of(labels, decisions) == Confusion(
        true_positives=2, false_positives=1, true_negatives=2, false_negatives=1
    )


def test_alert_budget_excludes_ties_at_the_cut() -> None:
    """With two alerts allowed and three rows at the second-highest score, there is one alert."""
    figures = metrics.measure(
        np.array([1, 1, 1, 0]), np.array([0.9, 0.5, 0.5, 0.5]), np.zeros(4), alert_budget=0.5, seed=0
    )
    assert figures["recall_at_alert_budget"].count == 1


def test_one_class_has_no_ranking_figures() -> None:
    """Without frauds, recall and average precision are null with a reason."""
    figures = metrics.measure(np.zeros(5), np.linspace(0, 1, 5), np.zeros(5), alert_budget=0.1, seed=0)
    assert figures["recall"].reason == figures["recall_at_alert_budget"].reason == "no frauds among the rows"
    assert figures["average_precision"].reason == "no frauds to rank"
    assert figures["precision"].reason == "no alerts among the rows"
    assert metrics.measure(np.ones(2), np.ones(2), np.ones(2), alert_budget=0.1, seed=0)["roc_auc"].value is None
    assert metrics.precision_recall_curve(np.zeros(5), np.linspace(0, 1, 5)) == []


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])), min_size=1, max_size=60))
def test_precision_recall_curve_is_that_of_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    """At the scores of frauds, also where scores are tied."""
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = metrics.precision_recall_curve(labels.astype(int), scores)
    assume(labels.any())
    precision, recall, thresholds = sklearn_metrics.precision_recall_curve(labels, scores)
    expected = list(zip(recall, precision, thresholds, strict=False))
    at_frauds = [point for point in expected if labels[scores == point[2]].any()]
    np.testing.assert_allclose(found, at_frauds[::-1])


def test_precision_recall_curve_points_match_their_thresholds() -> None:
    """At most 200 points; recall and precision of each are those of its threshold."""
    labels, scores = sample(20_000, 0.1)
    scores = scores + np.random.default_rng(0).random(len(scores)) * 1e-6
    curve = metrics.precision_recall_curve(labels, scores)
    assert len(curve) == 200
    assert curve[-1][0] == 1.0
    assert curve == sorted(curve, key=lambda point: point[0])
    for recall, precision, score in curve[::20]:
        alerts = scores >= score
        assert recall == pytest.approx(labels[alerts].sum() / labels.sum())
        assert precision == pytest.approx(labels[alerts].mean())
