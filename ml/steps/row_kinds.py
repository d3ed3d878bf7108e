"""Counts what each model finds by kind of rows, for people: by amount, hour of the day and category.

Part of the Evaluate step (evaluate.py). The gate reads none of it; the comparison's slices, which it reads, are those
of ml/model/champion_comparison.py. Reads and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model import champion_comparison, features
from ml.model.training_settings import Columns
from ml.steps import prepared_files
from ml.steps.prepared_files import LABEL
from ml.steps.prepared_rows import PreparedRows

MOST_CATEGORIES, MOST_VALUES = 4, 8
"""evaluation.json names at most so many category columns, and values of each; the others count together."""
_DAY_PARTS = 6
_MICROSECONDS = 1_000_000


def count(columns: Columns, rows: PreparedRows, decisions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Rows, frauds, and each model's alerts and found frauds by kind of rows.

    Args:
        decisions: of each model by its name, 1 = alert, in the order of `rows`.
    """
    fraud = rows[LABEL].to_numpy() == 1
    alerted = {name: np.asarray(made) == 1 for name, made in decisions.items()}
    return {
        "rows": len(fraud),
        "positives": int(fraud.sum()),
        "kinds": [
            {
                "by": by,
                "name": name,
                "rows": int(inside.sum()),
                "positives": int((inside & fraud).sum()),
                "models": {
                    model: {"alerts": int((alerts & inside).sum()), "found": int((alerts & inside & fraud).sum())}
                    for model, alerts in alerted.items()
                },
            }
            for by, name, inside in _masks(columns, rows)
        ],
    }


def _masks(columns: Columns, rows: PreparedRows) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """What the kind goes by, its name, and the mask of its rows; kinds without rows are left out."""
    amounts = features.amounts(columns, rows)
    bands = {} if amounts is None else champion_comparison.amount_bands(amounts)
    found = [("amount", name, inside) for name, inside in bands.items()]
    if columns.time is not None:
        found += [("hour", name, inside) for name, inside in _hours(rows).items()]
    for column in columns.categories[:MOST_CATEGORIES]:
        found += [("category", f"{column}: {name}", inside) for name, inside in _values(rows, column).items()]
    return found


def _hours(rows: PreparedRows) -> dict[str, NDArray[np.bool_]]:
    """Six equal parts of the day, UTC."""
    microseconds = prepared_files.times(rows).astype("datetime64[us]").astype(np.int64)
    hours = features.hour_of_day(microseconds, _MICROSECONDS)
    edges = [0, *features.hour_edges(_DAY_PARTS).astype(int).tolist(), 24]
    masks = {f"{low:02d}:00 to {high:02d}:00": (hours >= low) & (hours < high) for low, high in pairwise(edges)}
    return {name: inside for name, inside in masks.items() if inside.any()}


def _values(rows: PreparedRows, column: str) -> dict[str, NDArray[np.bool_]]:
    """The most frequent values of a category, equal counts in alphabetical order, and the others together."""
    codes, values = pd.factorize(rows[column].astype(str), sort=True)
    kept = np.argsort(-np.bincount(codes, minlength=len(values)), kind="stable")[:MOST_VALUES]
    masks = {str(values[place]): codes == place for place in kept}
    others = ~np.isin(codes, kept)
    return masks | ({f"{len(values) - len(kept)} other values": others} if others.any() else {})
