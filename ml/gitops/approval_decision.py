"""Says in a title and a sentence whether a model is better than the one that serves, and on what evidence.

Reads evaluation.json; measures nothing and decides nothing. A difference counts if its interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml import config
from ml.gitops import commit_messages

_MIN_SHOWN = 0.0005  # a difference that rounds to 0.000 reads "equal"
_HIGHER_IS_BETTER = {"average_precision": True, "recall": True, "false_positive_rate": False}
_NAMES = {"average_precision": "average precision", "recall": "recall", "false_positive_rate": "false alarms"}


def title(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """The title of an approval's pull request: its number, a kind of run that was no fit, and the decision."""
    kind = "" if record.kind == "fit" else f" ({record.kind})"
    return f"{commit_messages.number(record.approval)}{kind}: {_decision(record, evaluation)}"


def sentence(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """The decision with its evidence as one sentence of plain text; '' if the two models were not compared."""
    compared = evaluation["champion"]
    if record.champion is None or compared["status"] != "compared":
        return ""
    return (
        f"Approval {commit_messages.number(record.approval)} is {_decision(record, evaluation)}, "
        f"on {compared['rows']:,} test rows with {compared['positives']:,} frauds that "
        f"{commit_messages.number(record.champion.approval)}, the champion, was not trained on."
    )


def _decision(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    if record.champion is None:
        return f"the first model{_figures(record)}"
    champion, compared = commit_messages.number(record.champion.approval), evaluation["champion"]
    if compared["status"] != "compared":
        return f"not compared with {champion}{_figures(record)}"
    parts = [_average_precision(compared), _recall(compared), _false_alarms(compared)]
    return f"{_rank(compared, champion)}: {', '.join(part for part in parts if part)}"


def _rank(compared: Mapping[str, Any], champion: str) -> str:
    """Better, worse or both, and in what: the figures whose interval lies on one side of zero; equal without any."""
    better: list[str] = []
    worse: list[str] = []
    for name, higher in _HIGHER_IS_BETTER.items():
        figure = compared.get(name)
        if figure is None:
            continue
        above, below = figure["low"] > 0, figure["high"] < 0
        if above or below:
            (better if above == higher else worse).append(_NAMES[name])
    if not better and not worse:
        return f"equal to {champion} within the interval"
    words = (("better", better), ("worse", worse))
    return f"{', '.join(f'{word} in ' + ' and '.join(names) for word, names in words if names)} than {champion}"


def _average_precision(compared: Mapping[str, Any]) -> str:
    figure = compared.get("average_precision")
    if figure is None:
        return ""
    if max(abs(figure[part]) for part in ("difference", "low", "high")) < _MIN_SHOWN:
        return "average precision equal"
    return f"average precision {_signed(figure['difference'])} ({_signed(figure['low'])} to {_signed(figure['high'])})"


def _recall(compared: Mapping[str, Any]) -> str:
    figure = compared.get("recall")
    if figure is None:
        return ""
    if abs(figure["difference"]) < _MIN_SHOWN:
        return "recall equal"
    return f"recall {_signed(figure['difference'])}"


def _false_alarms(compared: Mapping[str, Any]) -> str:
    figure = compared.get("false_positive_rate")
    if figure is None:
        return ""
    more = round(figure["difference"] * (compared["rows"] - compared["positives"]))
    if not more:
        return "false alarms equal"
    return f"{more:+,} false {'alarm' if abs(more) == 1 else 'alarms'}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−").replace("+0.000", "0.000").replace("−0.000", "0.000")


def _figures(record: config.ApprovalRecord) -> str:
    recall = record.metrics.get("recall")
    return f": recall {recall.value:.2f} ({recall.low:.2f} to {recall.high:.2f})" if recall else ""
