"""Window summaries: summaries of parts add up to exactly the summary of all rows."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model.drift import detector
from ml.model.drift.additive_sums import CHUNK, LIMIT, STEPS, Binner, finite, time_of_day
from ml.model.drift.histogram import DAY_LENGTHS
from tests.model.drift_samples import BASELINE, REFERENCE, START, window
from tests.model.training_samples import COLUMNS

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.lists(NUMBERS, max_size=45, unique=True).map(sorted)
ANY = st.lists(st.floats() | st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=80)


def searched(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[int]:
    """Counts by a search for every value: the definition."""
    counts: list[int] = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).tolist()
    return counts


@settings(deadline=None)
@given(EDGES, st.lists(NUMBERS, max_size=60), st.integers(0, 2**32 - 1), NUMBERS, st.floats(0, 1e300))
def test_table_counts_equal_search_counts(
    edges: list[float], values: list[float], seed: int, mean: float, std: float
) -> None:
    """Whatever edges, values and scale: extremes, values on edges, edges closer than a step; long and short columns."""
    array = np.array(edges, dtype=np.float64)
    binner = Binner(array, mean, std)
    random = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        around = [*values, *edges, *np.nextafter(array, np.inf), *np.nextafter(array, -np.inf), 0.0]
    pool = finite(np.array(around, dtype=np.float64))
    for size in (len(pool), 3000):
        drawn = pool if size == len(pool) else random.choice(pool, size)
        assert binner.count(drawn).bins.tolist() == searched(drawn, array)


def test_chunked_counts_equal_search_counts() -> None:
    """More rows than a chunk, in bins of equal frequency, with ties on the edges."""
    random = np.random.default_rng(0)
    values = np.round(random.lognormal(3, 1.5, 2 * CHUNK + 17), 2)
    edges = np.unique(np.quantile(values, np.arange(1, 40) / 40))
    count = Binner(edges, values.mean(), values.std()).count(values)
    assert count.bins.tolist() == searched(values, edges)
    assert (count.low, count.high) == (values.min(), values.max())


def test_moments_are_accurate_to_one_step() -> None:
    """Mean and standard deviation differ from numpy's by less than 1/4096 of the reference deviation."""
    random = np.random.default_rng(0)
    values = random.normal(3.3, 2.1, 100_000)
    binner = Binner(np.array([1.0, 3.0]), 2.9, 1.7)
    count = binner.count(values)
    mean, std = binner.moments(len(values), count.total, count.squares)
    assert mean == pytest.approx(values.mean(), abs=1.7 / STEPS)
    assert std == pytest.approx(values.std(), abs=1.7 / STEPS)


def test_outlier_is_clipped_in_the_mean() -> None:
    """Beyond 128 standard deviations a value counts as 128 of them: 1e300 moves the mean of 1,000 rows by an eighth."""
    binner = Binner(np.array([0.0]), 0.0, 1.0)
    count = binner.count(np.array([1e300, *[0.0] * 999]))
    assert binner.moments(1000, count.total, count.squares)[0] == LIMIT / 1000
    assert count.high == 1e300


@given(st.lists(st.floats(0, 1e12), max_size=30), st.lists(st.integers(0, 10**9), max_size=30))
def test_time_of_day_equals_numpy_mod(floats: list[float], whole: list[int]) -> None:
    """Bitwise equal, for whole and fractional seconds, and for milliseconds."""
    values = np.array([*floats, *whole, 86_400.0 - 2**-37], dtype=np.float64)
    for day in DAY_LENGTHS.values():
        assert time_of_day(values, day).tolist() == np.mod(values, day).tolist()


@settings(deadline=None)
@given(st.data())
def test_shards_add_up_to_one_pass(data: st.DataObject) -> None:
    """Any split of rows, added in any order, gives equal fields, including moments and labels."""
    whole = window(400, seed=data.draw(st.integers(0, 50)))
    whole.frame.iloc[data.draw(st.lists(st.integers(0, 399), max_size=5)), 1] = np.nan
    shards = data.draw(st.integers(1, 6))
    dealt = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).integers(0, shards, 400)
    order = data.draw(st.permutations(range(shards)))
    parts = [whole.summary(dealt == shard) for shard in order]
    assert sum(parts, detector.WindowSummary.empty(REFERENCE)) == whole.summary()
    labels = [whole.outcomes(dealt == shard) for shard in order]
    total = labels[0]
    for part in labels[1:]:
        total += part
    assert total == whole.outcomes()


def test_rows_columns_and_frames_give_the_same_summary() -> None:
    """A matrix of rows, the same by column, a mapping, float64 or the float32 of equal values."""
    random = np.random.default_rng(0)
    matrix = random.integers(-50, 50, (CHUNK + 10, len(COLUMNS.inputs))).astype(np.float64)
    expected = detector.WindowSummary.of(REFERENCE, matrix)
    assert detector.WindowSummary.of(BASELINE, matrix) == expected
    assert detector.WindowSummary.of(REFERENCE, np.asfortranarray(matrix)) == expected
    assert detector.WindowSummary.of(REFERENCE, matrix.astype(np.float32)) == expected
    turned = dict(zip(COLUMNS.inputs, matrix.T, strict=True))
    assert detector.WindowSummary.of(REFERENCE, turned) == expected
    names = COLUMNS.inputs[::-1]
    assert detector.WindowSummary.of(REFERENCE, matrix[:, ::-1], names=names) == expected


def test_summaries_round_trip_through_json() -> None:
    """The read summary equals the written one, also an empty one, and the JSON has no NaN."""
    whole = window(700)
    for summary in (whole.summary(), detector.WindowSummary.empty(REFERENCE)):
        text = json.dumps(summary.to_dict(), allow_nan=False)
        assert detector.WindowSummary.from_dict(json.loads(text)) == summary
    labels = whole.outcomes()
    assert detector.LabelSummary.from_dict(json.loads(json.dumps(labels.to_dict()))) == labels


def test_missing_and_unexpected_columns_are_counted() -> None:
    """NaN counts as missing, an absent column is missing in every row, a new column is counted by name."""
    whole = window(100)
    given = {name: whole.frame[name].to_numpy() for name in COLUMNS.inputs if name != "V3"} | {"V9": np.zeros(100)}
    given["V1"] = np.where(np.arange(100) < 7, np.nan, given["V1"])
    given["V2"] = np.where(np.arange(100) < 4, 1e9, given["V2"])
    summary = detector.WindowSummary.of(REFERENCE, given)
    assert (summary.columns["V1"].missing, summary.columns["V1"].n) == (7, 93)
    assert (summary.columns["V2"].above, summary.columns["V2"].below) == (4, 0)
    assert (summary.columns["V3"].missing, summary.columns["V3"].n) == (100, 0)
    assert summary.unexpected == {"V9": 100}
    assert (summary.scores.missing, summary.decided, summary.alerts) == (100, 0, 0)


def test_hours_and_decisions_are_counted() -> None:
    """Rows per hour since 1970 in UTC; a decision that is neither 0 nor 1 is unknown."""
    times = np.array(["2026-03-01T00:10", "2026-03-01T00:50", "2026-03-01T03:00"], dtype="datetime64[s]")
    summary = detector.WindowSummary.of(
        REFERENCE, np.zeros((3, 5)), scores=[0.1, np.nan, 0.9], decisions=[0, -1, 1], times=times
    )
    first = int(START.timestamp()) // 3600
    assert summary.hours == {first: 2, first + 3: 1}
    assert (summary.decided, summary.alerts, summary.scores.n, summary.scores.missing) == (2, 1, 2, 1)
    assert (sum(summary.risk[0]), sum(summary.risk[1])) == (1, 1)


def test_inconsistent_shapes_are_rejected() -> None:
    """Different lengths, widths or drift references raise ValueError."""
    with pytest.raises(ValueError, match=r"shape \(rows, 5\) \(got \(3, 4\)\)"):
        detector.WindowSummary.of(REFERENCE, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="scores must have one value per row"):
        detector.WindowSummary.of(REFERENCE, np.zeros((3, 5)), scores=[0.5])
    with pytest.raises(ValueError, match="times must have one value per row"):
        detector.WindowSummary.of(REFERENCE, np.zeros((3, 5)), times=np.array(["2026-03-01"], dtype="datetime64[s]"))
    with pytest.raises(ValueError, match="one value per row in each column"):
        detector.WindowSummary.of(REFERENCE, {"V1": [1.0], "V2": [1.0, 2.0]})
    other = BASELINE | {"inputs": BASELINE["inputs"][:-1]}
    with pytest.raises(ValueError, match="share a drift reference"):
        detector.WindowSummary.of(other, np.zeros((3, 4))) + detector.WindowSummary.of(REFERENCE, np.zeros((3, 5)))
    with pytest.raises(ValueError, match="equally long"):
        detector.LabelSummary.of(REFERENCE, times=[], labels=[1], decisions=[], amounts=[])


def test_labels_are_counted_by_day_and_band() -> None:
    """A row without a label counts as a row only; one without a decision or an amount is in no confusion or band."""
    times = np.array(["2026-03-01T10:00"] * 5 + ["2026-03-02T00:00"], dtype="datetime64[s]")
    summary = detector.LabelSummary.of(
        REFERENCE,
        times=times,
        labels=[1, 0, 0, -1, 1, 1],
        decisions=[1, 1, 0, 1, -1, 0],
        amounts=[0.0, 0.0, 1e9, 1.0, np.nan, 1e9],
    )
    first = summary.days[date(2026, 3, 1)]
    assert (first.rows, first.labelled, first.coverage) == (5, 4, 0.8)
    assert vars(first.confusion) == {
        "true_positives": 1,
        "false_positives": 1,
        "true_negatives": 1,
        "false_negatives": 0,
    }
    assert (first.band_rows[0], first.band_frauds[0], first.band_rows[-1], sum(first.band_rows)) == (2, 1, 1, 3)
    assert summary.days[date(2026, 3, 2)].confusion.false_negatives == 1
    mature = summary.mature(as_of=START + timedelta(days=9), min_coverage=0.9, min_age_days=7)
    assert list(mature.days) == [date(2026, 3, 2)]
    assert not summary.mature(as_of=START + timedelta(days=8), min_coverage=0.9, min_age_days=7).days
