"""What each model finds by kind of rows: counts that add up, in bounded numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.steps import row_kinds
from ml.steps.prepared_files import LABEL, TIME
from ml.steps.prepared_rows import PreparedRows
from tests.model.training_samples import COLUMNS, WITH_CATEGORIES, rows_with_categories

pytestmark = pytest.mark.container


def stored(folder: Path, **changes: np.ndarray[Any, Any]) -> PreparedRows:
    """600 rows, one every eight minutes from midnight on, every tenth of them a fraud."""
    X, _ = rows_with_categories(600)
    times = pd.to_datetime("2026-03-01T00:00:00Z") + pd.to_timedelta(np.arange(600) * 8, unit="min")
    frame = X.assign(**changes)
    frame[LABEL], frame[TIME] = (np.arange(600) % 10 == 0).astype(np.int8), times
    frame.to_parquet(folder / "test.parquet")
    return PreparedRows.of(folder / "test.parquet")


def test_counts_of_every_kind_add_up(tmp_path: Path) -> None:
    """Amount bands, hours and each category divide the rows: rows, frauds, alerts and found frauds add up to all."""
    rows = stored(tmp_path)
    random = np.random.default_rng(0)
    decisions = {"challenger": random.integers(0, 2, 600), "champion": np.zeros(600, dtype=int)}
    counted = row_kinds.count(WITH_CATEGORIES, rows, decisions)
    assert (counted["rows"], counted["positives"]) == (600, 60)
    groups: dict[str, list[dict[str, Any]]] = {}
    for kind in counted["kinds"]:
        column = kind["name"].split(":")[0] if kind["by"] == "category" else kind["by"]
        groups.setdefault(column, []).append(kind)
    assert [*groups] == ["amount", "hour", "shop", "country"]
    fraud = rows[LABEL].to_numpy() == 1
    alerts, found = decisions["challenger"].sum(), decisions["challenger"][fraud].sum()
    for kinds in groups.values():
        frame = pd.json_normalize(kinds).sum(numeric_only=True)
        assert (frame["rows"], frame["positives"]) == (600, 60)
        assert (frame["models.challenger.alerts"], frame["models.challenger.found"]) == (alerts, found)
        assert (frame["models.champion.alerts"], frame["models.champion.found"]) == (0, 0)


def test_hours_are_of_the_day_in_utc(tmp_path: Path) -> None:
    """Rows of several days count together; 600 rows every eight minutes are three days and eight hours."""
    counted = row_kinds.count(COLUMNS, stored(tmp_path), {"challenger": np.ones(600)})
    hours = {kind["name"]: kind["rows"] for kind in counted["kinds"] if kind["by"] == "hour"}
    assert hours == {
        "00:00 to 04:00": 120,
        "04:00 to 08:00": 120,
        "08:00 to 12:00": 90,
        "12:00 to 16:00": 90,
        "16:00 to 20:00": 90,
        "20:00 to 24:00": 90,
    }
    assert {kind["by"] for kind in counted["kinds"]} == {"amount", "hour"}


def test_rare_values_count_together(tmp_path: Path) -> None:
    """The eight most frequent values are named, equal counts in alphabetical order; the size is bounded."""
    shops = np.where(np.arange(600) % 2 == 0, "most", np.char.add("s", (np.arange(600) % 40).astype(str)))
    counted = row_kinds.count(WITH_CATEGORIES, stored(tmp_path, shop=shops), {"challenger": np.ones(600)})
    named = [kind for kind in counted["kinds"] if kind["name"].startswith("shop: ")]
    names = ["most", "s1", "s11", "s13", "s15", "s17", "s19", "s21", "13 other values"]
    assert [kind["name"] for kind in named] == [f"shop: {name}" for name in names]
    assert named[-1]["rows"] == 13 * 15


def test_columns_that_the_data_lack_are_left_out(tmp_path: Path) -> None:
    """Without time, amount and categories there is no kind; no row is counted twice."""
    bare = dataclasses.replace(WITH_CATEGORIES, time=None, amount=None, categories=())
    counted = row_kinds.count(bare, stored(tmp_path), {"challenger": np.ones(600)})
    assert counted == {"rows": 600, "positives": 60, "kinds": []}
