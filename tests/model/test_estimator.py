"""The entry of all estimators: what it checks before a fit, and what it refuses to export."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.model import document_fields, estimator, model_document
from ml.model.model_parts import Bins, Feature, LevelTable, Line, Part
from tests.model.training_samples import TRAINING, WITH_CATEGORIES, changed, rows, rows_with_categories

TEXT = changed(columns=WITH_CATEGORIES)
TERM = Feature(name="V1", transform="identity", limits=None, mean=0.0, scale=1.0, coefficient=2.0)
TABLE = Bins(input="Amount", kind="value", edges=(1.0, 2.0), coefficients=(0.0, 1.0, 2.0))
PART = Part(pattern="known", features=(TERM,), bins=(TABLE,), levels=(), intercept=-3.0, recalibration=None)


@dataclasses.dataclass(frozen=True)
class Made:
    """A fitted estimator with a given part."""

    made: Part
    synthetic_rows: int = 0
    notes: tuple[str, ...] = ()

    def part(self) -> Part:
        """The given part."""
        return self.made


def test_fit_rejects_one_class() -> None:
    """Rows without a fraud are rejected with their count."""
    X, y = rows(100)
    with pytest.raises(ValueError, match="0 frauds in 100 rows"):
        estimator.fit(TRAINING, X, np.zeros_like(y))


def test_fit_rejects_an_unknown_estimator() -> None:
    """The settings of a job name what its code does not have."""
    with pytest.raises(ValueError, match=r"estimator must be one of .*logistic_regression.*\(got 'forest'\)"):
        estimator.fit(dataclasses.replace(TRAINING, estimator="forest"), *rows(100))


def test_fit_takes_columns_by_name() -> None:
    """More columns and another order change nothing."""
    X, y = rows()
    shuffled = pd.concat([X[["Amount", "V3", "V2", "V1", "Time"]], pd.Series(y, name="Class")], axis=1)
    a, b = (estimator.export(estimator.fit(TRAINING, frame, y), TRAINING, 0.5) for frame in (X, shuffled))
    assert a == b


def test_document_without_categories_keeps_its_schema() -> None:
    """Its digest does not change because other models may have categories."""
    X, y = rows()
    document = estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5)
    assert (document["schema"], "categories" in document, "levels" in document["parts"][0]) == (3, False, False)
    X, y = rows_with_categories()
    document = estimator.export(estimator.fit(TEXT, X, y), TEXT, 0.5)
    assert (document["schema"], document["categories"]) == (4, ["shop", "country"])


def test_document_does_not_name_the_estimator() -> None:
    """Two estimators that make the same part make the same document, to the last byte."""
    other = dataclasses.replace(TRAINING, estimator="another")
    assert estimator.export(Made(PART), TRAINING, 0.5) == estimator.export(Made(PART), other, 0.5)


def test_export_keeps_every_number_of_the_part() -> None:
    """The part, read back, is the one that the estimator made."""
    table = LevelTable(input="shop", levels=("", "food"), coefficients=(0.1, 0.2), other=0.3)
    for training, part in ((TRAINING, PART), (TEXT, dataclasses.replace(PART, levels=(table,)))):
        document = estimator.export(Made(part), training, 0.25, Line(slope=0.5, intercept=-1.0))
        read = model_document.parse(document_fields.canonical(document))
        assert read.parts == (part,)
        assert (read.threshold.score, read.history) == (0.25, Line(slope=0.5, intercept=-1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pattern": "new"}, "pattern known and no recalibration (got new and None): only an adaptation makes others"),
        ({"recalibration": Line(slope=1.0, intercept=0.0)}, "pattern known and no recalibration (got known and Line("),
        ({"intercept": math.nan}, "made a part that is not finite numbers and text: "),
        ({"bins": (dataclasses.replace(TABLE, edges=(2.0, 1.0)),)}, "parts[0].bins[0].edges"),
        ({"bins": (TABLE, TABLE)}, "one table per input and kind"),
        ({"features": (dataclasses.replace(TERM, name="V9"),)}, "parts[0].features[0].name must be one of inputs"),
        (
            {"levels": (LevelTable(input="shop", levels=(), coefficients=(), other=0.0),)},
            "made tables of categories, and data.yaml names no categories",
        ),
    ],
)
def test_export_rejects_what_no_model_may_hold(change: dict[str, Any], message: str) -> None:
    """The error names the estimator and the field, before any row is scored."""
    with pytest.raises(ValueError) as caught:
        estimator.export(Made(dataclasses.replace(PART, **change)), TRAINING, 0.5)
    assert message in str(caught.value)
    assert "the estimator logistic_regression" in str(caught.value)


@pytest.mark.parametrize("number", [np.int64, np.float32])
def test_export_rejects_numbers_of_libraries(number: Callable[[int], Any]) -> None:
    """A number that JSON does not have is refused, not rounded."""
    with pytest.raises(ValueError, match="the estimator logistic_regression made a part that is not finite numbers"):
        estimator.export(Made(dataclasses.replace(PART, intercept=number(3))), TRAINING, 0.5)
