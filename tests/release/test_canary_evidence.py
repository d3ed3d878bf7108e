"""The evidence against a canary: false alarms of a sound one, and how soon bad ones are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model.drift.reference import Summary
from ml.release.canary_evidence import Answers, Evidence, Expected, Limits, evaluate

LIMITS = Limits(false_alarm_rate=0.02, max_alert_rate_ratio=2.0, max_score_shift=0.1)
ALERT_RATE = 0.02
LOOK_ROWS = 100
"""The answers of a minute."""


def sample(seed: int, rows: int) -> NDArray[np.float64]:
    """Scores of a sound model: uniform."""
    return np.random.default_rng(seed).uniform(size=rows)


def baseline(seed: int, rows: int) -> Expected:
    """What the baseline says of a model that alerts on two rows of a hundred."""
    scores = sample(seed, rows)
    alerts = int((scores >= 1 - ALERT_RATE).sum())
    return Expected.of({"scores": Summary.reference(scores).to_dict(), "alerts": {"count": alerts, "of": rows}})


@pytest.fixture(scope="module")
def expected() -> Expected:
    """Of 20,000 held-out rows."""
    return baseline(1, 20_000)


def first_alarm(
    expected: Expected, scores: NDArray[np.float64], decisions: NDArray[np.bool_]
) -> tuple[int | None, Evidence]:
    """The number of answers at the first look that is an alarm, None if there is none, and the last evidence."""
    answers, evidence = Answers.none(expected), Evidence(alerts=0.0, scores=0.0)
    for start in range(0, len(scores), LOOK_ROWS):
        part = slice(start, start + LOOK_ROWS)
        answers = answers.with_rows(expected, scores[part], decisions[part].astype(np.int64))
        evidence = evaluate(expected, answers, LIMITS)
        if max(evidence.alerts, evidence.scores) >= 1:
            return answers.rows, evidence
    return None, evidence


def test_sound_canary_raises_no_alarm_in_200_trials(expected: Expected) -> None:
    """6,000 answers each, looked at sixty times."""
    trials = (sample(1000 + seed, 6_000) for seed in range(200))
    assert not [1 for scores in trials if first_alarm(expected, scores, scores >= 1 - ALERT_RATE)[0]]


def test_canary_at_the_limits_of_small_baselines_alarms_no_oftener_than_stated() -> None:
    """The worst sound canary: alert rate and scores are as far from the model's own as allowed.

    Its baselines are samples of 500 rows, another in each trial, with ten alerts. The stated rate is 2 %: in 400 trials
    8 on average, and more than 17 in one of 500.
    """
    alarms = 0
    for seed in range(400):
        shifted = np.clip(sample(5000 + seed, 3_000) + LIMITS.max_score_shift, 0.0, 1.0)
        decisions = sample(9000 + seed, 3_000) < LIMITS.max_alert_rate_ratio * ALERT_RATE
        alarms += first_alarm(baseline(20_000 + seed, 500), shifted, decisions)[0] is not None
    assert alarms <= 17


@pytest.mark.parametrize(
    ("bad", "within"),
    [("alerts on all", 100), ("alerts on none", 1_300), ("alerts thrice as often", 4_000), ("scores shifted", 500)],
)
def test_bad_canary_is_found(expected: Expected, bad: str, within: int) -> None:
    """By the hypothesis that it violates, within so many answers."""
    scores = sample(3, 6_000)
    decisions = scores >= 1 - ALERT_RATE
    if bad == "alerts on all":
        decisions[:] = True
    elif bad == "alerts on none":
        decisions[:] = False
    elif bad == "alerts thrice as often":
        decisions = scores >= 1 - 3 * ALERT_RATE
    else:
        scores = scores**2
    rows, evidence = first_alarm(expected, scores, decisions)
    assert rows is not None
    assert rows <= within
    assert (evidence.alerts >= 1) == ("alerts" in bad)


def test_no_answers_are_no_evidence(expected: Expected) -> None:
    """The evidence starts at zero."""
    evidence = evaluate(expected, Answers.none(expected), LIMITS)
    assert evidence.alerts == pytest.approx(0)
    assert evidence.scores == pytest.approx(0)


def test_small_baseline_allows_more(expected: Expected) -> None:
    """Ten alerts of 500 rows are compatible with rates from below 1 % to above 4 %."""
    small, large = baseline(2, 500), expected
    low, high = large.alert_rates(LIMITS)
    assert ALERT_RATE / 3 < low < ALERT_RATE / 2 < 2 * ALERT_RATE < high < 3 * ALERT_RATE
    assert small.alert_rates(LIMITS)[0] < low
    assert small.alert_rates(LIMITS)[1] > high
    assert 0.1 < large.score_shift(LIMITS) < 0.12 < small.score_shift(LIMITS)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 5_000), st.integers(0, 5_000))
def test_evidence_is_finite(alerts: int, rows: int, alerted: int) -> None:
    """Also for baselines without an alert or with nothing else, and any count of answers."""
    expected = Expected(alerts=alerts, rows=50, edges=(0.5,), below=(0.5,), scored=50)
    found = evaluate(expected, Answers(rows=rows, alerts=min(alerted, rows), below=(rows,)), LIMITS)
    assert np.isfinite([found.alerts, found.scores]).all()


def test_answers_add_up(expected: Expected) -> None:
    """Two parts give the counts of the whole."""
    scores = sample(4, 500)
    decisions = np.zeros(500, dtype=np.int64)
    whole = Answers.none(expected).with_rows(expected, scores, decisions)
    parts = Answers.none(expected).with_rows(expected, scores[:123], decisions[:123])
    assert parts.with_rows(expected, scores[123:], decisions[123:]) == whole
    assert whole.rows == 500
    assert whole.score_shift(expected) == pytest.approx(0, abs=0.08)


@pytest.mark.parametrize("missing", ["scores", "alerts"])
def test_baseline_without_its_counts_is_refused(missing: str) -> None:
    """The error names the key."""
    document: dict[str, Any] = {
        "scores": Summary.reference(sample(1, 100)).to_dict(),
        "alerts": {"count": 2, "of": 100},
    }
    del document[missing]
    with pytest.raises(KeyError, match=missing):
        Expected.of(document)


def test_baseline_of_no_row_is_refused() -> None:
    """A rate of it would be a division by zero."""
    document = {"scores": Summary.reference(sample(1, 100)).to_dict(), "alerts": {"count": 0, "of": 0}}
    with pytest.raises(ValueError, match="of no row"):
        Expected.of(document)
