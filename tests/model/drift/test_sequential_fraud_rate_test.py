"""The daily test of fraud rates: its level over drift-free years, also with bursts, and its power after an onset."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from ml.model.drift import sequential_fraud_rate_test as rate_test
from ml.model.drift.dispersion import Dispersion
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from tests.model.drift_samples import BASELINE

DAYS = 365
# Rows per day, frauds per row and the share of frauds that are missed, as in the stand-in's drift-free year.
ROWS = np.array([198.0, 198.0, 198.0, 117.0, 39.0, 31.0, 8.0])
RATES = np.array([0.0028, 0.0006, 0.0006, 0.0019, 0.0018, 0.0028, 0.0035])
MISSED = 0.05
ALPHA = 0.01
Counts = NDArray[np.float64]


def dates(count: int) -> list[date]:
    """Consecutive days."""
    return [date(2026, 1, 1) + timedelta(days=day) for day in range(count)]


def traffic(rng: np.random.Generator, burst: int, rates: Counts = RATES, days: int = DAYS) -> tuple[Counts, Counts]:
    """Frauds and rows per day and stratum; frauds come in groups of `burst` of one day and band, missed together."""
    groups = rng.poisson(ROWS * rates / burst, (days, len(ROWS)))
    missed = rng.binomial(groups, MISSED).sum(axis=1)
    rows = np.tile(np.append(ROWS, ROWS.sum()), (days, 1))
    return np.minimum(np.column_stack([groups, missed]) * burst, rows), rows


def history(rng: np.random.Generator, burst: int) -> FraudRates:
    """The reference of a year before, with the dispersion that its counts show."""
    frauds, rows = traffic(rng, burst)
    days = np.repeat(np.arange(DAYS), rows[:, :-1].sum(axis=1).astype(int))
    bands = np.concatenate([np.repeat(np.arange(7), of_day[:-1].astype(int)) for of_day in rows])
    labels = np.concatenate(
        [
            np.arange(n) < k
            for of_day, found in zip(rows, frauds, strict=True)
            for n, k in zip(of_day[:-1], found, strict=False)
        ]
    )
    spread = Dispersion.of(np.datetime64("2025-01-01") + days, bands, labels, np.arange(1, 7))
    return FraudRates(
        names=(*"abcdefg", rate_test.PASSED),
        rows=tuple(rows.sum(axis=0).astype(int)),
        frauds=tuple(frauds.sum(axis=0).astype(int)),
        dispersion=spread.ratio,
    )


def first_alarm(reference: FraudRates, frauds: Counts, rows: Counts) -> tuple[int, rate_test.RateEvidence] | None:
    """The number of days until the first alarm of daily evaluations, and its evidence."""
    for now in range(1, len(frauds) + 1):
        evidence = rate_test.evaluate(reference, dates(now), frauds[:now], rows[:now], alpha=ALPHA)
        if evidence.fired:
            return now, evidence
    return None


@pytest.mark.parametrize("burst", [1, 3])
def test_false_alarms_of_forty_drift_free_years(burst: int) -> None:
    """At most one in forty years of daily looks, with independent frauds and with bursts of three."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng([burst, seed])
        alarms += first_alarm(history(rng, burst), *traffic(rng, burst)) is not None
    assert alarms <= 1


def test_bursts_without_their_dispersion_are_taken_for_drift() -> None:
    """The division by history's dispersion is what holds the level: without it most years alarm."""
    alarms = 0
    for seed in range(10):
        rng = np.random.default_rng([3, seed])
        reference = history(rng, 3)
        single = FraudRates(**(vars(reference) | {"dispersion": 1.0}))
        alarms += first_alarm(single, *traffic(rng, 3)) is not None
    assert alarms >= 7


@pytest.mark.parametrize("burst", [1, 3])
def test_new_frauds_in_the_top_band_alarm_within_days(burst: int) -> None:
    """A quarter of the top 1 % of amounts are frauds from day 180 on, known by the next day: two frauds a day."""
    delays, errors = [], []
    for seed in range(10):
        rng = np.random.default_rng([burst, 100 + seed])
        reference = history(rng, burst)
        before, rows = traffic(rng, burst, days=180)
        drifted, later = traffic(rng, burst, RATES + np.append(np.zeros(6), 0.25), days=30)
        alarm = first_alarm(reference, np.concatenate([before, drifted]), np.concatenate([rows, later]))
        assert alarm is not None
        day, evidence = alarm
        assert evidence.stratum in ("g", rate_test.PASSED)
        assert evidence.onset is not None
        delays.append(day - 180)
        errors.append(abs((evidence.onset - dates(181)[180]).days))
    assert max(delays) <= 12
    assert np.mean(errors) <= 2


def test_statistic_is_the_average_of_likelihood_ratios() -> None:
    """By hand: three days, two strata, each start day and ratio integrated over the reference's gamma posterior."""
    reference = FraudRates(names=("low", "high"), rows=(1_000, 100), frauds=(2, 1), dispersion=1.0)
    frauds, rows = np.array([[0, 1], [2, 0], [1, 3]]), np.array([[50, 5], [40, 6], [60, 4]])

    def marginal(count: float, exposure: float, seen: int, seen_rows: int, ratio: float) -> float:
        """The log probability of Poisson counts, up to a constant that the ratio does not change."""
        shape = seen + 0.5
        return float(
            special.gammaln(count + shape)
            + count * np.log(ratio)
            + shape * np.log(seen_rows)
            - (count + shape) * np.log(seen_rows + ratio * exposure)
        )

    terms = []
    for stratum, (seen, seen_rows) in enumerate(zip(reference.frauds, reference.rows, strict=True)):
        for start in range(3):
            count, exposure = float(frauds[start:, stratum].sum()), float(rows[start:, stratum].sum())
            for ratio in 2.0 ** np.arange(1, 9):
                under = marginal(count, exposure, seen, seen_rows, 1.0)
                terms.append(np.exp(marginal(count, exposure, seen, seen_rows, ratio) - under))
    evidence = rate_test.evaluate(reference, dates(3), frauds, rows, alpha=ALPHA)
    assert evidence.log_evidence == pytest.approx(np.log(np.sum(terms) / (8 * 2 * 365)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_labels_to_come_only_raise_the_evidence(seed: int) -> None:
    """Counting unlabelled rows as legitimate is conservative whatever the delays are."""
    rng = np.random.default_rng(seed)
    frauds, rows = traffic(rng, 1, RATES * 3, days=20)
    reference = history(rng, 1)
    known = rng.binomial(frauds.astype(int), rng.random())
    early, late = (rate_test.evaluate(reference, dates(20), part, rows, alpha=ALPHA) for part in (known, frauds))
    assert early.log_evidence <= late.log_evidence


def test_analysts_findings_on_alerts_neither_fire_nor_hide() -> None:
    """Complete findings on alerts and none on passed rows: no alarm without drift, and passed frauds alarm later."""
    rng = np.random.default_rng(5)
    reference = history(rng, 1)
    frauds, rows = traffic(rng, 1)
    alerted = frauds.copy()
    alerted[:, -1] = 0
    alerted[:, :-1] = rng.binomial(frauds[:, :-1].astype(int), 1 - MISSED)
    assert first_alarm(reference, alerted, rows) is None
    missed = alerted.copy()
    missed[300:320, -1] += 2  # chargebacks of passed rows
    found = first_alarm(reference, missed, rows)
    assert found is not None
    assert found[1].stratum == rate_test.PASSED


def test_rates_of_a_reference() -> None:
    """The bands are those of all rows, the passed rows those of the held-out part."""
    rates = FraudRates.of(BASELINE)
    confusion = BASELINE["confusion"]
    assert rates.names[-1] == rate_test.PASSED
    assert rates.rows[:-1] == tuple(BASELINE["fraud_by_amount"]["rows"])
    assert rates.frauds[-1] == confusion["false_negatives"]
    assert rates.rows[-1] == confusion["false_negatives"] + confusion["true_negatives"]
    assert rates.dispersion >= 1


def test_without_traffic_there_is_no_evidence() -> None:
    """No day, or days without rows, give no stratum and no alarm."""
    reference = FraudRates(names=("all", rate_test.PASSED), rows=(100, 99), frauds=(1, 0), dispersion=1.0)
    for days in (0, 3):
        nothing = np.zeros((days, 2))
        evidence = rate_test.evaluate(reference, dates(days), nothing, nothing, alpha=ALPHA)
        assert (evidence.fired, evidence.stratum, evidence.onset, evidence.rate, evidence.p_value) == (
            False,
            None,
            None,
            0.0,
            1.0,
        )


@pytest.mark.parametrize(
    ("frauds", "rows", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), "must have the shape"),
        (np.array([[1, 0], [2, 0]]), np.array([[1, 1], [1, 1]]), "between 0 and the rows"),
    ],
)
def test_invalid_counts_are_refused(frauds: Counts, rows: Counts, message: str) -> None:
    """Wrong shapes and impossible counts raise ValueError."""
    reference = FraudRates(names=("all", rate_test.PASSED), rows=(100, 99), frauds=(1, 0), dispersion=1.0)
    with pytest.raises(ValueError, match=message):
        rate_test.evaluate(reference, dates(2), frauds, rows, alpha=ALPHA)


def test_days_out_of_order_are_refused() -> None:
    """The sum over start days needs ascending days."""
    reference = FraudRates(names=("all", rate_test.PASSED), rows=(100, 99), frauds=(1, 0), dispersion=1.0)
    with pytest.raises(ValueError, match="ascending"):
        rate_test.evaluate(reference, dates(2)[::-1], np.zeros((2, 2)), np.ones((2, 2)), alpha=ALPHA)
