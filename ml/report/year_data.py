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

SCHEMA = 1
POOLED = 4
"""Months at the end of the year over which figures are pooled: 9 to 12 of twelve."""


@dataclass(frozen=True, kw_only=True)
class DayOfAlerts:
    """Number of alerts on a day, and number of frauds among them."""

    day: date
    alerts: int
    frauds: int


@dataclass(frozen=True, kw_only=True)
class MonthPlayed:
    """A month: the decisions of both years on the same traffic, its drift and the verdict.

    `drift` is the statistic of each feature (None if the check had no data), `drifted` those that counted as
    drifted; `rows_by_band` and `frauds_by_band` follow the year's `band_edges`; `verdict` is the drift check's.
    """

    number: int
    start: date
    end: date
    with_retraining: Confusion
    without_retraining: Confusion
    alerts: tuple[DayOfAlerts, ...]
    rows_by_band: tuple[int, ...]
    frauds_by_band: tuple[int, ...]
    drift: Mapping[str, float] | None
    drifted: tuple[str, ...]
    verdict: str


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
    """All data of the report. `statistic` names the figure of `MonthPlayed.drift`, `floor` its least size."""

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
    months: tuple[MonthPlayed, ...]
    requests: tuple[Request, ...]
    retrains: tuple[Retrain, ...]
    deployments: tuple[Deployment, ...]
    decisions: tuple[Decision, ...]
    repository_link: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """report.json: lists by month, then every field."""
        lists = {
            side: _by_month([getattr(month, side) for month in self.months])
            for side in ("with_retraining", "without_retraining")
        }
        served = lists["with_retraining"]
        pooled = {side: _figures(self.pooled(side)) for side in lists}
        first = {"schema": SCHEMA, **lists, **{name: served[name] for name in ("false_positive_rate", "alerts")}}
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

    def pooled(self, side: str) -> Confusion:
        """The counts of the last months together, of `with_retraining` or `without_retraining`."""
        return total([getattr(month, side) for month in self.months[-POOLED:]])


def total(counts: Sequence[Confusion]) -> Confusion:
    """All counts added up."""
    names = Confusion.__dataclass_fields__
    return Confusion(**{name: sum(getattr(item, name) for item in counts) for name in names})


def recall(counts: Confusion) -> Estimate:
    """Share of the frauds that were alerted."""
    return rate(counts.true_positives, counts.positives, "no frauds")


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


def _figures(counts: Confusion) -> dict[str, Any]:
    found = {
        "recall": recall(counts),
        "precision": precision(counts),
        "false_positive_rate": false_positive_rate(counts),
    }
    return {name: figure.to_dict() for name, figure in found.items()} | {"alerts": counts.alerts}


def _by_month(counts: Sequence[Confusion]) -> dict[str, list[Any]]:
    recalls = [recall(item) for item in counts]
    return {
        "recall": [figure.value for figure in recalls],
        "recall_low": [figure.low for figure in recalls],
        "recall_high": [figure.high for figure in recalls],
        "precision": [precision(item).value for item in counts],
        "false_positive_rate": [false_positive_rate(item).value for item in counts],
        "alerts": [item.alerts for item in counts],
        "frauds": [item.positives for item in counts],
    }


def _month(document: Mapping[str, Any]) -> MonthPlayed:
    return MonthPlayed(
        **dict(document)
        | {name: date.fromisoformat(document[name]) for name in ("start", "end")}
        | {name: Confusion(**document[name]) for name in ("with_retraining", "without_retraining")}
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
