"""Derives from evaluation.json what other thresholds would have given on the test rows. Chooses no threshold.

The stored curve has one point for each fraud that a lower threshold finds. Between two of them precision only falls,
because only false alarms are added: the vertical parts of the curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]
_MORE_WASTE = 2.0  # times the false alarms that the champion could save


@dataclass(frozen=True, kw_only=True)
class Better:
    """A higher threshold that finds at least as many of the test rows' frauds with fewer false alarms.

    `false_alarms` and `saved` are counts on the test rows: those that it raises, and those that the chosen one adds.
    """

    score: float
    recall: float
    precision: float
    false_alarms: int
    saved: int


@dataclass(frozen=True, kw_only=True)
class Side:
    """What the thresholds of a model alert and find on `rows` of the test rows, as shares: (alerted, found).

    `point` is that of the model's own threshold; None without alerts.
    """

    model: str
    rows: int
    line: list[Point]
    point: Point | None


def better(evaluation: Mapping[str, Any]) -> Better | None:
    """The threshold that finds the same frauds with the highest precision.

    Returns:
        None if the precision of the model's own threshold is as high, within its interval.
    """
    recall, precision = (evaluation["metrics"].get(name) for name in ("recall", "precision"))
    if not _is_defined(recall) or not _is_defined(precision):
        return None
    counts, positives = evaluation["confusion"], evaluation["positives"]
    reached = [point for point in evaluation["curves"]["precision_recall"] if point[0] >= recall["value"] - 1e-9]
    chosen = max(reached, key=lambda point: point[1], default=None)
    if chosen is None or chosen[1] <= precision["high"] or chosen[2] <= evaluation["threshold"]["score"]:
        return None
    found = chosen[0] * positives
    false_alarms = round(found / chosen[1] - found)
    return Better(
        score=chosen[2],
        recall=chosen[0],
        precision=chosen[1],
        false_alarms=false_alarms,
        saved=counts["false_positives"] - false_alarms,
    )


def to_point_out(evaluation: Mapping[str, Any]) -> Better | None:
    """The better threshold if it concerns the decision: the champion's own threshold wastes clearly less.

    Returns:
        None if the model's threshold wastes nothing, or if the champion's adds nearly as many false alarms that a
        higher threshold of its own would save.
    """
    found = better(evaluation)
    champion = _wasted_by_champion(evaluation)
    return found if found is not None and (champion is None or found.saved > _MORE_WASTE * champion) else None


def _wasted_by_champion(evaluation: Mapping[str, Any]) -> float | None:
    """The false alarms that a higher threshold would save the champion, scaled to the test rows; None if unknown."""
    compared, both = evaluation["champion"], evaluation["curves"].get("compared")
    recall, wrong = compared.get("recall"), compared.get("false_positive_rate")
    if both is None or recall is None or wrong is None:
        return None
    found = recall["champion"] * both["positives"]
    reached = [point[1] for point in both["champion"] if point[0] >= recall["champion"] - 1e-9]
    if not found or not reached:
        return 0.0
    least = found / max(reached) - found
    saved = wrong["champion"] * (both["rows"] - both["positives"]) - least
    return float(max(saved, 0.0) * evaluation["rows"] / both["rows"])


def sentence(evaluation: Mapping[str, Any]) -> str:
    """That the threshold wastes precision more than the champion's, and the better one; '' if it does not."""
    found = to_point_out(evaluation)
    if found is None:
        return ""
    precision = evaluation["metrics"]["precision"]["value"]
    champion = _wasted_by_champion(evaluation)
    theirs = "" if champion is None else f" (a higher threshold would save the champion {champion:,.0f})"
    if champion is not None and not round(champion):
        theirs = " (that of the champion wastes none)"
    return (
        f"The threshold {evaluation['threshold']['score']:.6g} wastes precision on all "
        f"{evaluation['rows']:,} test rows: at "
        f"{found.score:.6g}, recall is {found.recall:.3f} too, with precision {found.precision:.3f} in place of "
        f"{precision:.3f} and {found.saved:,} fewer false alarms{theirs}. This is known only in hindsight: the "
        "threshold was chosen before, on other rows."
    )


def curve(evaluation: Mapping[str, Any]) -> list[Point]:
    """The precision-recall curve as (recall, precision), with its vertical parts down to the share of frauds.

    A part between two points that are not consecutive frauds, because the stored curve is thinned, is left out.
    """
    return with_vertical_parts(
        evaluation["curves"]["precision_recall"], positives=evaluation["positives"], rows=evaluation["rows"]
    )


def compared_curve(evaluation: Mapping[str, Any], model: str) -> list[Point]:
    """The curve of `challenger` or `champion` on the rows of their comparison, like `curve`.

    Returns:
        Nothing if they were not compared, or if the evaluation has schema 1.
    """
    both = evaluation["curves"].get("compared")
    if both is None:
        return []
    return with_vertical_parts(both[model], positives=both["positives"], rows=both["rows"])


def compared_point(evaluation: Mapping[str, Any], model: str) -> Point | None:
    """Recall and precision of a model's threshold on the rows of the comparison; None if it has none there."""
    compared = evaluation["champion"]
    recall, precision = compared.get("recall"), compared.get("precision")
    return (recall[model], precision[model]) if recall is not None and precision is not None else None


def trade_off(evaluation: Mapping[str, Any]) -> list[Side]:
    """The new model, and the champion if there is one: both on the rows of their comparison.

    An evaluation of schema 1 has the new model on all test rows, and of the champion the point of its threshold alone.
    """
    compared, both = evaluation["champion"], evaluation["curves"].get("compared")
    if both is not None:
        return [
            Side(
                model=model,
                rows=both["rows"],
                line=_alerted(compared_curve(evaluation, model), both["positives"] / both["rows"]),
                point=_compared_share(evaluation, model),
            )
            for model in ("challenger", "champion")
        ]
    rows, counts, recall = evaluation["rows"], evaluation["confusion"], evaluation["metrics"].get("recall")
    raised = counts["true_positives"] + counts["false_positives"]
    ours = Side(
        model="challenger",
        rows=rows,
        line=_alerted(curve(evaluation), evaluation["positives"] / rows) if rows else [],
        point=(raised / rows, recall["value"]) if raised and _is_defined(recall) else None,
    )
    theirs = _compared_share(evaluation, "champion")
    return [ours, *([Side(model="champion", rows=compared["rows"], line=[], point=theirs)] if theirs else [])]


def _alerted(points: Sequence[Point], frauds: float) -> list[Point]:
    return [(recall * frauds / precision, recall) for recall, precision in points if precision > 0]


def _compared_share(evaluation: Mapping[str, Any], model: str) -> Point | None:
    """From the counts of frauds found and of false alarms, so that it is the figure of the pull request's table."""
    compared = evaluation["champion"]
    recall, wrong = compared.get("recall"), compared.get("false_positive_rate")
    if recall is None or wrong is None:
        return None
    positives, rows = compared["positives"], compared["rows"]
    raised = round(recall[model] * positives) + round(wrong[model] * (rows - positives))
    return (raised / rows, recall[model]) if raised else None


def with_vertical_parts(points: Sequence[Sequence[float]], *, positives: int, rows: int) -> list[Point]:
    """The stored points of a curve as (recall, precision), and the lower end of each vertical part."""
    drawn: list[Point] = []
    for place, (recall, precision, _) in enumerate(points):
        drawn.append((recall, precision))
        if place + 1 == len(points):
            drawn.append((recall, positives / rows))
            continue
        following, its_precision, _ = points[place + 1]
        if round((following - recall) * positives) == 1:
            alerts = round(following * positives / its_precision) - 1  # all that score higher than the next fraud
            drawn.append((recall, recall * positives / alerts))
    return drawn


def alerts(evaluation: Mapping[str, Any], point: Point) -> float:
    """The number of alerts among the test rows at a point of the curve."""
    recall, precision = point
    return float(recall * evaluation["positives"] / precision)


def _is_defined(figure: Any) -> bool:
    return figure is not None and None not in (figure["value"], figure["low"], figure["high"])
