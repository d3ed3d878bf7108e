"""Defines the data of a simulated year's report, as stored in report.json. Measures and decides nothing.

Pages and plots read nothing else, so that a report can be made again from report.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Literal

from ml.model.metrics import Confusion, Estimate, rate

SCHEMA = 4
SIDES = ("with_retraining", "without_retraining", "rule")
"""The ways of deciding that a year compares: the models that served, the first model, and what a bank tries first: the
first model or a rule on the amount."""
RECOVERED_RECALL, RECOVERED_DAYS = 0.90, 30
"""A model is a recovery if its recall on so many days from its roll-out on is at least that."""
POOLED = 4
"""Months at the end of the year over which figures are pooled: 9 to 12 of twelve."""


@dataclass(frozen=True, kw_only=True)
class DayOfAlerts:
    """Number of alerts on a day, and number of frauds among them."""

    day: date
    alerts: int
    frauds: int


@dataclass(frozen=True, kw_only=True)
class SideCounts:
    """What one way of deciding found: counts of rows, and sums of amounts.

    `first_kind` are the frauds that the scenario did not relabel; `fraud_value` is the amount of all frauds.
    """

    confusion: Confusion
    first_kind: int
    first_kind_detected: int
    fraud_value: float
    value_detected: float

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> SideCounts:
        """The inverse of `asdict`."""
        return cls(**dict(document) | {"confusion": Confusion(**document["confusion"])})


@dataclass(frozen=True, kw_only=True)
class AtEqualFalseAlarms:
    """The last months by one way of deciding, with its limit set anew to give as many false alarms as were served."""

    false_alarms: int
    recall: float | None
    recall_first_kind: float | None
    value_detected: float

    @classmethod
    def of(cls, counts: SideCounts) -> AtEqualFalseAlarms:
        """The figures of counts."""
        return cls(
            false_alarms=counts.confusion.false_positives,
            recall=recall(counts.confusion).value,
            recall_first_kind=recall_first_kind(counts).value,
            value_detected=counts.value_detected,
        )


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """How fast the loop reacted to the first concept drift; None for what did not occur, or not within the year.

    `alarm` is the first day on which the drift check found concept drift; `recovery` the roll-out of the first model
    with a recall of RECOVERED_RECALL on its next RECOVERED_DAYS days.
    """

    onset: date | None
    alarm: date | None
    recovery: date | None

    @property
    def days_to_alarm(self) -> int | None:
        """Days from the onset to the alarm."""
        return (self.alarm - self.onset).days if self.onset and self.alarm else None

    @property
    def days_to_recovery(self) -> int | None:
        """Days from the onset to the roll-out of a model that finds the new frauds."""
        return (self.recovery - self.onset).days if self.onset and self.recovery else None


@dataclass(frozen=True, kw_only=True)
class MonthPlayed:
    """A month: what each way of deciding found in the same traffic, its drift and the verdict.

    `drift` is the statistic of each feature (None if the check had no data), `drifted` those that counted as
    drifted; `rows_by_band` and `frauds_by_band` follow the year's `band_edges`; `verdict` is the drift check's.
    """

    number: int
    start: date
    end: date
    sides: Mapping[str, SideCounts]
    alerts: tuple[DayOfAlerts, ...]
    rows_by_band: tuple[int, ...]
    frauds_by_band: tuple[int, ...]
    drift: Mapping[str, float] | None
    drifted: tuple[str, ...]
    verdict: str

    @property
    def with_retraining(self) -> Confusion:
        """The decisions that were served."""
        return self.sides["with_retraining"].confusion

    @property
    def without_retraining(self) -> Confusion:
        """The decisions of the first model."""
        return self.sides["without_retraining"].confusion


@dataclass(frozen=True, kw_only=True)
class Request:
    """A retrain request as committed, and its result (`fate`)."""

    id: str
    cause: str
    reason: str
    at: datetime
    month: int
    commit: str
    window: str
    fate: str
    link: str | None = None


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """A training run: the requests it resolved, the gate's verdict, its approval (None after a gate failure)."""

    requests: tuple[str, ...]
    at: datetime
    month: int
    commit: str
    verdict: Literal["passed", "failed"]
    reason: str
    approval: int | None
    run_link: str | None = None
    pull_link: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model that served from `start` to `end` (None: to the end of the year), and its approval."""

    approval: int
    start: datetime
    end: datetime | None
    approver: str
    commit: str
    trained_on: str
    artifact_sha256: str
    link: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A decision, who or what made it, and its evidence."""

    at: datetime
    month: int
    kind: str
    decision: str
    by: str
    evidence: Mapping[str, str]
    link: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlayedYear:
    """All data of the report. `statistic` names the figure of `MonthPlayed.drift`, `floor` its least size.

    The rule alerts from `rule_amount` on; `equal_false_alarms` compares the sides in the last months, without those
    that cannot have so few; `rule_until_recovery` has each month if the rule had alerted beside the models that served
    from the day after the alarm to the day of the recovery, and is empty without an alarm; `looks` are the days that
    the check was due, `check_runs` those on which drift.yml ran.
    """

    title: str
    about: str
    scenario: str
    seed: int
    rows_a_month: int
    statistic: str
    floor: float
    band_edges: tuple[float, ...]
    min_recall: float
    onsets: Mapping[str, int]
    rule_amount: float
    equal_false_alarms: Mapping[str, AtEqualFalseAlarms]
    rule_until_recovery: tuple[SideCounts, ...]
    reaction: Reaction
    looks: int
    check_runs: int
    months: tuple[MonthPlayed, ...]
    requests: tuple[Request, ...]
    retrains: tuple[Retrain, ...]
    deployments: tuple[Deployment, ...]
    decisions: tuple[Decision, ...]
    repository_link: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """report.json: lists by month, then every field."""
        lists = {side: _by_month([month.sides[side] for month in self.months]) for side in SIDES}
        served = lists["with_retraining"]
        pooled = {side: _figures(self.pooled(side)) for side in lists}
        first = {"schema": SCHEMA, **lists, **{name: served[name] for name in ("false_positive_rate", "alerts")}}
        days = ("days_to_alarm", "days_to_recovery")
        first |= {name: getattr(self.reaction, name) for name in days}
        document: dict[str, Any] = _plain(first | {"pooled": pooled | {"months": POOLED}} | asdict(self))
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PlayedYear:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError on a document of another shape."""
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA} (got {document['schema']!r})")
        own = {name: document[name] for name in cls.__dataclass_fields__}
        return cls(
            **own
            | {
                "band_edges": tuple(own["band_edges"]),
                "equal_false_alarms": {
                    side: AtEqualFalseAlarms(**item) for side, item in own["equal_false_alarms"].items()
                },
                "rule_until_recovery": tuple(SideCounts.from_dict(item) for item in own["rule_until_recovery"]),
                "reaction": Reaction(
                    **{name: date.fromisoformat(day) if day else None for name, day in own["reaction"].items()}
                ),
                "months": tuple(_month(month) for month in own["months"]),
                "requests": tuple(Request(**item | _moments(item, "at")) for item in own["requests"]),
                "retrains": tuple(
                    Retrain(**item | _moments(item, "at") | {"requests": tuple(item["requests"])})
                    for item in own["retrains"]
                ),
                "deployments": tuple(
                    Deployment(**item | _moments(item, "start", "end")) for item in own["deployments"]
                ),
                "decisions": tuple(Decision(**item | _moments(item, "at")) for item in own["decisions"]),
            }
        )

    def to_json(self) -> str:
        """`to_dict` as text; the same year gives the same bytes."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def pooled(self, side: str) -> SideCounts:
        """The counts of one of SIDES in the last months together."""
        return total([month.sides[side] for month in self.months[-POOLED:]])


def total(counts: Sequence[SideCounts]) -> SideCounts:
    """All counts added up."""
    names = Confusion.__dataclass_fields__
    confusion = Confusion(**{name: sum(getattr(item.confusion, name) for item in counts) for name in names})
    return SideCounts(
        confusion=confusion,
        first_kind=sum(item.first_kind for item in counts),
        first_kind_detected=sum(item.first_kind_detected for item in counts),
        fraud_value=round(sum(item.fraud_value for item in counts), 2),
        value_detected=round(sum(item.value_detected for item in counts), 2),
    )


def recall(counts: Confusion) -> Estimate:
    """Share of the frauds that were alerted."""
    return rate(counts.true_positives, counts.positives, "no frauds")


def recall_first_kind(counts: SideCounts) -> Estimate:
    """Share of the frauds of the first kind that were alerted."""
    return rate(counts.first_kind_detected, counts.first_kind, "no frauds of the first kind")


def precision(counts: Confusion) -> Estimate:
    """Share of the alerts that were frauds."""
    return rate(counts.true_positives, counts.alerts, "no alerts")


def false_positive_rate(counts: Confusion) -> Estimate:
    """Share of the legitimate transactions that were alerted."""
    return rate(counts.false_positives, counts.negatives, "no legitimate rows")


def band_names(edges: tuple[float, ...]) -> list[str]:
    """The bands between `edges` in words, the lowest first."""
    if not edges:
        return ["all"]
    texts = [f"{edge:,.0f}" for edge in edges]
    return [f"< {texts[0]}", *(f"{low}–{high}" for low, high in pairwise(texts)), f"≥ {texts[-1]}"]


def _figures(counts: SideCounts) -> dict[str, Any]:
    found = {
        "recall": recall(counts.confusion),
        "recall_first_kind": recall_first_kind(counts),
        "precision": precision(counts.confusion),
        "false_positive_rate": false_positive_rate(counts.confusion),
    }
    values = {name: getattr(counts, name) for name in ("value_detected", "fraud_value")}
    return {name: figure.to_dict() for name, figure in found.items()} | {"alerts": counts.confusion.alerts} | values


def _by_month(counts: Sequence[SideCounts]) -> dict[str, list[Any]]:
    recalls = [recall(item.confusion) for item in counts]
    return {
        "recall": [figure.value for figure in recalls],
        "recall_low": [figure.low for figure in recalls],
        "recall_high": [figure.high for figure in recalls],
        "recall_first_kind": [recall_first_kind(item).value for item in counts],
        "precision": [precision(item.confusion).value for item in counts],
        "false_positive_rate": [false_positive_rate(item.confusion).value for item in counts],
        "alerts": [item.confusion.alerts for item in counts],
        "frauds": [item.confusion.positives for item in counts],
        "value_detected": [item.value_detected for item in counts],
        "fraud_value": [item.fraud_value for item in counts],
    }


def _month(document: Mapping[str, Any]) -> MonthPlayed:
    return MonthPlayed(
        **dict(document)
        | {name: date.fromisoformat(document[name]) for name in ("start", "end")}
        | {"sides": {side: SideCounts.from_dict(item) for side, item in document["sides"].items()}}
        | {name: tuple(document[name]) for name in ("rows_by_band", "frauds_by_band", "drifted")}
        | {"alerts": tuple(DayOfAlerts(**a | {"day": date.fromisoformat(a["day"])}) for a in document["alerts"])}
    )


def _moments(document: Mapping[str, Any], *names: str) -> dict[str, datetime | None]:
    return {name: datetime.fromisoformat(document[name]) if document[name] else None for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value
