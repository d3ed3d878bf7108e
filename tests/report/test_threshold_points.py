"""Tests of what other thresholds would have given on the test rows."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import metrics
from ml.report import threshold_points
from tests.report.evaluations import ALONE, COMPARED, blind, evaluation, schema_1, wasting


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


def test_curves_of_a_comparison_are_of_its_rows() -> None:
    """The last point is the share of frauds among the rows of the comparison; without one there are no points."""
    made = evaluation(champion=COMPARED)
    both = made["curves"]["compared"]
    for model in ("challenger", "champion"):
        drawn = threshold_points.compared_curve(made, model)
        assert drawn[-1] == (1.0, both["positives"] / 3900)
        assert {tuple(point[:2]) for point in both[model]} <= {*drawn}
    assert threshold_points.compared_curve(evaluation(), "champion") == []
    assert threshold_points.compared_curve(schema_1(made), "champion") == []


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


def test_waste_that_the_champion_has_too_is_not_pointed_out() -> None:
    """It does not concern the decision; twice as much does, with the champion's beside it."""
    made = wasting(evaluation(champion=COMPARED))
    saved = threshold_points.better(made)
    assert saved is not None
    assert threshold_points.to_point_out(made) == saved
    assert "fewer false alarms (that of the champion wastes none)" in threshold_points.sentence(made)
    made["champion"] = COMPARED | {"false_positive_rate": COMPARED["false_positive_rate"] | {"champion": 0.07}}
    assert "fewer false alarms (a higher threshold would save the champion " in threshold_points.sentence(made)
    made["champion"] = COMPARED | {"false_positive_rate": COMPARED["false_positive_rate"] | {"champion": 0.11}}
    assert threshold_points.to_point_out(made) is None
    assert threshold_points.sentence(made) == ""


def test_both_models_are_traded_off_on_the_rows_of_their_comparison() -> None:
    """Not the new model on all test rows; each point lies on its recall and its share of alerts there."""
    made = evaluation(champion=COMPARED)
    ours, theirs = threshold_points.trade_off(made)
    assert [(side.model, side.rows) for side in (ours, theirs)] == [("challenger", 3900), ("champion", 3900)]
    for side in (ours, theirs):
        curve = threshold_points.compared_curve(made, side.model)
        assert [recall for _, recall in side.line] == [recall for recall, _ in curve]
        assert side.line[-1] == pytest.approx((1.0, 1.0))
        assert side.point is not None
        assert side.point[1] == COMPARED["recall"][side.model]
    assert (ours.point, theirs.point) == ((68 / 3900, 0.95), (69 / 3900, 0.95))
    assert [side.point for side in threshold_points.trade_off(made | {"champion": ALONE})] == [None, None]


def test_earlier_evaluation_names_the_rows_of_the_champion() -> None:
    """The new model is on all test rows, and the champion is a point; without one there is one side."""
    ours, theirs = threshold_points.trade_off(schema_1(evaluation(champion=COMPARED)))
    assert (ours.rows, theirs.rows, theirs.line) == (4000, 3900, [])
    (alone,) = threshold_points.trade_off(evaluation())
    assert alone.rows == 4000
    silent = blind() | {"confusion": dict.fromkeys(blind()["confusion"], 0)}
    assert threshold_points.trade_off(silent)[0].point is None
