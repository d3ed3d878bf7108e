"""Formats what a merge changes as one table, and what to weigh as sentences: alerts, frauds and money found, budget.

Reads evaluation.json and the comparison's rates (compared_models.py); measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ml.gitops import compared_models, daily_rates
from ml.gitops.compared_models import Model, change
from ml.gitops.markdown_escaping import table
from ml.gitops.percent import percent, setting

_MAX_SHARE_RATIO = 1.5  # between the shares of frauds in training and test rows
_STANDARD_ERRORS = 2.0
_WHOLE_POINT = 0.01
_MIN_SHOWN = 0.0005
_INTERVALS = "Brackets have the 95 % interval; within chance: it contains zero. Alerts and money found have none."


def render(evaluation: Mapping[str, Any], *, new: str, former: str) -> str:
    """Both models on the same rows and what the difference shows; '' if they were not compared.

    Args:
        new, former: the approvals' numbers, for the head.
    """
    both = compared_models.models(evaluation)
    if both is None:
        return ""
    ours, theirs = both
    frauds = evaluation["champion"]["positives"]
    rows = [
        *_alerts(ours, theirs, evaluation["champion"]["false_positive_rate"]),
        (
            f"share alerted (budget {setting(evaluation['alert_budget'])})",
            *(f"{percent(each.alert_share)}, {each.judged(evaluation['alert_budget'])}" for each in (theirs, ours)),
            _share_change(ours.alert_share, theirs.alert_share),
        ),
        (
            "frauds found",
            f"{percent(theirs.found / frauds)} ({theirs.found:,} of {frauds:,})",
            f"{percent(ours.found / frauds)} ({ours.found:,} of {frauds:,})",
            _points(evaluation["champion"]["recall"]),
        ),
    ]
    if ours.amount_found is not None and theirs.amount_found is not None:
        gain = 100 * (ours.amount_found - theirs.amount_found)
        words = f"{gain:+.1f} points".replace("-", "−") if abs(gain) >= 0.05 else "equal"
        rows.append(("money found", percent(theirs.amount_found), percent(ours.amount_found), words))
    ranking = evaluation["champion"].get("average_precision")
    if ranking is not None:
        values = (f"{ranking['champion']:.3f}", f"{ranking['challenger']:.3f}")
        rows.append(("average precision", *values, _difference(ranking)))
    shown = table(
        (f"on the same {ours.rows:,} test rows", f"now: {former}", f"then: {new}", "change"), rows, numbers=(1, 2)
    )
    return f"{shown}\n\n{' '.join(filter(None, (_INTERVALS, daily_rates.counted(evaluation))))}"


def _alerts(ours: Model, theirs: Model, wrong: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Alerts and false alarms. Only the latter's rate has an interval, `wrong`, which tells chance."""
    if ours.alerts_per_day is None or theirs.alerts_per_day is None:
        false = change(ours.false_alarms, theirs.false_alarms, digits=0)
        return [
            (
                "alerts, no whole day of data",
                f"{theirs.alerts:,}",
                f"{ours.alerts:,}",
                change(ours.alerts, theirs.alerts, digits=0),
            ),
            ("false alarms", f"{theirs.false_alarms:,}", f"{ours.false_alarms:,}", _marked(false, wrong)),
        ]
    before, after = theirs.alerts_per_day, ours.alerts_per_day
    false_before, false_after = theirs.false_alarms_per_day or 0.0, ours.false_alarms_per_day or 0.0
    false = _marked(change(false_after, false_before, digits=1), wrong)
    return [
        ("alerts a day", f"{before:,.1f}", f"{after:,.1f}", change(after, before, digits=1)),
        ("false alarms a day", f"{false_before:,.1f}", f"{false_after:,.1f}", false),
    ]


def _marked(words: str, figure: Mapping[str, float]) -> str:
    """A change of a count with the mark that its rate's interval gives it."""
    return words if words == "equal" else f"{words}{_chance(figure)}"


def _share_change(new: float, former: float) -> str:
    if percent(new) == percent(former):
        return "equal"
    points = 100 * (new - former)
    return (
        f"{points:+.0f} points".replace("-", "−") if abs(points) >= 9.95 else f"{points:+.2g} points".replace("-", "−")
    )


def judged(evaluation: Mapping[str, Any]) -> str:
    """Whether a model's alerts keep to the alert budget on all test rows, and whether chance explains it if not."""
    rate, budget = evaluation["metrics"].get("alert_rate") or {}, evaluation["alert_budget"]
    if rate.get("value") is None:
        return "not known"
    if rate["value"] <= budget:
        return "within"
    return "over (within chance)" if rate.get("low") is not None and rate["low"] <= budget else "**over**"


def _points(figure: Mapping[str, float]) -> str:
    """A difference of shares in points with what its interval shows."""
    if abs(figure["difference"]) < _MIN_SHOWN:
        return "equal"
    digits = 0 if abs(figure["difference"]) >= _WHOLE_POINT else 1
    points = [f"{100 * figure[part]:+.{digits}f}".replace("-", "−") for part in ("difference", "low", "high")]
    return f"{points[0]} points ({points[1]} to {points[2]}{_chance(figure)})"


def _difference(figure: Mapping[str, float]) -> str:
    if max(abs(figure[part]) for part in ("difference", "low", "high")) < _MIN_SHOWN:
        return "equal"
    parts = [f"{figure[part]:+.3f}".replace("-", "−") for part in ("difference", "low", "high")]
    return f"{parts[0]} ({parts[1]} to {parts[2]}{_chance(figure)})"


def _chance(figure: Mapping[str, float]) -> str:
    return ", within chance" if figure["low"] <= 0 <= figure["high"] else ""


def label_warning(evaluation: Mapping[str, Any]) -> str:
    """That training and test rows differ by more than half in their share of frauds, beyond chance; '' if not."""
    parts = evaluation["windows"]
    train, test = parts.get("train"), parts.get("test")
    if not train or not test or not train["frauds"] or not test["frauds"]:
        return ""
    shares = [part["frauds"] / part["rows"] for part in (train, test)]
    apart = abs(math.log(shares[0] / shares[1]))
    error = math.sqrt(1 / train["frauds"] + 1 / test["frauds"])
    if apart <= math.log(_MAX_SHARE_RATIO) or apart <= _STANDARD_ERRORS * error:
        return ""
    return (
        f"{percent(shares[0])} of the training rows are labelled fraud, but {percent(shares[1])} of the test rows. "
        "Check the labels of the training rows."
    )
