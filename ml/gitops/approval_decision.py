"""Says in a title and a sentence whether a model is better than the one that serves, and on what evidence.

Reads evaluation.json; measures nothing and decides nothing. A difference counts if its interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml import config
from ml.gitops import commit_messages, compared_models, metric_tables
from ml.gitops.percent import percent

_MAX_TITLE = 220  # of GitHub's 256 characters
_MIN_SHOWN = 0.0005  # a difference that rounds to 0.000 reads "equal"
_HIGHER_IS_BETTER = {"recall": True, "false_positive_rate": False, "average_precision": True}
_NAMES = {"average_precision": "average precision", "recall": "recall", "false_positive_rate": "false alarms"}


def title(record: config.ApprovalRecord, evaluation: Mapping[str, Any], *, reason: str = "") -> str:
    """The title of an approval's pull request: number, kind of a run that was no fit, decision, and a short reason.

    Args:
        reason: why the run was started, in plain text; left out if the title would become too long.
    """
    kind = "" if record.kind == "fit" else f" ({record.kind})"
    made = f"{commit_messages.number(record.approval)}{kind}: {decision(record, evaluation)}"
    return f"{made}; {reason}" if reason and len(made) + len(reason) <= _MAX_TITLE else made


def sentence(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """The decision with its evidence as one sentence of plain text; '' if the two models were not compared.

    It has no figures where decision_table.py shows them.
    """
    compared = evaluation["champion"]
    if record.champion is None or compared["status"] != "compared":
        return ""
    champion = commit_messages.number(record.champion.approval)
    table_follows = compared_models.models(evaluation) is not None
    ranked = _rank(compared, champion) if table_follows else decision(record, evaluation)
    return (
        f"Approval {commit_messages.number(record.approval)} is {ranked}, "
        f"on {compared['rows']:,} test rows with {compared['positives']:,} frauds that "
        f"{champion}, the champion, was not trained on."
    )


def decision(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """Better, equal or worse than the champion, or not compared, with figures: a clause of plain text."""
    if record.champion is None:
        return f"the first model{_figures(record, evaluation)}"
    champion, compared = commit_messages.number(record.champion.approval), evaluation["champion"]
    if compared["status"] != "compared":
        cause = f" ({compared['cause']})" if compared.get("cause") in metric_tables.CAUSES else ""
        return f"not compared with {champion}{cause}{_figures(record, evaluation)}"
    parts = [_alerts(evaluation), *_found(evaluation), _average_precision(compared)]
    return f"{_rank(compared, champion)}: {', '.join(part for part in parts if part)}"


def _rank(compared: Mapping[str, Any], champion: str) -> str:
    """Better, worse or both, and in what: the figures whose interval lies on one side of zero; equal without any."""
    better, worse = differences(compared)
    if not better and not worse:
        return f"equal to {champion} within chance"
    words = (("better", better), ("worse", worse))
    ranked = f"{', '.join(f'{word} in {_list(names)}' for word, names in words if names)} than {champion}"
    # Recall and false alarms depend on the threshold, which can be moved; average precision is of the ranking alone.
    moved = any(names and _NAMES["average_precision"] not in names for names in (better, worse))
    return f"{ranked}, each at its own threshold" if moved else ranked


def differences(compared: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The figures in which the model is better, and those in which it is worse, beyond chance; none if not compared."""
    better: list[str] = []
    worse: list[str] = []
    for name, higher in _HIGHER_IS_BETTER.items():
        figure = compared.get(name)
        if figure is None:
            continue
        above, below = figure["low"] > 0, figure["high"] < 0
        if above or below:
            (better if above == higher else worse).append(_NAMES[name])
    return better, worse


def _list(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _alerts(evaluation: Mapping[str, Any]) -> str:
    both = compared_models.models(evaluation)
    if both is None:
        return ""
    new, former = both
    if new.alerts_per_day is None or former.alerts_per_day is None:
        return f"{former.alerts:,} → {new.alerts:,} alerts{compared_models.ratio(new.alerts, former.alerts)}"
    before, after = f"{former.alerts_per_day:,.1f}", f"{new.alerts_per_day:,.1f}"
    times = compared_models.ratio(new.alerts_per_day, former.alerts_per_day)
    return f"{after} alerts a day as before" if before == after else f"{before} → {after} alerts a day{times}"


def _found(evaluation: Mapping[str, Any]) -> list[str]:
    """The share of the frauds and of their amount that both models find."""
    recall, money = _recall(evaluation["champion"]), _money(evaluation)
    if recall == "recall equal" and money == "money found equal":
        return ["recall and money found equal"]
    return [recall, money]


def _money(evaluation: Mapping[str, Any]) -> str:
    """Without an interval, which evaluation.json does not have for amounts; '' without amounts."""
    both = compared_models.models(evaluation)
    if both is None or both[0].amount_found is None or both[1].amount_found is None:
        return ""
    after, before = (percent(each.amount_found or 0.0) for each in both)
    return "money found equal" if before == after else f"money found {before} → {after}"


def _average_precision(compared: Mapping[str, Any]) -> str:
    figure = compared.get("average_precision")
    if figure is None:
        return ""
    if max(abs(figure[part]) for part in ("difference", "low", "high")) < _MIN_SHOWN:
        return "average precision equal"
    if is_chance(figure):
        return f"average precision {_signed(figure['difference'])} (within chance)"
    return f"average precision {_signed(figure['difference'])} ({_signed(figure['low'])} to {_signed(figure['high'])})"


def _recall(compared: Mapping[str, Any]) -> str:
    figure = compared.get("recall")
    if figure is None:
        return ""
    if abs(figure["difference"]) < _MIN_SHOWN:
        return "recall equal"
    before, after = percent(figure["champion"]), percent(figure["challenger"])
    return f"recall {before} → {after}{' (within chance)' if is_chance(figure) else ''}"


def is_chance(figure: Mapping[str, float]) -> bool:
    """Whether the interval of a difference has zero in it."""
    return figure["low"] <= 0 <= figure["high"]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−").replace("+0.000", "0.000").replace("−0.000", "0.000")


def _figures(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """What a model that was compared with none finds, on all test rows."""
    recall, money = record.metrics.get("recall"), money_found(evaluation)
    found = [f"recall {percent(recall.value)} ({percent(recall.low)} to {percent(recall.high)})"] if recall else []
    found += [money] if money else []
    return f": {', '.join(found)}" if found else ""


def money_found(evaluation: Mapping[str, Any]) -> str:
    """The share of the frauds' amount that the new model finds, e.g. `money found 96 %`; '' without amounts."""
    amounts = evaluation.get("amounts_found")
    return f"money found {percent(amounts['models']['challenger']['value_recall'])}" if amounts else ""
