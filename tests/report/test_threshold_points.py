"""Tests of what other thresholds would have given on the test rows."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import metrics
from ml.report import threshold_points
from tests.report.evaluations import blind, evaluation, wasting


def test_curve_has_its_vertical_parts() -> None:
    """Every threshold's recall and precision lie on the curve, also between two frauds, down to the share of frauds."""
    labels = np.array([1, 0, 0, 1, 0, 0, 0, 1, 0, 0])
    scores = np.linspace(0.9, 0.1, 10)
    made = evaluation() | {"rows": 10, "positives": 3}
    made["curves"] = {"precision_recall": metrics.precision_recall_curve(labels, scores)}
    found = np.cumsum(labels)
    recall, precision = found / 3, found / np.arange(1, 11)
    drawn = threshold_points.curve(made)
    expected = [(1 / 3, 1.0), (1 / 3, 1 / 3), (2 / 3, 0.5), (2 / 3, 2 / 7), (1.0, 3 / 8), (1.0, 3 / 10)]
    assert np.asarray(drawn) == pytest.approx(np.asarray(expected))
    for point in zip(recall, precision, strict=True):
        same = [at for each, at in drawn if each == pytest.approx(point[0])]
        assert min(same) <= point[1] + 1e-12 <= max(same) + 1e-9
    assert threshold_points.alerts(made, (2 / 3, 2 / 7)) == pytest.approx(7)


def test_thinned_curve_has_no_invented_vertical_part() -> None:
    """Between points that are several frauds apart, the number of false alarms at the first recall is not known."""
    made = evaluation() | {
        "rows": 100,
        "positives": 10,
        "curves": {"precision_recall": [(0.2, 1.0, 0.9), (1.0, 0.5, 0.1)]},
    }
    assert threshold_points.curve(made) == [(0.2, 1.0), (1.0, 0.5), (1.0, 0.1)]


def test_better_threshold_finds_the_same_frauds() -> None:
    """It has the same recall, a precision above the interval, and the false alarms that it saves are counted."""
    made = wasting(evaluation())
    found = threshold_points.better(made)
    assert found is not None
    assert found.recall == pytest.approx(made["metrics"]["recall"]["value"])
    assert found.precision > made["metrics"]["precision"]["high"]
    true_positives = made["confusion"]["true_positives"]
    assert true_positives / (true_positives + found.false_alarms) == pytest.approx(found.precision)
    assert found.saved == made["confusion"]["false_positives"] - found.false_alarms
    said = threshold_points.sentence(made)
    assert f"and {found.saved:,} fewer false alarms" in said
    assert "only in hindsight" in said


def test_threshold_within_its_interval_is_not_pointed_out() -> None:
    """A difference that chance explains is no waste; without alerts or frauds there is nothing to compare."""
    precise = evaluation()
    precise["metrics"]["precision"] |= {"high": 1.0}
    assert threshold_points.better(precise) is None
    assert threshold_points.sentence(precise) == ""
    assert threshold_points.better(blind()) is None
