"""The drift reference: summaries add up, and it covers all rows of training and evaluation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model.drift.reference import Summary, complete_reference, start_reference
from tests.model.training_samples import COLUMNS, rows

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(np.nan) | st.just(np.inf), max_size=60)


def times(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    """The event times of rows that count seconds from a midnight."""
    return np.datetime64("2026-03-01", "s") + frame["Time"].to_numpy().astype("timedelta64[s]")


def on(values: list[float]) -> Summary:
    """A summary on edges and a range that are not those of the values."""
    return Summary.of(values, [-10.0, 0.0, 10.0], -50.0, 50.0)


@given(VALUES, VALUES, VALUES)
def test_summaries_of_parts_add_up_to_the_whole(a: list[float], b: list[float], c: list[float]) -> None:
    """Counts exactly, moments to rounding, in any grouping, empty parts included."""
    whole = on(a + b + c)
    for summed in ((on(a) + on(b)) + on(c), on(a) + (on(b) + on(c))):
        for name in ("edges", "counts", "below", "above", "missing", "n", "min", "max"):
            assert getattr(summed, name) == getattr(whole, name)
        assert summed.mean == pytest.approx(whole.mean, abs=1e-6)
        assert summed.std == pytest.approx(whole.std, rel=1e-9, abs=1e-5)


@given(st.floats(-1e6, 1e6), st.integers(1, 50), st.integers(0, 50))
def test_constant_column_has_no_deviation(value: float, n: int, more: int) -> None:
    """The mean is exactly the value and the deviation 0, although float sums give 1e-17."""
    summed = on([value] * n) + on([value] * more)
    older = summed.to_dict() | {"mean": np.nextafter(value, np.inf), "std": 1e-17}
    for made in (on([value] * 1000), summed, Summary.from_dict(older)):
        assert (made.mean, made.std) == (value, 0.0)


@given(VALUES)
def test_summary_round_trips_through_json(values: list[float]) -> None:
    """The read summary equals the written one, and the JSON has no NaN."""
    summary = on(values)
    assert Summary.from_dict(json.loads(json.dumps(summary.to_dict(), allow_nan=False))) == summary


def test_missing_and_out_of_range_values_are_counted() -> None:
    """NaN and infinity are missing; values beyond the reference's range are in the outer bins and counted."""
    summary = on([np.nan, np.inf, -60.0, -10.0, 0.0, 70.0, 80.0])
    assert (summary.n, summary.missing, summary.below, summary.above) == (5, 2, 1, 2)
    assert summary.counts == (1, 1, 1, 2)


def test_summaries_on_different_edges_cannot_be_added() -> None:
    """Adding counts of different bins raises ValueError."""
    with pytest.raises(ValueError, match="share edges"):
        on([1.0]) + Summary.of([1.0], [0.0], -50.0, 50.0)


def test_reference_bins_have_equal_counts() -> None:
    """Forty quantile bins; all values are in range."""
    summary = Summary.reference(np.random.default_rng(0).permutation(np.arange(4000.0)))
    assert summary.counts == (100,) * 40
    assert (summary.below, summary.above, summary.low, summary.high) == (0, 0, 0.0, 3999.0)


def test_complete_reference_covers_all_rows() -> None:
    """Inputs and amount bands cover all parts; scores, alerts and confusion cover the held-out rows."""
    X, y = rows(3000)
    held, held_y = rows(1000, seed=5)
    scores = np.random.default_rng(0).random(1000)
    decisions = (scores > 0.9).astype(int)
    made = complete_reference(
        start_reference(COLUMNS, X, y, times=times(X)),
        COLUMNS,
        held,
        held_y,
        scores=scores,
        decisions=decisions,
        times=times(held),
        windows={"test": {}},
    )
    json.dumps(made, allow_nan=False)
    assert [item["name"] for item in made["inputs"]] == list(COLUMNS.inputs)
    assert all(item["n"] == sum(item["counts"]) == 4000 for item in made["inputs"])
    v1 = next(item for item in made["inputs"] if item["name"] == "V1")
    assert v1["mean"] == pytest.approx(np.concatenate([X["V1"], held["V1"]]).mean())
    assert v1["low"] == X["V1"].min()
    assert made["new_pattern"] == {"alerts": 0, "frauds": 0}
    bands = made["fraud_by_amount"]
    assert sum(bands["rows"]) == 4000
    assert sum(bands["frauds"]) == y.sum() + held_y.sum()
    assert bands["dispersion"]["mean"] == pytest.approx(sum(bands["frauds"]))
    assert made["scores"]["n"] == 1000
    assert made["alerts"] == {"count": int(decisions.sum()), "of": 1000}
    assert made["confusion"]["true_positives"] + made["confusion"]["false_negatives"] == held_y.sum()


def test_time_is_summarised_as_second_of_day() -> None:
    """Seconds since a start always grow and would always count as drift."""
    X, y = rows()
    later = X.assign(Time=X["Time"] + 365 * 86_400)
    made, made_later = (start_reference(COLUMNS, frame, y, times=times(X)) for frame in (X, later))
    assert made["inputs"][0] == made_later["inputs"][0]
    assert made["inputs"][0]["high"] == 86_400
