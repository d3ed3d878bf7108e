"""Concept drift: predictive distribution, rates of rare events, false alarms, and onset."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ml.model.drift import concept_drift
from ml.model.drift.label_counts import LabelSummary, Outcomes
from ml.model.metrics import Confusion
from tests.model.drift_samples import RULES

BASELINE = {
    "confusion": {"true_positives": 230, "false_positives": 1400, "true_negatives": 140_600, "false_negatives": 20},
    "fraud_by_amount": {"edges": [10.0, 500.0], "rows": [70_000, 69_000, 3000], "frauds": [100, 140, 10]},
}
FIRST = date(2026, 3, 1)
LATER = datetime(2026, 6, 1, tzinfo=UTC)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_predictive_tail_equals_scipy_beta_binomial(a: int, b: int, c: int, d: int, upper: bool) -> None:
    """For all counts, both tails."""
    count, of, seen, seen_of = a, a + b, c, c + d
    peer = stats.betabinom(of, seen + 0.5, seen_of - seen + 0.5)
    expected = (peer.sf(count - 1) if upper else peer.cdf(count)) if of else 1.0
    assert concept_drift.predictive_tail(count, of, seen, seen_of, upper=upper) == pytest.approx(expected, rel=1e-9)


def test_predictive_tail_is_accurate_for_extreme_counts() -> None:
    """Both tails sum to 1 for twenty million rows; 40 of 160 after 230 of 250 is below 1e-40 but not 0."""
    many = {"of": 20_000_000, "seen": 1400, "seen_of": 142_000}
    below = concept_drift.predictive_tail(200_000, **many, upper=False)
    above = concept_drift.predictive_tail(200_001, **many, upper=True)
    assert below + above == pytest.approx(1, abs=1e-6)
    assert 0 < concept_drift.predictive_tail(40, 160, 230, 250, upper=False) < 1e-40
    assert concept_drift.predictive_tail(40, 160, 230, 250, upper=True) == pytest.approx(1)


@pytest.mark.parametrize("upper", [True, False])
def test_predictive_tail_of_an_improvement_is_one(upper: bool) -> None:
    """Far below the expected number of errors the upper tail is 1, even if its first terms underflow."""
    few, expected, of = 100, 200_000, 20_000_000
    seen = expected if upper else of - expected
    assert concept_drift.predictive_tail(few if upper else of - few, of, seen, of, upper=upper) == 1.0


def test_rates_apart_is_exact() -> None:
    """It equals twice the smaller binomial tail, computed by fractions; 1 if a side has no rows."""
    share = Fraction(2000, 2000 + 9000)
    upper = sum(math.comb(12, k) * share**k * (1 - share) ** (12 - k) for k in range(7, 13))
    assert concept_drift.rates_apart(7, 2000, 5, 9000) == pytest.approx(float(2 * upper))
    assert concept_drift.rates_apart(0, 2000, 5, 9000) <= 1
    assert concept_drift.rates_apart(0, 0, 5, 9000) == 1
    assert concept_drift.rates_apart(3, 10, 0, 0) == 1


def labels(days: int, frauds: int, recall: float, *, dear: int = 0, seed: int = 0, since: int = 0) -> LabelSummary:
    """Days of 800 rows; from day `since` on, `dear` frauds a day among high amounts that the model misses."""
    random = np.random.default_rng(seed)
    made = {}
    for day in range(days):
        found = int(random.poisson(frauds / days))
        hits = int(random.binomial(found, recall))
        false = int(random.binomial(800 - found, 1400 / 142_000))
        extra = dear if day >= since else 0
        cheap = int(random.binomial(found, 0.4))
        made[FIRST + timedelta(days=day)] = Outcomes(
            rows=800 + extra,
            labelled=800 + extra,
            confusion=Confusion(
                true_positives=hits,
                false_positives=false,
                true_negatives=800 - found - false,
                false_negatives=found - hits + extra,
            ),
            band_rows=(394, 389, 17 + extra),
            band_frauds=(cheap, found - cheap, extra),
        )
    return LabelSummary(bands=3, days=made)


def test_unchanged_months_with_forty_frauds_have_no_findings() -> None:
    """Four hundred months at the approved rates give no finding."""
    for seed in range(400):
        found = concept_drift.evaluate(BASELINE, labels(30, 41, 0.92, seed=seed), RULES, as_of=LATER)
        assert not [finding for finding in found.findings if finding.fired], seed


def test_lower_recall_fires_with_its_counts() -> None:
    """Recall of 35 % on forty frauds fires against 230 of 250."""
    found = concept_drift.evaluate(BASELINE, labels(30, 41, 0.35), RULES, as_of=LATER)
    assert [finding.statistic for finding in found.findings if finding.fired] == ["recall"]
    finding = found.findings[0]
    assert finding.reference == 0.92
    assert finding.threshold == pytest.approx(0.87)
    assert finding.alpha == RULES.concept.alpha / (3 * 3 * RULES.looks)
    assert "approved on 230 of 250" in finding.detail


def test_recall_that_falls_slowly_shows_in_several_months() -> None:
    """Recall of .75 on forty frauds a month: seldom found in one month, mostly in three, nearly always in six."""
    fired: dict[int, list[bool]] = {1: [], 3: [], 6: []}
    for seed in range(100):
        months = [labels(30, 41, 0.75, seed=6 * seed + place) for place in range(6)]
        found = concept_drift.evaluate(BASELINE, months[0], RULES, as_of=LATER, earlier=months[1:])
        for finding in found.findings:
            if finding.statistic == "recall":
                fired[finding.windows].append(finding.fired)
    power = {windows: float(np.mean(found)) for windows, found in fired.items()}
    assert {windows: len(found) for windows, found in fired.items()} == {1: 100, 3: 100, 6: 100}
    assert power[1] < 0.3 < power[3] < power[6]
    assert power[6] > 0.85


def test_pooled_months_without_drift_have_no_findings() -> None:
    """Two hundred half-years at the approved rates; the level is shared out over one, three and six months."""
    for seed in range(200):
        months = [labels(30, 41, 0.92, seed=6 * seed + place) for place in range(6)]
        found = concept_drift.evaluate(BASELINE, months[0], RULES, as_of=LATER, earlier=months[1:])
        assert not [finding for finding in found.findings if finding.fired], seed


def test_too_few_earlier_windows_are_not_pooled() -> None:
    """Three windows need two before; six need five."""
    months = [labels(30, 41, 0.92, seed=seed) for seed in range(5)]
    for earlier, windows in ((0, {1}), (1, {1}), (2, {1, 3}), (4, {1, 3})):
        found = concept_drift.evaluate(BASELINE, months[0], RULES, as_of=LATER, earlier=months[1 : 1 + earlier])
        assert {finding.windows for finding in found.findings} == windows


def test_changed_fraud_amounts_fire_by_band() -> None:
    """One more fraud a day among high amounts: the band is named, with rates and counts."""
    found = concept_drift.evaluate(BASELINE, labels(30, 41, 1.0, dear=1), RULES, as_of=LATER)
    band = next(finding for finding in found.findings if finding.statistic == "fraud_rate" and finding.fired)
    assert band.subject == "amount >= 500"
    assert band.reference == pytest.approx(10 / 3000)
    assert "30 frauds of 540 rows" in band.detail


@pytest.mark.parametrize("since", [0, 2, 9, 20])
def test_onset_day_is_found(since: int) -> None:
    """Frauds among high amounts from one day on: the onset is that day, not the window's first."""
    found = concept_drift.evaluate(BASELINE, labels(30, 41, 0.92, dear=8, since=since), RULES, as_of=LATER)
    assert found.onset == datetime(2026, 3, 1 + since, tzinfo=UTC)


def test_unclear_onset_is_the_start_of_the_window() -> None:
    """Drift over the whole window leaves the onset on its first day; without drift there is none."""
    for seed in range(30):
        found = concept_drift.evaluate(BASELINE, labels(30, 41, 0.3, dear=1, seed=seed), RULES, as_of=LATER)
        assert found.onset == datetime(2026, 3, 1, tzinfo=UTC)
    assert concept_drift.evaluate(BASELINE, labels(30, 41, 0.92), RULES, as_of=LATER).onset is None


def test_band_names_are_readable() -> None:
    """Names for the lowest, middle and highest band; one band without edges."""
    assert concept_drift.band_names([10.0, 77.95]) == ["amount < 10", "10 <= amount < 77.95", "amount >= 77.95"]
    assert concept_drift.band_names([]) == ["any amount"]
