"""Derives from evaluation.json what other thresholds would have given on the test rows. Chooses no threshold.

The stored curve has one point for each fraud that a lower threshold finds. Between two of them precision only falls,
because only false alarms are added: the vertical parts of the curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]


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


def sentence(evaluation: Mapping[str, Any]) -> str:
    """That the threshold wastes precision, and the better one; '' if it does not."""
    found = better(evaluation)
    if found is None:
        return ""
    precision = evaluation["metrics"]["precision"]["value"]
    return (
        f"The threshold {evaluation['threshold']['score']:.6g} wastes precision on the test rows: at "
        f"{found.score:.6g}, recall is {found.recall:.3f} too, with precision {found.precision:.3f} in place of "
        f"{precision:.3f} and {found.saved:,} fewer false alarms. This is known only in hindsight: the threshold was "
        "chosen before, on other rows."
    )


def curve(evaluation: Mapping[str, Any]) -> list[Point]:
    """The precision-recall curve as (recall, precision), with its vertical parts down to the share of frauds.

    A part between two points that are not consecutive frauds, because the stored curve is thinned, is left out.
    """
    points, positives = evaluation["curves"]["precision_recall"], evaluation["positives"]
    drawn: list[Point] = []
    for place, (recall, precision, _) in enumerate(points):
        drawn.append((recall, precision))
        if place + 1 == len(points):
            drawn.append((recall, positives / evaluation["rows"]))
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
