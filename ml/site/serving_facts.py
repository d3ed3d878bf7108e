"""Words the facts of what serves: alerts against the budget, labels, recall, and why shifts ask for no retrain.

The facts are those of the latest drift check of the model that serves, in a window in which it served. Until there is
one, nothing is known of it: figures of the model before are not its own. Decides nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from ml.model import metrics
from ml.model.drift.verdict import CONCEPT
from ml.report import drift_words
from ml.site import wording
from ml.site.values import DriftState, Site

_INPUTS = ("data", "prediction")
_DAY = timedelta(days=1)
_OVER = "Over"


def no_check(site: Site) -> str:
    """Why there are no facts of the model that serves; empty if there are."""
    if site.serving_check is not None:
        return ""
    current, latest = site.current, site.drift
    if latest is None or current is None or current.start is None:
        return "not known"
    since = wording.moment(current.start)
    return (
        f"not known yet: no window of model {current.approval:04d}, which serves since {since}, was checked; the "
        f"latest check, of {wording.span(latest.start, latest.end)}, is of model {latest.approval:04d}"
    )


def former(site: Site) -> str:
    """The model of the latest check in words, if the check is not one of what serves; otherwise empty."""
    found, current = site.drift, site.current
    if found is None or found is site.serving_check or current is None:
        return ""
    again = found.approval == current.approval
    return f"model {found.approval:04d}, {'before it served again' if again else 'which no longer serves'}"


def alerts(site: Site) -> str:
    """The alerts a day of the rows that the model decided, with the days that these are of."""
    found = site.serving_check
    if found is None:
        return no_check(site)
    if not found.decided:
        return "not known"
    if found.decided_all and found.alerts_a_day is not None:
        return f"{wording.rate(found.alerts_a_day)} a day: {_alert_counts(found)}"
    return alert_words(found)


def alert_words(found: DriftState) -> str:
    """The alerts of a check as counts, with what they are a day if the model decided a whole day."""
    a_day, traffic = found.alerts_a_day, found.transactions_a_day
    if a_day is None or traffic is None:
        return _alert_counts(found)
    daily = f"about {wording.rate(a_day)} a day at the window's {traffic:,.0f} transactions a day"
    return f"{_alert_counts(found)}: {daily}"


def _alert_counts(found: DriftState) -> str:
    """The alerts of a check as counts, of the rows that its model decided, and their days."""
    by = "" if found.decided == found.rows else f" that model {found.approval:04d} decided"
    when = found.judged.when if found.judged is not None else ""
    share = f" ({wording.percent(found.alerts / found.decided)})" if found.decided else ""
    return (
        f"{found.alerts:,} of {found.decided:,} transactions{by}{share} "
        f"{when or f'from {wording.span(found.start, found.end)}'}"
    )


def budget(site: Site) -> str:
    """Whether the alerts are within the alert budget that the model was evaluated with; empty without alerts."""
    found = site.serving_check
    if found is None or not found.decided:
        return ""
    evidence = site.evidence.get(found.approval)
    evaluation = evidence.evaluation if evidence is not None else None
    if evaluation is None:
        return f"The alert budget of model {found.approval:04d} is not known: its evaluation was not read."
    share: float = evaluation["alert_budget"]
    rate = metrics.rate(found.alerts, found.decided, "")
    assert rate.low is not None and rate.high is not None  # noqa: S101 - defined, because there are rows
    interval = f"{wording.percent(rate.low)[:-2]} to {wording.percent(rate.high)}"
    place = _OVER if rate.low > share else "Within" if rate.high < share else "About"
    traffic = found.transactions_a_day if found.alerts_a_day is not None else None
    day = f", {wording.rate(share * traffic)} alerts a day" if traffic is not None else ""
    return f"{place} the alert budget of {wording.percent(share)}{day} (interval {interval})."


def is_over_budget(site: Site) -> bool:
    """Whether the whole interval of the share of alerts lies above the alert budget; False if that is not known."""
    return budget(site).startswith(_OVER)


def labels(site: Site) -> str:
    """Whether concept drift of the model was tested on mature labels, and when it will be."""
    found = site.serving_check
    if found is None:
        return no_check(site)
    model = f"model {found.approval:04d}"
    if not found.label_days:
        return f"none: no transaction that {model} scored in this window has an id that labels can be joined to."
    days = f"{found.mature_days} of {_days(found.label_days)} are mature"
    if found.concept_tested:
        return f"{days}: concept drift of {model} was tested."
    limits = site.drift_rules.labels
    coverage = f"{100 * limits.min_coverage:.0f} %"
    rule = f"a day needs labels of {coverage} of its rows and an age of {limits.min_age_days:g} days"
    untested = (
        f"the test for concept drift of {model} on mature labels has not been done yet in this window (the daily "
        "concept test does not wait for them; each run of drift.yml has its result in its summary)"
    )
    return f"{days}: {untested}; {rule}.{_expected(site, found)}"


def _expected(site: Site, found: DriftState) -> str:
    """When the labels are expected: as old as those of the window that was tested soonest, and as the rule demands.

    A check says when it was last evaluated, which may be later than its labels were mature. So the shortest time
    counts, of windows of any model: labels do not come later because another model serves.
    """
    first = _last_day(found) + _DAY + timedelta(days=site.drift_rules.labels.min_age_days)
    soonest = min((each for each in site.checks if each.concept_tested), key=_maturing, default=None)
    if soonest is None:
        return f" That is {wording.day(first)} at the earliest."
    took = _maturing(soonest)
    at = max(first, _last_day(found) + took)
    window = wording.span(soonest.start, soonest.end)
    so = (
        f" Of all windows so far, the labels of {window} were mature the soonest, {_days(took.days)} after its last "
        "day; as soon as that, these"
    )
    if at <= site.built:
        return f"{so} were expected about {wording.day(at)}. They are late: see `fraudops labels status`."
    return f"{so} are expected about {wording.day(at)}."


def _maturing(check: DriftState) -> timedelta:
    """Whole days from the last day with rows of the check's model to the day of the check."""
    return check.evaluated.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _last_day(check)


def _last_day(check: DriftState) -> datetime:
    """The start of the last day with rows that labels of the check's model can be joined to."""
    if check.judged is not None and check.judged.days is not None:
        return datetime.combine(check.judged.days[1], time(), UTC)
    return check.end - _DAY


def recall(site: Site) -> str:
    """Recall estimated from scores, beside that on the model's test rows."""
    found = site.serving_check
    if found is None:
        current = site.current
        approved = _approved(site, current.approval) if current is not None else ""
        return f"{no_check(site)}{approved}"
    approved = _approved(site, found.approval)
    if found.recall is None:
        return f"not estimated{approved}"
    estimate = drift_words.estimate(found.recall)
    if estimate is None:
        return f"not known{approved}. {drift_words.NO_ESTIMATE}"
    return f"{estimate}, estimated without labels{approved}. Concept drift can break the estimate."


def _approved(site: Site, approval: int | None) -> str:
    record = site.records.get(approval) if approval is not None else None
    known = record.metrics.get("recall") if record is not None else None
    return f"; {wording.share(known.model_dump())} on its test rows" if known is not None else ""


def digest(site: Site) -> str:
    """Whether the registry and the deployment have the archive that Git approves, and when they were compared."""
    current = site.current
    record = site.records.get(current.approval) if current is not None and current.approval is not None else None
    if current is None or record is None:
        return "not known"
    evidence = site.evidence.get(record.approval)
    if evidence is None or evidence.compared is None:
        return f"sha256 {record.artifact.sha256[:12]} in Git's approval; the registry was not read"
    deployed = [each.artifact_sha256 for each in current.deployments if each.status == "succeeded"]
    found = {"Git's approval": record.artifact.sha256, "the registry": evidence.registered or ""}
    found |= {"the deployment record": deployed[-1]} if deployed else {}
    when = f"compared on {wording.moment(evidence.compared)}"
    if len({*found.values()}) == 1:
        *names, last = found
        return f"sha256 {record.artifact.sha256[:12]} in {', '.join(names)} and {last}; {when}"
    named = (f"{name} has {f'sha256 {sha256}' if sha256 else 'none'}" for name, sha256 in found.items())
    return f"they differ: {', '.join(named)}; {when}"


def no_request(site: Site) -> str:
    """Why shifts of the latest check have asked for no retrain; empty if nothing shifted or a request is open."""
    found = site.drift
    kinds = [kind for kind in _INPUTS if found is not None and kind in found.fired]
    if found is None or not kinds or site.open_requests:
        return ""
    if model := former(site):
        return f"No request is open: that is of {model}, and drift counts against the model that serves."
    parts = []
    for kind in kinds:
        rule = getattr(site.drift_rules.decide, kind)
        latest = [each for each in site.checks if each.approval == found.approval][-rule.of :]
        fired = sum(kind in each.fired for each in latest)
        parts.append(
            f"{kind} drift asks for a retrain if it is in {rule.windows} of the latest {rule.of} windows that were "
            f"checked against the serving model, and it is in {fired}"
        )
        if fired >= rule.windows:
            days = getattr(site.drift_rules.cooldown_days, kind)
            parts.append(
                f"its cooldown is {days} days, at most {site.drift_rules.max_requests_per_month} requests a month are "
                "made, and none is while the threshold keeps its policy; the summary of the latest run of drift.yml "
                "says which of these held"
            )
    counted = f"{len(found.drifted)} of {len(found.shifts)} inputs shifted"
    shifted = f"{counted}. " if found.drifted and counted not in found.headline else ""
    return f"{shifted}No request is open: {'; '.join(parts)}."


def request_rules(site: Site) -> str:
    """From what a retrain request follows: in how many windows a kind of drift must be, and the daily test."""
    kinds: dict[tuple[int, int], list[str]] = {}
    for kind in (*_INPUTS, CONCEPT):
        rule = getattr(site.drift_rules.decide, kind)
        kinds.setdefault((rule.windows, rule.of), []).append(kind)
    said = "; ".join(
        f"{' or '.join(names)} drift "
        + (
            "as soon as a window has it"
            if (windows, of) == (1, 1)
            else f"if {windows} of the latest {of} windows have it"
        )
        for (windows, of), names in kinds.items()
    )
    return f"What asks for a retrain: {said}; an alarm of the daily test at once."


def _days(days: int) -> str:
    days = max(days, 0)
    return "1 day" if days == 1 else f"{days} days"
