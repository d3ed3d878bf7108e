"""Writes the first page: what serves, since when, approved by whom, its alerts, the drift check, what is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml.site import drift_checks, limits, model_card, serving_facts, wording
from ml.site.model_card import Card
from ml.site.time_line import number
from ml.site.values import AlarmState, Period, Site

_LOOK_AT = ("ALARM", "MISSING")


@dataclass(frozen=True, kw_only=True)
class Now:
    """The first page: a heading, sentences below it, and facts."""

    heading: str
    sentences: tuple[str, ...]
    actions: tuple[str, ...]
    """What a person has to do, a sentence each; if nothing that was read asks for it, that."""
    to_judge: str
    """What no rule decides and a person has to judge; empty if there is nothing."""
    limits: tuple[str, ...]
    """What the figures are judged by, a sentence each."""
    idle: bool
    """Whether nothing that was read asks for action."""
    checked: bool
    """Whether a drift check of what serves says something of alerts, recall and labels."""
    unchecked: str
    """Why no drift check does; empty if one does."""
    digest: str
    """Git's digest of the archive beside the registry's, and when they were compared."""
    alerts: str
    budget: str
    """The alerts against the alert budget; empty if they are not known."""
    recall: str
    labels: str
    no_request: str
    """Why shifted inputs asked for no retrain; empty if there is nothing to say."""
    urgency: str
    """What the latest drift check asks for, in a few words; empty if there is none."""
    urgent: bool
    drift: str
    findings: tuple[str, ...]
    alarms: str
    ringing: tuple[str, ...]
    """The alarms that a person must look at, a sentence each."""
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
    urgency = drift_checks.urgency(site, site.drift) if site.drift is not None else ""
    actions = tuple(_actions(site, urgency))
    return Now(
        actions=actions or (_idle(site),),
        to_judge=_to_judge(site),
        limits=limits.sentences(site),
        idle=not actions,
        checked=site.serving_check is not None,
        unchecked=_unchecked(site),
        heading=_heading(site),
        sentences=tuple(_sentences(site)),
        digest=serving_facts.digest(site),
        alerts=serving_facts.alerts(site),
        budget=serving_facts.budget(site),
        recall=serving_facts.recall(site),
        labels=serving_facts.labels(site),
        no_request=serving_facts.no_request(site),
        urgency=urgency,
        urgent=urgency.startswith(drift_checks.URGENT),
        drift=_drift(site),
        findings=site.drift.lines if site.drift is not None else (),
        alarms=_alarms_of_the_account(site),
        ringing=tuple(_sentence(alarm) for alarm in site.alarms or () if alarm.state in _LOOK_AT),
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


def _actions(site: Site, urgency: str) -> Iterable[str]:
    """What a person has to do. A retrain request is answered by train.yml, and its model by a reviewer on GitHub."""
    if site.disagreements:
        yield "Find out why Git, registry, lake and GitHub do not say the same, as listed below."
    if any(alarm.state in _LOOK_AT for alarm in site.alarms or ()):
        yield "Look at the CloudWatch alarms that are listed below."
    last = site.periods[-1] if site.periods else None
    if not site.offline and last is not None and any(each.status == "failed" for each in last.deployments[-1:]):
        model = f"model {number(last.approval)}" if last.approval is not None else "no model"
        yield f"The deployment of {model} failed: run deploy.yml again, or merge its rollback if one is open."
    if urgency.startswith(drift_checks.URGENT):
        waits = "; a retrain request for it is open" if site.open_requests else ""
        yield f"Look at the latest drift check: {urgency.removeprefix(drift_checks.URGENT).lstrip(': ')}{waits}."
    elif site.open_requests:
        yield "A retrain request is open: see that its training runs, and review the model that it proposes."


def _idle(site: Site) -> str:
    if site.offline:
        return "What there is to do is not known without the account."
    checks = "Git, registry and drift checks" if site.checks else "Git and registry"
    unread = ", as far as they could be read" if site.missing or site.alarms is None else ""
    return (
        f"No action is due by the rules for {checks}{unread}. Open pull requests, issues and failed "
        "workflow runs on GitHub are not read here."
    )


def _to_judge(site: Site) -> str:
    """That the alerts exceed the alert budget beyond chance: no rule acts on it."""
    if not serving_facts.is_over_budget(site):
        return ""
    return (
        "For a person to judge: the interval of the share of alerts lies above the alert budget (see Alerts). No rule "
        "acts on that by itself."
    )


def _unchecked(site: Site) -> str:
    if site.serving_check is not None:
        return ""
    if site.drift is not None:
        known = serving_facts.recall(site)
        return f"{known[:1].upper()}{known[1:]}."
    if site.offline:
        return "Not known without the account."
    figures = "The figures of the test rows are below."
    if site.current is None:
        return f"Not known: no drift check is stored, and nothing serves. {figures}"
    return (
        "Known after the first drift check, which reads them from the captured traffic of a whole window: none of a "
        f"window that has ended is stored. {figures}"
    )


def _drift(site: Site) -> str:
    found = site.drift
    if found is None:
        return "not known" if site.offline else "no window was checked yet"
    model = serving_facts.former(site) or f"model {number(found.approval)}"
    return f"{found.headline}. Against {model}; checked on {wording.moment(found.evaluated)}."


def _alarms_of_the_account(site: Site) -> str:
    if site.alarms is None:
        return "not read"
    if not site.alarms:
        return "the stack has none"
    raised, silent, removed = (
        sum(alarm.state == state for alarm in site.alarms) for state in ("ALARM", "INSUFFICIENT_DATA", "MISSING")
    )
    parts = [f"{raised or 'none'} of {len(site.alarms)} in alarm"]
    parts += [f"{silent} without data"] if silent else []
    parts += [f"{removed} removed"] if removed else []
    return ", ".join(parts)


def _sentence(alarm: AlarmState) -> str:
    if alarm.state == "MISSING":
        return f"{alarm.name}: the stack has this alarm, and the account does not"
    since = f" since {wording.moment(alarm.since)}" if alarm.since is not None else ""
    return f"{alarm.name}{since}: {alarm.meaning}".rstrip(": ")


def _requests(site: Site) -> str:
    waiting = site.open_requests
    return f"{len(waiting)}, since {wording.day(waiting[0].landed.time)}" if waiting else "none"
