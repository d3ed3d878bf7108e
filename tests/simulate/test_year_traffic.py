"""A simulated year's rows: deterministic in any order, and changed only as the scenario defines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import FraudopsError
from ml.simulate import scenario
from ml.simulate.scenario import Scenario
from ml.simulate.year_traffic import HISTORY, Year

FEATURES = tuple(f"V{i}" for i in range(1, 29))


def changed(name: str = "both", **changes: Any) -> Scenario:
    """A scenario of the project with a short history and other values in some fields."""
    document = scenario.load(name).model_dump() | {"history": {"rows": 2_000, "months": 2}}
    return Scenario.model_validate(document | changes)


@pytest.fixture(scope="module")
def default() -> Year:
    """The default scenario at its default size."""
    return Year(changed(), seed=3)


def means(year: Year, month: int) -> pd.Series[float]:
    """The mean of each feature in a month."""
    found: pd.Series[float] = year.month(month).transactions.to_pandas()[list(FEATURES)].mean()
    return found


def test_month_is_valid_for_the_lake(default: Year) -> None:
    """Ids are unique over months, times are within the month, inputs are numbers, each row has one or two labels."""
    first, second = default.month(1), default.month(2)
    names = ["event_id", "event_time", "Time", *FEATURES, "Amount"]
    assert first.transactions.column_names == names
    assert [first.transactions.schema.field(name).type for name in names[:3]] == [
        pa.string(),
        pa.timestamp("us", "UTC"),
        pa.float64(),
    ]
    assert first.labels.schema.types == [pa.string(), pa.int8(), pa.timestamp("us", "UTC")]
    frame = first.transactions.to_pandas()
    start, end = default.span(1)
    assert len(frame) == 24_000
    assert frame["event_time"].is_monotonic_increasing
    assert start <= frame["event_time"].min() and frame["event_time"].max() < end
    assert np.isfinite(frame[names[2:]].to_numpy()).all() and (frame["Amount"] >= 0).all()
    of_day = (frame["event_time"].dt.hour * 60 + frame["event_time"].dt.minute) * 60 + frame["event_time"].dt.second
    assert (frame["Time"] % 86_400 == of_day).all()
    ids = pd.concat([frame["event_id"], second.transactions.to_pandas()["event_id"]])
    assert ids.is_unique


def test_same_seed_gives_the_same_rows_in_any_order() -> None:
    """Months drawn backwards, single days, and labels drawn first give the same rows for the same seed."""
    one, other = Year(changed(), seed=5, rows=900), Year(changed(), seed=5, rows=900)
    later = other.month(9)
    list(other.known(*other.span(4)))
    assert one.month(2).transactions.equals(other.month(2).transactions)
    assert one.month(9).transactions.equals(later.transactions) and one.month(9).labels.equals(later.labels)
    days = pa.concat_tables([day.transactions for day in one.days(9)])
    assert days.combine_chunks().equals(later.transactions)
    assert not Year(changed(), seed=6, rows=900).month(9).transactions.equals(later.transactions)


def test_scenarios_share_what_they_do_not_change() -> None:
    """Before the first change scenarios of one seed have equal rows; concept drift changes labels only."""
    none, concept, both = (Year(changed(name), seed=1, rows=3_000) for name in ("none", "concept-only", "both"))
    assert none.month(3).transactions.equals(both.month(3).transactions)
    assert none.month(8).transactions.equals(concept.month(8).transactions)
    assert not none.month(8).transactions.equals(both.month(8).transactions)
    assert (none.month(8).truth != concept.month(8).truth).sum() > 0


def test_history_is_before_the_year_with_known_labels() -> None:
    """Its labels are known at the event time, and its months are the calendar months before the first day."""
    year = Year(changed(), seed=2)
    history = year.month(HISTORY)
    assert year.span(HISTORY) == (datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert history.transactions.num_rows == history.labels.num_rows == 2_000
    joined = history.transactions.to_pandas().merge(history.labels.to_pandas(), on="event_id")
    assert (joined["known_at"] == joined["event_time"]).all()


def test_means_shift_as_the_scenario_defines(default: Year) -> None:
    """Means of month 10 are shifted by 0.35 standard deviations; months 1 to 3 equal the history."""
    assert default.shifts(3) == {}
    shifts = default.shifts(10)
    assert {round(abs(shift), 6) for shift in shifts.values()} == {0.35}
    assert len({shift > 0 for shift in shifts.values()}) == 2
    deviation = default.month(1).transactions.to_pandas()[list(FEATURES)].std()
    moved = (means(default, 10) - means(default, 1)) / deviation
    for name in FEATURES:
        assert moved[name] == pytest.approx(shifts[name], abs=0.12), name
    still = (means(default, 3) - means(default, 1)) / deviation
    assert still.abs().max() < 0.05


def test_half_of_the_highest_amounts_are_frauds_from_month_seven(default: Year) -> None:
    """About half of the month's top 1 % by amount, chosen at random; lower amounts are unchanged."""
    for month, low, high in ((6, 0.0, 0.03), (7, 0.40, 0.62), (12, 0.40, 0.62)):
        drawn = default.month(month)
        amounts = drawn.transactions["Amount"].to_numpy()
        cut = np.sort(amounts)[-240]
        share = drawn.truth[amounts >= cut].mean()
        assert low <= share <= high, (month, share)
        assert drawn.truth[amounts < cut].mean() < 0.004


def test_half_of_a_region_of_features_is_fraud_from_month_seven() -> None:
    """About half of the rows in the region are relabelled, no row outside it, and no row before month 7."""
    year = Year(changed("region"), seed=3)
    before, after = year.month(6), year.month(7)
    assert not before.relabelled.any()
    values = after.transactions.select(["V4", "V14"]).to_pandas()
    inside = ((values["V4"] >= 2.309) & (values["V14"] < -0.454)).to_numpy()
    same = Year(changed("none"), seed=3).month(7)
    legitimate = inside & (same.truth == 0)
    assert 0.007 < legitimate.mean() < 0.013
    assert 0.4 < after.truth[legitimate].mean() < 0.6
    assert (after.truth[~inside] == same.truth[~inside]).all()
    assert (after.relabelled == (after.truth != same.truth)).all()
    assert after.relabelled.sum() == after.truth.sum() - same.truth.sum() > 50


def test_labels_arrive_within_30_days_and_the_last_is_final(default: Year) -> None:
    """Every label is known at most 30 days after its event; the last label of an event is its true one."""
    month = default.month(8)
    joined = month.labels.to_pandas().merge(month.transactions.to_pandas()[["event_id", "event_time"]], on="event_id")
    delay = joined["known_at"] - joined["event_time"]
    assert delay.min() >= timedelta(0) and delay.max() <= timedelta(days=30)
    assert delay.mean() == pytest.approx(timedelta(days=4.93), abs=timedelta(hours=3))
    assert delay.quantile(0.98) < timedelta(days=20)
    last = month.labels.to_pandas().sort_values(["known_at", "label"]).drop_duplicates("event_id", keep="last")
    final = last.set_index("event_id")["label"].loc[month.transactions["event_id"].to_pylist()]
    assert (final.to_numpy() == month.truth).all()
    corrected = month.labels.num_rows - month.transactions.num_rows
    assert 3 <= corrected <= 30


def test_analysts_label_alerts_within_days() -> None:
    """The true label of each alert, after the analysts' own delay; which rows are alerts changes no other finding."""
    labels = scenario.load("both").labels.model_dump() | {
        "analysts": {"typical_delay_days": 1.0, "longest_delay_days": 7}
    }
    year = Year(changed(labels=labels), seed=3)
    day = next(year.days(8))
    some = np.arange(len(day.truth)) % 3 == 0
    found, every = (year.findings(day, alerted).to_pandas() for alerted in (some, np.ones_like(some)))
    assert found["event_id"].tolist() == day.transactions["event_id"].to_numpy()[some].tolist()
    assert found["label"].tolist() == day.truth[some].tolist()
    assert set(found["channel"]) == {"analyst"}
    delay = every["known_at"] - day.transactions["event_time"].to_pandas()
    assert delay.min() >= timedelta(0) and delay.max() <= timedelta(days=7)
    assert delay.mean() == pytest.approx(timedelta(days=1), abs=timedelta(hours=4))
    assert found["known_at"].tolist() == every["known_at"][some].tolist()


def test_without_analysts_there_are_no_findings(default: Year) -> None:
    """The default year has the chargeback channel alone."""
    day = next(default.days(1))
    assert default.findings(day, np.ones(len(day.truth), dtype=np.bool_)).num_rows == 0


def test_year_without_chargebacks_has_labels_of_history_alone() -> None:
    """What is known of its months are the findings of analysts; transactions are those of the default year."""
    labels = scenario.load("both").labels.model_dump() | {
        "analysts": {"typical_delay_days": 1.0, "longest_delay_days": 7},
        "chargebacks": False,
    }
    year, default = Year(changed(labels=labels), seed=3), Year(changed(), seed=3)
    assert next(year.days(1)).labels.num_rows == 0
    assert list(year.known(year.span(1)[0], year.span(3)[0])) == []
    assert next(year.days(HISTORY)).labels.equals(next(default.days(HISTORY)).labels)
    assert next(year.days(1)).transactions.equals(next(default.days(1)).transactions)


def test_every_label_is_delivered_once(default: Year) -> None:
    """The deliveries of successive months together have every label of their months once."""
    delivered = [table for month in range(1, 5) for table in default.known(*default.span(month))]
    there = pa.concat_tables(delivered).to_pandas()
    expected = pd.concat([default.month(month).labels.to_pandas() for month in range(1, 5)])
    expected = expected[expected["known_at"] < default.span(4)[1]]
    order = ["known_at", "event_id", "label"]
    pd.testing.assert_frame_equal(
        there.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
    )


def test_seasons_change_only_the_number_of_rows() -> None:
    """June has half the rows, December 1.5 times."""
    year = Year(changed("seasonal-volume"), seed=0, rows=2_000)
    assert (year.month(6).transactions.num_rows, year.month(12).transactions.num_rows) == (1_000, 3_000)
    assert year.shifts(12) == {}


def test_outages_are_listed_by_month() -> None:
    """A week of month 3 and all of month 5 are not captured; days after a month's end are left out."""
    year = Year(changed("capture-outage"), seed=0)
    assert year.uncaptured(3) == [(datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC))]
    assert year.uncaptured(5) == [year.span(5)]
    assert year.uncaptured(4) == []


def test_days_are_drawn_one_at_a_time(default: Year) -> None:
    """The first day of a month of two million rows is drawn without the other days."""
    year = Year(changed(), seed=0, rows=2_000_000)
    day = next(year.days(1))
    assert 60_000 < day.transactions.num_rows < 70_000


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 14))
@settings(max_examples=15, deadline=None)
def test_small_years_are_complete(seed: int, rows: int, month: int) -> None:
    """However few rows are requested: their number, labels for all, and unique ids are right in every month."""
    drawn = Year(changed(), seed=seed, rows=rows).month(month)
    ids = drawn.transactions["event_id"].to_pylist()
    assert len(ids) == len(set(ids)) == rows == len(drawn.truth)
    assert set(drawn.labels["event_id"].to_pylist()) == set(ids)


@pytest.mark.parametrize(("seed", "rows", "message"), [(-1, 10, "seed"), (0, 0, "rows")])
def test_invalid_seed_and_rows_are_refused(seed: int, rows: int, message: str) -> None:
    """Seeds below 0, and months without rows."""
    with pytest.raises(FraudopsError, match=message):
        Year(changed(), seed=seed, rows=rows)
