"""The reference of a category lists its values; drift of a category is found by counts alone, unseen values apart."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from ml.model.drift import category_counts, detector, distribution_shift
from ml.model.drift.detector import DriftVerdict, Reference, WindowSummary
from ml.model.drift.histogram import Column, Tally
from ml.model.drift.reference import complete_reference, start_reference
from tests.model.drift_samples import RULES
from tests.model.training_samples import SHOPS, WITH_CATEGORIES, rows_with_categories

TEXTS = st.lists(st.text(max_size=3), min_size=1, max_size=30)
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


@given(TEXTS, TEXTS)
def test_reference_of_parts_counts_every_row(first: list[str], later: list[str]) -> None:
    """Extending a reference gives that of all rows: its values, sorted, and their counts."""
    found = category_counts.extended(category_counts.reference("shop", first), later)
    assert found == category_counts.reference("shop", first + later)
    assert dict(zip(found["values"], found["counts"], strict=True)) == Counter(first + later)
    assert (found["n"], found["values"]) == (len(first + later), sorted(found["values"]))


def test_reference_lists_the_most_frequent_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many, the rarest are left out, of equally rare ones the last."""
    monkeypatch.setattr(category_counts, "MAX_VALUES", 2)
    assert category_counts.reference("shop", ["c", "a", "b", "b"])["values"] == ["a", "b"]


def test_rare_values_are_one_group() -> None:
    """Values of fewer than 50 rows are tested together; without any, each value alone."""
    counts = [100, 3, 50, 49, 0]
    group = category_counts.groups(counts)
    assert category_counts.grouped(counts, group).tolist() == [100.0, 50.0, 52.0]
    assert category_counts.groups([60, 70]).tolist() == [0, 1]


@given(st.lists(st.sampled_from(["a", "b", "c", "new"]), max_size=40), st.integers(0, 3))
def test_tally_counts_places(texts: list[str], missing: int) -> None:
    """Rows of each value, unseen ones apart; tallies of parts add up."""
    column = Column.of(category_counts.reference("shop", ["a", "a", "b", "c"]))
    assert column.levels is not None
    places = np.array([*column.levels.places(texts), *[np.nan] * missing])
    tally = Tally.of(column, places)
    assert tally.bins == tuple(texts.count(level) for level in "abc")
    assert (tally.unseen, tally.n, tally.missing) == (texts.count("new"), len(texts), missing)
    assert Tally.of(column, places[:5]) + Tally.of(column, places[5:]) == tally
    assert Tally.from_dict(tally.to_dict()) == tally


def reference() -> Reference:
    """A reference of rows with categories."""
    X, y = rows_with_categories(6000)
    times = np.datetime64("2026-01-01", "us") + np.arange(6000) * np.timedelta64(60, "s")
    started = start_reference(WITH_CATEGORIES, X.head(3000), y[:3000], times=times[:3000])
    scores = np.linspace(0, 1, 3000)
    windows = {part: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"} for part in ("train", "test")}
    return Reference.of(
        complete_reference(
            started,
            WITH_CATEGORIES,
            X.tail(3000),
            y[3000:],
            scores=scores,
            decisions=scores > 0.9,
            times=times[3000:],
            windows=windows,
        )
    )


def verdict(change: Any = None) -> DriftVerdict:
    """The verdict on a window of the same distribution, whose shops `change` replaces."""
    known, (X, _) = reference(), rows_with_categories(4000, seed=5)
    shops = np.array(X["shop"], dtype=object)
    X["shop"] = shops if change is None else change(shops)
    columns: dict[str, NDArray[np.float64]] = {}
    for column in known.columns:
        levels = column.levels
        columns[column.name] = np.array(X[column.name] if levels is None else levels.places(X[column.name].tolist()))
    summary = WindowSummary.of(known, columns)
    rules = dataclasses.replace(RULES, min_rows=100)
    return detector.evaluate(known, summary, None, rules, start=START, end=END)


def test_equal_categories_do_not_fire() -> None:
    """No statistic of an order is tested, and the tests of numbers are corrected for those that are."""
    found = verdict()
    of_shop = {item.statistic for item in found.findings if item.subject == "shop"}
    assert of_shop == {"psi", "js", "chi_square", "missing", "unseen"}
    assert not [item for item in found.findings if item.fired and item.subject in ("shop", "country")]
    tested = [item for item in found.findings if item.kind == "data"]
    assert len(tested) == 5 * 5 + 2 * 3
    assert {item.alpha for item in tested} == {RULES.data.alpha / (len(tested) * RULES.looks)}


def test_moved_categories_fire_with_the_tests_p_value() -> None:
    """Half of food becomes fuel: chi-square fires, with the p-value of Pearson's test of the grouped counts."""

    def moved(shops: NDArray[Any]) -> NDArray[Any]:
        return np.where((shops == "food") & (np.arange(len(shops)) % 2 == 0), "fuel", shops)

    found = verdict(moved)
    (finding,) = [item for item in found.findings if (item.statistic, item.subject) == ("chi_square", "shop")]
    assert finding.fired
    known = next(column for column in reference().columns if column.name == "shop")
    assert known.levels is not None
    texts = moved(np.array(rows_with_categories(4000, seed=5)[0]["shop"], dtype=object)).tolist()
    now = [texts.count(level) for level in known.levels.levels]
    counts = [category_counts.grouped(each, known.groups) for each in (known.summary.counts, now)]
    expected = chi2_contingency(np.array(counts), correction=False).pvalue
    assert finding.p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)
    feature = next(item for item in found.features if item.name == "shop")
    assert (feature.fired, feature.unseen, feature.ks, feature.mean_shift) == (True, 0.0, 0.0, 0.0)
    assert "data" in found.verdicts


def test_unseen_values_are_a_check_of_their_own() -> None:
    """Their share is reported and limited; they are in no bin, so the known values have not moved."""

    def renamed(shops: NDArray[Any]) -> NDArray[Any]:
        return np.where(np.arange(len(shops)) % 20 == 0, "FOOD", shops)

    found = verdict(renamed)
    (unseen,) = [item for item in found.fired("schema") if item.subject == "shop"]
    assert (unseen.statistic, unseen.value) == ("unseen", 0.05)
    assert unseen.detail == "200 of 4,000 rows have a value that the reference does not list"
    assert not [item for item in found.fired("data") if item.subject == "shop"]
    feature = next(item for item in found.features if item.name == "shop")
    assert feature.unseen == 0.05
    assert DriftVerdict.from_dict(found.to_dict()) == found


def test_statistics_need_no_order_of_values() -> None:
    """The statistics are the same whatever the values are called."""
    found = []
    for names in (dict(zip(SHOPS, "abcde", strict=True)), dict(zip(SHOPS, "ecbda", strict=True))):
        texts = [[names[shop] for shop in rows_with_categories(3000, seed=seed)[0]["shop"]] for seed in (1, 2)]
        column = Column.of(category_counts.reference("shop", texts[0]))
        assert column.levels is not None
        tally = Tally.of(column, np.array(column.levels.places(texts[1])))
        (feature,) = distribution_shift.measure([column], [tally]).features
        found.append([feature.psi, feature.js, feature.chi_square])
    assert found[0] == pytest.approx(found[1], rel=1e-12)
