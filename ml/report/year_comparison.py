"""Compares the ways of deciding in the periods of a simulated year: frauds and money found, false alarms, losses.

Counts and words from the data of the report. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ml.report import year_data
from ml.report.year_data import POOLED, SIDES, MonthPlayed, PlayedYear, SideCounts

SIDE_NAMES = {
    "with_retraining": "models that served",
    "without_retraining": "first model, never retrained",
    "rule": "first model or a rule on the amount",
}
"""The names of the ways of deciding on the page."""
INTERIM_NAME = "models that served, with the rule until recovery"


@dataclass(frozen=True, kw_only=True)
class Period:
    """Some months, and what each way of deciding found in them."""

    title: str
    ways: tuple[tuple[str, SideCounts], ...]


def periods(year: PlayedYear) -> list[Period]:
    """The months since the concept drift began, the whole year, and its last months; each period once."""
    count = len(year.months)
    onset = _onset(year)
    firsts = {onset.number: "since the new frauds began"} if onset is not None else {}
    firsts.setdefault(1, "the whole year")
    firsts.setdefault(max(1, count - POOLED + 1), "the end of the year")
    return [
        Period(title=f"{_span(first, count)}, {words}", ways=_ways(year, first - 1)) for first, words in firsts.items()
    ]


def summary(year: PlayedYear) -> str:
    """What the rule finds more or less than the models that served, and than the first model, and at which cost.

    In the first of `periods`.
    """
    period = periods(year)[0]
    found = dict(period.ways)
    served, first, rule = (found[SIDE_NAMES[side]] for side in ("with_retraining", "without_retraining", "rule"))
    caught = [each.confusion.true_positives for each in (served, rule)]
    false = [each.confusion.false_positives for each in (served, rule)]
    added = caught[1] - first.confusion.true_positives, false[1] - first.confusion.false_positives
    return (
        f"In {period.title[:1].lower()}{period.title[1:]}, the models that served found {caught[0]:,} of "
        f"{served.confusion.positives:,} frauds with {false[0]:,} false alarms, and the {SIDE_NAMES['rule']} "
        f"{caught[1]:,} with {false[1]:,}. The rule found {_more(caught[1] - caught[0])} frauds and "
        f"{_more(rule.value_detected - served.value_detected, 'less')} in amount, and raised "
        f"{_more(false[1] - false[0])} false alarms. The rule and the first model together "
        f"raised {_more(added[1])} false alarms than the first model alone, and found {_more(added[0])} frauds."
    )


def losses(year: PlayedYear) -> str:
    """The amount of the frauds that each way has missed in the month in which the new frauds began; empty without."""
    month = _onset(year)
    if month is None:
        return ""
    place = month.number - 1
    missed = [f"{name} {counts.fraud_value - counts.value_detected:,.0f}" for name, counts in _of_month(year, place)]
    value = month.sides[SIDES[0]].fraud_value
    return (
        f"In {month.start:%B} (month {month.number}), in which the new frauds began, frauds of {value:,.0f} in amount "
        f"were made. Missed of these: {'; '.join(missed)}."
    )


def interim(year: PlayedYear) -> str:
    """What the way in between is: the rule from the alarm until a retrained model finds the new frauds; or empty."""
    alarm, recovery = year.reaction.alarm, year.reaction.recovery
    if alarm is None or not _has_interim(year):
        return ""
    until = (
        f"to {_day(recovery)}, the day of the first roll-out of a model that finds the new frauds"
        if recovery is not None
        else "to the end of the year, because no recovery was seen in it"
    )
    return (
        f"“{INTERIM_NAME[:1].upper()}{INTERIM_NAME[1:]}” is the way in between, which needs no more than "
        f"the alarm to begin: from {_day(alarm + timedelta(days=1))} {until}, an amount above the rule's limit raises "
        "an alert too. It was computed afterwards from the same traffic and the true labels; the models were not "
        "trained on its alerts."
    )


def _has_interim(year: PlayedYear) -> bool:
    """Whether the rule would have decided on a day: not if a model had recovered by the alarm, or if the year ended."""
    alarm, recovery = year.reaction.alarm, year.reaction.recovery
    if alarm is None or not year.rule_until_recovery:
        return False
    return alarm < (recovery if recovery is not None else year.months[-1].end - timedelta(days=1))


def _ways(year: PlayedYear, first: int) -> tuple[tuple[str, SideCounts], ...]:
    months = year.months[first:]
    found = [(name, year_data.total([month.sides[side] for month in months])) for side, name in SIDE_NAMES.items()]
    if _has_interim(year):
        found.insert(1, (INTERIM_NAME, year_data.total(year.rule_until_recovery[first:])))
    return tuple(found)


def _of_month(year: PlayedYear, place: int) -> Sequence[tuple[str, SideCounts]]:
    found = [(name, year.months[place].sides[side]) for side, name in SIDE_NAMES.items()]
    if _has_interim(year):
        found.insert(1, (INTERIM_NAME, year.rule_until_recovery[place]))
    return found


def _onset(year: PlayedYear) -> MonthPlayed | None:
    """The month in which concept drift began; None if there was none."""
    number = year.onsets.get("concept")
    return year.months[number - 1] if number is not None and number <= len(year.months) else None


def _span(first: int, last: int) -> str:
    return f"Months {first} to {last}" if first < last else f"Month {last}"


def _more(count: float, fewer: str = "fewer") -> str:
    return f"{abs(count):,.0f} {fewer if count < 0 else 'more'}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
