"""Writes the first page: what serves, since when, approved by whom, its alerts, the drift check, what is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml.site import model_card, wording
from ml.site.model_card import Card
from ml.site.time_line import number
from ml.site.values import Period, Site


@dataclass(frozen=True, kw_only=True)
class Now:
    """The first page: a heading, sentences below it, and facts."""

    heading: str
    sentences: tuple[str, ...]
    alerts: str
    drift: str
    findings: tuple[str, ...]
    requests: str
    next_check: str


@dataclass(frozen=True, kw_only=True)
class ModelLine:
    """One line of the list of models."""

    approval: int
    state: str
    serves: bool
    recall: str
    false_positive_rate: str
    trained: str


def now(site: Site) -> Now:
    """What is true at the time of the build."""
    return Now(
        heading=_heading(site),
        sentences=tuple(_sentences(site)),
        alerts=_alerts(site),
        drift=_drift(site),
        findings=site.drift.lines if site.drift is not None else (),
        requests=_requests(site),
        next_check=wording.moment(site.next_check) if site.next_check else "drift.yml on main has no daily schedule",
    )


def models(site: Site, cards: Iterable[Card]) -> list[ModelLine]:
    """A line for each card, in their order."""
    current = site.current.approval if site.current is not None else None
    return [
        ModelLine(
            approval=card.record.approval,
            state=model_card.state(site, card.record.approval),
            serves=card.record.approval == current,
            recall=_metric(card, "recall"),
            false_positive_rate=_metric(card, "false_positive_rate"),
            trained=f"{card.record.data.rows:,} transactions, {card.record.data.frauds:,} frauds",
        )
        for card in cards
    ]


def _metric(card: Card, name: str) -> str:
    found = card.record.metrics.get(name)
    return wording.share(found.model_dump()) if found is not None else "–"


def _heading(site: Site) -> str:
    approval = site.current.approval if site.current is not None else None
    if site.offline:
        return "Git names no model" if approval is None else f"Git names model {number(approval)}"
    return "Nothing serves" if approval is None else f"Model {number(approval)} serves"


def _sentences(site: Site) -> Iterable[str]:
    current, last = site.current, site.periods[-1] if site.periods else None
    if current is not None:
        since = (
            f"It serves since {wording.moment(current.start)}. "
            if current.start is not None and not site.offline
            else ""
        )
        yield f"{since}{_approval(current)}"
    elif not site.records:
        yield "No model was approved yet."
    if site.offline or last is None or last is current or last.start is not None:
        return
    if last.approval is None:
        yield "The serving pointer on main names nothing."
    else:
        failed = [each for each in last.deployments if each.status == "failed"]
        why = f"its deployment failed: {failed[-1].reason.rstrip('.')}" if failed else "it is not deployed yet"
        yield f"Main names model {number(last.approval)} since {wording.moment(last.merged)}, and {why}."


def _approval(period: Period) -> str:
    pull, when = period.pull, wording.moment(period.merged)
    what = "The rollback" if period.rollback else "The model"
    if pull is None:
        return f"{what} was merged by {period.author} on {when}."
    reviewers = " and ".join(pull.approved_by) or "nobody"
    return f"{what} was approved by {reviewers} and merged by {pull.merged_by} on {when}."


def _alerts(site: Site) -> str:
    found = site.drift
    if found is None or not found.decided:
        return "not known"
    share = wording.percent(found.alerts / found.decided)
    by = "" if found.decided == found.rows else f" that model {number(found.approval)} decided"
    return (
        f"{wording.rate(found.alerts_a_day)} a day: {found.alerts:,} of {found.decided:,} transactions{by} ({share}) "
        f"from {wording.span(found.start, found.end)}"
    )


def _drift(site: Site) -> str:
    found = site.drift
    if found is None:
        return "not known" if site.offline else "no window was checked yet"
    return f"{found.headline}. Against model {number(found.approval)}; checked on {wording.moment(found.evaluated)}."


def _requests(site: Site) -> str:
    waiting = site.open_requests
    return f"{len(waiting)}, since {wording.day(waiting[0].landed.time)}" if waiting else "none"
