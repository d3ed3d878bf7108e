"""Profile files are read strictly, and stand-in data follow them in the adopter's columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.errors import ConfigError
from ml.simulate import profile as profiles
from ml.simulate import scenario, stand_in_data
from ml.simulate.stand_in_data import StandIn
from ml.simulate.year_traffic import Year


def document(unit: str | None = "epoch_milliseconds", amount: str | None = "paid") -> dict[str, Any]:
    """A small profile: two numbers, one text column."""
    numbers = ["age", "paid"]
    groups = [
        {
            "label": label,
            "share_of_class": 1.0,
            "rows_fitted": 100,
            "quantiles": {"age": [0.0, 50.0, 100.0], "paid": [1.0, 10.0 + 40 * label, 100.0]},
            "categories": {"shop": {"food": 0.75 - label / 2, "travel": 0.25 + label / 2}},
            "rank_correlation": [[1.0, 0.3], [0.3, 1.0]],
        }
        for label in (0, 1)
    ]
    return {
        "schema": 2,
        "source": "a test",
        "licence": None,
        "layout": {
            "label": "is_fraud",
            "amount": amount,
            "time": None if unit is None else {"column": "at", "unit": unit},
        },
        "columns": numbers,
        "decimals": {"age": 0, "paid": 2},
        "categories": ["shop"],
        "quantile_levels": [0.0, 0.5, 1.0],
        "full_set": {"rows": 1_000, "frauds": 50, "fraud_rate": 0.05, "seconds": 86_400},
        "hourly_counts": {"0": [10.0] * 24, "1": [0.0] * 12 + [10.0] * 12},
        "groups": groups,
    }


def read(folder: Path, content: dict[str, Any]) -> profiles.Profile:
    """The profile, written to a file and read."""
    path = folder / "profile.json"
    path.write_text(json.dumps(content))
    return profiles.read(path)


def test_the_shipped_profile_is_valid() -> None:
    """It has the ULB layout, and its quantiles have no row of the data set's extremes left out by mistake."""
    shipped = profiles.read()
    assert (shipped.layout.label, shipped.layout.amount) == ("Class", "Amount")
    assert (shipped.full_set.rows, shipped.full_set.frauds) == (stand_in_data.ROWS, stand_in_data.FRAUDS)
    assert shipped.quantile_levels == profiles.QUANTILE_LEVELS


@pytest.mark.parametrize("unit", ["iso", "epoch_seconds", "epoch_milliseconds", "seconds_since_start", None])
def test_drawn_data_have_the_layout_of_the_profile(tmp_path: Path, unit: str | None) -> None:
    """Names, order, units and decimals are the profile's."""
    table = stand_in_data.draw(seed=1, start=date(2026, 3, 1), profile=read(tmp_path, document(unit)))
    clock = [] if unit is None else ["at"]
    assert table.column_names == ["event_time", *clock, "age", "paid", "shop", "is_fraud"]
    assert (table.num_rows, sum(table["is_fraud"].to_pylist())) == (1_000, 50)
    first = table["event_time"][0].as_py()
    expected = {
        "iso": first.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "epoch_seconds": first.timestamp(),
        "epoch_milliseconds": first.timestamp() * 1_000,
        "seconds_since_start": (first - datetime(2026, 3, 1, tzinfo=UTC)).total_seconds(),
    }
    if unit is not None:
        assert table["at"][0].as_py() == expected[unit]
    ages = table["age"].to_numpy()
    assert np.array_equal(ages, np.round(ages)) and (ages >= 0).all() and (ages <= 100).all()
    assert np.array_equal(table["paid"].to_numpy(), np.round(table["paid"].to_numpy(), 2))


def test_text_columns_follow_the_shares_of_each_class(tmp_path: Path) -> None:
    """Of legitimate rows three in four are food, of frauds one in four."""
    profile = read(tmp_path, document())
    table = stand_in_data.draw(20_000, frauds=10_000, seed=2, profile=profile)
    for label, share in ((0, 0.75), (1, 0.25)):
        counts = Counter(table.filter(pa.compute.equal(table["is_fraud"], label))["shop"].to_pylist())
        assert set(counts) == {"food", "travel"}
        assert counts["food"] / 10_000 == pytest.approx(share, abs=0.02)


def test_numbers_do_not_depend_on_text_columns(tmp_path: Path) -> None:
    """A draw is the same with equal arguments."""
    profile = read(tmp_path, document())
    assert stand_in_data.draw(500, seed=3, profile=profile).equals(stand_in_data.draw(500, seed=3, profile=profile))
    assert not stand_in_data.draw(500, seed=3, profile=profile).equals(stand_in_data.draw(500, seed=4, profile=profile))


def test_a_year_has_the_columns_of_the_profile(tmp_path: Path) -> None:
    """ISO times are numbers in the lake and text in requests; drift shifts every number but the amount."""
    standin = StandIn(read(tmp_path, document("iso")))
    year = Year(scenario.load("data-only", standin), seed=1, rows=3_000, standin=standin)
    day = next(year.days(12))
    assert day.transactions.column_names == ["event_id", "event_time", "at", "age", "paid", "shop"]
    times = day.transactions["at"].to_numpy()
    assert datetime.fromtimestamp(times[0], UTC) == day.transactions["event_time"][0].as_py()
    written = standin.written_times({"at": day.transactions["at"]})["at"]
    assert written[0].as_py() == day.transactions["event_time"][0].as_py().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert set(year.shifts(12)) == {"age"}


def test_scenarios_that_need_other_columns_are_refused(tmp_path: Path) -> None:
    """The default relabels high amounts, and the region is one of V4 and V14."""
    without = StandIn(read(tmp_path, document(amount=None)))
    with pytest.raises(ConfigError, match=r"both\.yaml: concept_drift\.0\.top_share needs an amount"):
        scenario.load("both", without)
    with pytest.raises(ConfigError, match=r"region\.yaml: .*must name features among age … age \(got V4\)"):
        scenario.load("region", StandIn(read(tmp_path, document())))


def _drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("layout"), "layout is missing"),
        (lambda content: content.update(schema=1), "schema must be 2"),
        (lambda content: content.update(rows=[[1, 2]]), "rows is not a known key"),
        (lambda content: content["layout"].update(amount="other"), "must have the amount other among the columns"),
        (lambda content: content["decimals"].pop("age"), "must have decimals for each of the columns"),
        (lambda content: content["quantile_levels"].reverse(), "quantile_levels that ascend from 0 to 1"),
        (lambda content: content["groups"][1]["quantiles"]["age"].reverse(), "groups.1 quantiles that do not fall"),
        (lambda content: content["groups"][0]["quantiles"]["age"].pop(), "groups.0 3 quantiles of each"),
        (lambda content: content["groups"][0]["rank_correlation"].pop(), "a rank_correlation of 2 rows and columns"),
        (
            lambda content: content["groups"][0]["rank_correlation"][0].__setitem__(1, 1.5),
            "a rank_correlation of age and paid between -1 and 1 (got 1.5)",
        ),
        (
            lambda content: content["groups"][0]["rank_correlation"][0].__setitem__(1, 0.2),
            "the same rank_correlation of age and paid both ways (got 0.2 and 0.3)",
        ),
        (lambda content: content["groups"][0]["categories"].clear(), "the shares of each of the categories"),
        (lambda content: content["groups"].pop(), "at least one group of each class"),
        (lambda content: content["hourly_counts"]["1"].pop(), "24 hourly_counts of class 1"),
    ],
)
def test_an_invalid_profile_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """The message names the file, the field and what it must be."""
    content = document()
    change(content)
    with pytest.raises(ConfigError, match=r"profile\.json: ") as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


def test_a_file_that_is_no_profile_is_refused(tmp_path: Path) -> None:
    """Text that is not JSON, and a file that is not there."""
    (tmp_path / "profile.json").write_text("columns: [a]\n")
    with pytest.raises(ConfigError, match=r"profile\.json: line 1 is not JSON"):
        profiles.read(tmp_path / "profile.json")
    with pytest.raises(ConfigError, match=r"make a profile with `fraudops data profile`"):
        profiles.read(tmp_path / "absent.json")
