"""The drift reference: parts add up to the whole, and it says what the model was approved on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model.drift.reference import Summary, complete_reference, start_reference
from tests.model.training_samples import COLUMNS, rows

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(np.nan) | st.just(np.inf), max_size=60)


def on(values: list[float]) -> Summary:
    """A summary on edges and a range that are not those of the values."""
    return Summary.of(values, [-10.0, 0.0, 10.0], -50.0, 50.0)


@given(VALUES, VALUES, VALUES)
def test_summaries_of_parts_add_up_to_that_of_the_whole(a: list[float], b: list[float], c: list[float]) -> None:
    """Counts exactly, moments to rounding, in any grouping, empty parts included."""
    whole = on(a + b + c)
    for summed in ((on(a) + on(b)) + on(c), on(a) + (on(b) + on(c))):
        for name in ("edges", "counts", "below", "above", "missing", "n", "min", "max"):
            assert getattr(summed, name) == getattr(whole, name)
        assert summed.mean == pytest.approx(whole.mean, abs=1e-6)
        assert summed.std == pytest.approx(whole.std, rel=1e-9, abs=1e-5)


@given(st.floats(-1e6, 1e6), st.integers(1, 50), st.integers(0, 50))
def test_values_that_are_all_one_have_no_deviation(value: float, n: int, more: int) -> None:
    """Of a thousand tenths the mean of floats is not a tenth, and the deviation is 1e-17; here it is, and 0."""
    summed = on([value] * n) + on([value] * more)
    older = summed.to_dict() | {"mean": np.nextafter(value, np.inf), "std": 1e-17}
    for made in (on([value] * 1000), summed, Summary.from_dict(older)):
        assert (made.mean, made.std) == (value, 0.0)


@given(VALUES)
def test_a_summary_survives_json(values: list[float]) -> None:
    """What is read back is what was written, and JSON has no NaN."""
    summary = on(values)
    assert Summary.from_dict(json.loads(json.dumps(summary.to_dict(), allow_nan=False))) == summary


def test_what_is_missing_or_out_of_range_is_counted_apart() -> None:
    """NaN and infinity are missing; values beyond the reference's range are in the outer bins and counted."""
    summary = on([np.nan, np.inf, -60.0, -10.0, 0.0, 70.0, 80.0])
    assert (summary.n, summary.missing, summary.below, summary.above) == (5, 2, 1, 2)
    assert summary.counts == (1, 1, 1, 2)


def test_summaries_on_other_edges_cannot_be_added() -> None:
    """Adding counts of different bins would be a wrong number without a warning."""
    with pytest.raises(ValueError, match="share edges"):
        on([1.0]) + Summary.of([1.0], [0.0], -50.0, 50.0)


def test_a_reference_has_equally_full_bins() -> None:
    """Forty bins of its own quantiles, in range by definition."""
    summary = Summary.reference(np.random.default_rng(0).permutation(np.arange(4000.0)))
    assert summary.counts == (100,) * 40
    assert (summary.below, summary.above, summary.low, summary.high) == (0, 0, 0.0, 3999.0)


def test_the_finished_reference_covers_every_row() -> None:
    """Inputs and fraud per amount band are those of all parts; scores, alerts and hits those of the rows held out."""
    X, y = rows(3000)
    held, held_y = rows(1000, seed=5)
    scores = np.random.default_rng(0).random(1000)
    decisions = (scores > 0.9).astype(int)
    made = complete_reference(
        start_reference(COLUMNS, X, y), COLUMNS, held, held_y, scores=scores, decisions=decisions, windows={"test": {}}
    )
    json.dumps(made, allow_nan=False)
    assert [item["name"] for item in made["inputs"]] == list(COLUMNS.inputs)
    assert all(item["n"] == sum(item["counts"]) == 4000 for item in made["inputs"])
    v1 = next(item for item in made["inputs"] if item["name"] == "V1")
    assert v1["mean"] == pytest.approx(np.concatenate([X["V1"], held["V1"]]).mean())
    assert v1["low"] == X["V1"].min()
    bands = made["fraud_by_amount"]
    assert sum(bands["rows"]) == 4000
    assert sum(bands["frauds"]) == y.sum() + held_y.sum()
    assert made["scores"]["n"] == 1000
    assert made["alerts"] == {"count": int(decisions.sum()), "of": 1000}
    assert made["confusion"]["true_positives"] + made["confusion"]["false_negatives"] == held_y.sum()


def test_time_is_summarised_as_the_time_of_day() -> None:
    """Seconds since some start only ever grow, and would be drift by themselves."""
    X, y = rows()
    later = X.assign(Time=X["Time"] + 365 * 86_400)
    assert start_reference(COLUMNS, X, y)["inputs"][0] == start_reference(COLUMNS, later, y)["inputs"][0]
    assert start_reference(COLUMNS, X, y)["inputs"][0]["high"] == 86_400
