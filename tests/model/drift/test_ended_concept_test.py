"""The daily test for a concept that has ended: silent while its frauds go on, a result within weeks of their end."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model.drift import ended_concept_test

ALPHA = 0.01
ALERTS_PER_DAY = 8
REFERENCE = (30, 60)


def dates(count: int) -> list[date]:
    """Consecutive days."""
    return [date(2026, 1, 1) + timedelta(days=day) for day in range(count)]


def first_result(
    seed: int, *, days: int, end: int, delay: float, share: float = 0.5, burst: int = 1, every: int = 1
) -> int | None:
    """The days until the first result; frauds end on day `end`, labels are known after `delay` days on average.

    Evaluates on each day that `every` divides.
    """
    rng = np.random.default_rng(seed)
    groups = rng.poisson(ALERTS_PER_DAY / burst, days)
    day = np.repeat(np.arange(days), groups * burst)
    of_group = np.repeat(rng.random(groups.sum()), burst)
    fraud = of_group < np.where(day < end, share, 0.02)
    known = day + 1 + rng.exponential(delay, len(day))
    reference = (burst * int(rng.binomial(60 // burst, share)), 60)
    for now in range(every, days + 1, every):
        alerts = np.bincount(day, minlength=now)[:now]
        legitimate = np.bincount(day[(known < now) & ~fraud & (day < now)], minlength=now)[:now]
        evidence = ended_concept_test.evaluate(
            reference, dates(now), alerts, legitimate, alpha=ALPHA, dispersion=float(burst)
        )
        if evidence.fired:
            return now
    return None


@pytest.mark.parametrize("burst", [1, 3])
def test_no_result_while_the_frauds_go_on(burst: int) -> None:
    """Twelve half-years, also with frauds in bursts of three."""
    found = [first_result(seed, days=182, end=999, delay=5, burst=burst, every=5) for seed in range(12)]
    assert found == [None] * 12


@pytest.mark.parametrize(("delay", "within"), [(5.0, 25), (1.5, 15)])
def test_end_is_found_within_weeks(delay: float, within: int) -> None:
    """From chargebacks, and sooner from analysts, whose findings are known within days."""
    found = [first_result(seed, days=100, end=60, delay=delay, every=2) for seed in range(5)]
    assert all(day is not None and 60 < day <= 60 + within for day in found)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_labels_to_come_only_strengthen_the_evidence(seed: int) -> None:
    """An alert without a label counts as a fraud."""
    rng = np.random.default_rng(seed)
    alerts = rng.poisson(ALERTS_PER_DAY, 40)
    late = rng.binomial(alerts, 0.9)
    early = rng.binomial(late, rng.random())
    results = [
        ended_concept_test.evaluate(REFERENCE, dates(40), alerts, legitimate, alpha=ALPHA).log_evidence
        for legitimate in (early, late)
    ]
    assert results[0] <= results[1] + 1e-9


def test_day_of_the_end_and_its_counts_are_reported() -> None:
    """Sixty days at half frauds, then thirty without any."""
    alerts = np.full(90, ALERTS_PER_DAY)
    legitimate = np.where(np.arange(90) < 60, ALERTS_PER_DAY // 2, ALERTS_PER_DAY)
    evidence = ended_concept_test.evaluate(REFERENCE, dates(90), alerts, legitimate, alpha=ALPHA)
    assert evidence.fired
    assert evidence.p_value < ALPHA
    assert evidence.ended == dates(61)[60]
    assert (evidence.alerts, evidence.legitimate) == (240, 240)


def test_without_alerts_there_is_no_evidence() -> None:
    """A new pattern that alerts on nothing costs nothing."""
    evidence = ended_concept_test.evaluate(REFERENCE, dates(3), [0, 0, 0], [0, 0, 0], alpha=ALPHA)
    assert (evidence.fired, evidence.ended, evidence.p_value) == (False, None, 1.0)


@pytest.mark.parametrize(
    ("reference", "alerts", "legitimate", "message"),
    [
        (REFERENCE, [1, 2, 3], [1, 2, 3], "one count per day"),
        (REFERENCE, [1, 2], [1, 3], "between 0 and the alerts"),
        ((7, 6), [1, 2], [1, 1], "between 0 and the alerts"),
    ],
)
def test_invalid_counts_are_refused(
    reference: tuple[int, int], alerts: list[int], legitimate: list[int], message: str
) -> None:
    """Wrong lengths and impossible counts raise ValueError."""
    with pytest.raises(ValueError, match=message):
        ended_concept_test.evaluate(reference, dates(2), alerts, legitimate, alpha=ALPHA)


def test_days_out_of_order_are_refused() -> None:
    """The sum over start days needs ascending days."""
    with pytest.raises(ValueError, match="ascending"):
        ended_concept_test.evaluate(REFERENCE, dates(2)[::-1], [1, 1], [0, 0], alpha=ALPHA)
