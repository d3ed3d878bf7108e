"""Weighs a merge for its reviewer: what is for it, what is against it, what not merging costs, and how to decline.

Words what evaluation.json and the record have; measures nothing and decides nothing. Where the evidence is weak, that
is said under what is against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml import config
from ml.gitops import approval_decision, commit_messages, compared_models, gate_lines, metric_tables
from ml.gitops.compared_models import Model
from ml.gitops.percent import percent

_CHANCE = "within chance"
_CAUSES = ("concept-drift", "data-drift", "prediction-drift")
"""The strongest first: while a request is open, its drift and weaker kinds ask for none (drift.request_limits)."""
_ALWAYS = "where the amount is high, nearly every transaction is an alert (above)"


def lines(record: config.ApprovalRecord, evaluation: Mapping[str, Any], *, high_amounts: str) -> list[tuple[str, str]]:
    """For, against, what not merging costs, how to decline, and the rows, in plain text; nothing without a champion.

    Args:
        high_amounts: that it alerts on nearly every transaction of the highest amounts (high_amounts.py); '' if not.
    """
    if record.champion is None:
        return []
    champion = commit_messages.number(record.champion.approval)
    better, worse = approval_decision.differences(evaluation["champion"])
    both = compared_models.models(evaluation)
    chance = list(_within_chance(evaluation, both)) if both is not None else []
    for_it = [*_beyond(better, "better"), *(words for words, good in chance if good), *_new(record)]
    against = [
        *_beyond(worse, "worse"),
        *(words for words, good in chance if not good),
        *([] if better else [_unproved(evaluation)]),
        *_more_alerts(both),
        *([_ALWAYS] if high_amounts else []),
        *_untold(evaluation),
    ]
    cost = [f"approval {champion} goes on serving", *_cost(both), *_open(record)]
    return [
        ("For", _sentences(for_it)),
        ("Against", _sentences(against)),
        ("Not merging", _sentences(cost)),
        ("To decline", _sentences(_decline(record))),
        ("Made from", _sentences([_rows(record)])),
    ]


def _sentences(parts: Sequence[str]) -> str:
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts if part) or "Nothing."


def _beyond(names: Sequence[str], word: str) -> list[str]:
    return [f"{word} in {', '.join(names)}, beyond chance"] if names else []


def _within_chance(evaluation: Mapping[str, Any], both: tuple[Model, Model]) -> Iterator[tuple[str, bool]]:
    """The counted differences that chance may explain, and whether they are for the new model."""
    ours, theirs = both
    compared = evaluation["champion"]
    more = ours.found - theirs.found
    if more and approval_decision.is_chance(compared["recall"]):
        words = f"finds {abs(more):,} {'more' if more > 0 else 'fewer'} of {compared['positives']:,} frauds ({_CHANCE})"
        yield words, more > 0
    wrong = ours.false_alarms - theirs.false_alarms
    if wrong and approval_decision.is_chance(compared["false_positive_rate"]):
        alarms = "false alarm" if abs(wrong) == 1 else "false alarms"
        word = "fewer" if wrong < 0 else "more"
        yield f"raises {abs(wrong):,} {alarms} {word} on {ours.rows:,} rows ({_CHANCE})", wrong < 0


def _unproved(evaluation: Mapping[str, Any]) -> str:
    if reason := metric_tables.not_compared(evaluation):
        return reason
    return "no figure is shown to be better beyond chance"


def _more_alerts(both: tuple[Model, Model] | None) -> list[str]:
    if both is None or both[0].alerts <= both[1].alerts:
        return []
    if not both[1].alerts:
        return [f"raises {both[0].alerts:,} alerts on {both[0].rows:,} rows, the champion none"]
    times = compared_models.ratio(both[0].alerts, both[1].alerts).strip(" ()")
    return [f"raises {times.removesuffix(' times')} times the alerts"] if times else []


def _untold(evaluation: Mapping[str, Any]) -> list[str]:
    untold = gate_lines.untold(evaluation)
    return [f"{untold} of the gate's checks cannot tell, for lack of frauds or rows (below)"] if untold else []


def _new(record: config.ApprovalRecord) -> list[str]:
    causes = [cause.replace("-", " ") for cause in _causes(record)]
    return [f"it answers what asked for a retrain: {', '.join(causes)}"] if causes else []


def _rows(record: config.ApprovalRecord) -> str:
    data = record.data
    until = f", before {data.window.end:%Y-%m-%d}" if data.window.end is not None else ""
    return f"{data.rows:,} labelled rows with {data.frauds:,} frauds{until}"


def _causes(record: config.ApprovalRecord) -> list[str]:
    """The causes of the requests that the record answers, each once."""
    return [*dict.fromkeys(request.split("Z-", 1)[-1] for request in record.requests)]


def _cost(both: tuple[Model, Model] | None) -> list[str]:
    """What the champion finds and raises on the same rows instead."""
    if both is None:
        return []
    ours, theirs = both
    money = ""
    if ours.amount_found is not None and theirs.amount_found is not None:
        money = f", {_instead(percent(theirs.amount_found), percent(ours.amount_found))} of their amount"
    return [
        f"on the same test rows it finds {_instead(f'{theirs.found:,}', f'{ours.found:,}')} frauds{money}, and raises "
        f"{_instead(f'{theirs.false_alarms:,}', f'{ours.false_alarms:,}')} false alarms"
    ]


def _instead(theirs: str, ours: str) -> str:
    return f"{theirs} instead of {ours}" if theirs != ours else f"the same {theirs}"


def _open(record: config.ApprovalRecord) -> list[str]:
    if not record.requests:
        return []
    names = "its request stays" if len(record.requests) == 1 else "its requests stay"
    first = min((_CAUSES.index(cause) for cause in _causes(record) if cause in _CAUSES), default=len(_CAUSES))
    kinds = [cause.removesuffix("-drift") for cause in _CAUSES[first:]]
    if not kinds:  # of a person: it holds no other back
        return [f"{names} open"]
    said = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    return [f"{names} open, and meanwhile {said} drift asks for no other retrain"]


def _decline(record: config.ApprovalRecord) -> list[str]:
    """How to say no, and what then happens: only a record on main resolves a request (records.retrain_requests)."""
    close = "close this pull request without merging it; scheduled drift checks go on"
    if not record.requests:
        return [close]
    one = len(record.requests) == 1
    them = "the open request" if one else "the open requests"
    return [
        close,
        f"closing it does not withdraw its {'request' if one else 'requests'}: a request's file is never deleted, and "
        "only an approval or a gate failure that is recorded on main resolves it",
        "a training that starts later, by hand, by a commit in model-config/training/ or by another request, answers "
        f"{them} again unless only others are named for it, in a pull request of its own if its model passes the gate",
    ]
