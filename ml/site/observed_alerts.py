"""Compares the alerts that a model's evaluation promised with those that drift checks observed. Computes no drift.

Both are the share of alerts times the transactions of a day: the evaluation's on its test rows, a check's on the rows
that the model decided in the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.gitops import daily_rates
from ml.model import metrics
from ml.site import wording
from ml.site.values import DriftState

_MOST_CHECKS = 12
"""The latest windows that are shown."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where alerts were counted, the alerts of a day, their share with its interval, and the counts."""

    place: str
    a_day: str
    share: str
    counts: str


def lines(approval: int, evaluation: Mapping[str, Any] | None, checks: Sequence[DriftState]) -> tuple[Line, ...]:
    """What the evaluation promised, and what each check of the model observed; empty without a check of it."""
    own = [check for check in checks if check.approval == approval and check.decided]
    if not own:
        return ()
    return (*_promised(evaluation), *(_observed(check) for check in own[-_MOST_CHECKS:]))


def _promised(evaluation: Mapping[str, Any] | None) -> Iterator[Line]:
    if evaluation is None:
        return
    counts, rows = evaluation["confusion"], evaluation["rows"]
    yield _line(
        "promised: test rows",
        counts["true_positives"] + counts["false_positives"],
        rows,
        daily_rates.transactions_per_day(evaluation),
    )


def _observed(check: DriftState) -> Line:
    place = f"observed: {wording.span(check.start, check.end)}"
    if check.decided < check.rows:
        when = check.judged.when if check.judged is not None else ""
        place += f", rows that it decided{f' {when}' if when else ''}"
    traffic = check.transactions_a_day if check.alerts_a_day is not None else None
    return _line(place, check.alerts, check.decided, traffic)


def _line(place: str, alerts: int, rows: int, traffic: float | None) -> Line:
    return Line(
        place=place,
        a_day=wording.rate(alerts / rows * traffic) if traffic is not None else "not known",
        share=wording.share(metrics.rate(alerts, rows, "no rows").to_dict()),
        counts=f"{alerts:,} of {rows:,}",
    )
