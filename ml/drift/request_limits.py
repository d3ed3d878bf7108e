"""Finds what prevents a retrain request by the requests in Git alone: an open one, the cooldown, the monthly cap.

Data and prediction drift ask for the same run of the same rows. A gate failure of one therefore starts the cooldown of
the other as well: the second run would end like the first, and use up the monthly cap. An adaptation, or a drop, that
failed the gate may be tried again within the cooldown, once many more frauds are labelled. The part of an adaptation
may be dropped within the cooldown that it started. Creates no request, and calls neither AWS nor GitHub.
"""

from __future__ import annotations

import math
from datetime import timedelta

from ml import clock, config
from ml.drift.drift_case import DriftCase, RequestOutcome, cause, suppressed
from ml.drift.request_log import RequestLog
from ml.drift.window_choice import TrainingWindow
from ml.model.drift.verdict import CAUSES
from ml.model.run_kinds import ADAPT, DROP
from ml.records.retrain_requests import Resolution


class RequestLimits:
    """The limits of `rules` (model-config/monitoring/drift.yaml) on the requests of `log`."""

    def __init__(self, log: RequestLog, rules: config.DriftFile) -> None:
        self._log, self._rules = log, rules

    def open_request(self, case: DriftCase) -> str | None:
        """The latest open request of the same or a stronger cause, whose training covers this one; None without one."""
        for kind in CAUSES[: CAUSES.index(case.kind) + 1]:
            open_requests = self._log.open(cause(kind))
            if open_requests:
                return open_requests[-1]
        return None

    def gate_failures(self, case: DriftCase) -> tuple[str, ...]:
        """The gate failures that open the circuit breaker for the case: those of its cause, or one of the budget."""
        budget = self._log.budget_exceeded()
        if budget is not None and case.run_kind != DROP:
            return (budget,)
        failures = tuple(self._log.consecutive_gate_failures(case.cause, case.run_kind))
        return failures if len(failures) >= self._rules.circuit_breaker.gate_failures else ()

    def cooldown(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if the latest request of the cause was resolved too recently.

        None also if the number of labelled frauds decides that: see `too_few_frauds`.
        """
        latest = self._cooling_down(case)
        if latest is None or self._frauds_to_retry(case, latest) is not None:
            return None
        days: int = getattr(self._rules.cooldown_days, case.kind)
        return suppressed(case, f"{_resolved(latest)}; the cooldown of {case.cause} is {days} days")

    def too_few_frauds(self, case: DriftCase, window: TrainingWindow) -> RequestOutcome | None:
        """The outcome if an adaptation failed the gate lately and `window` holds too few more labelled frauds."""
        latest = self._cooling_down(case)
        needed = None if latest is None else self._frauds_to_retry(case, latest)
        if latest is None or needed is None or window.frauds >= needed:
            return None
        return suppressed(
            case,
            f"{_resolved(latest)}; within the cooldown of {case.cause}, another run of kind {case.run_kind} needs "
            f"{needed:,} labelled frauds, {self._rules.retry.fraud_growth:g} times as many, and there are "
            f"{window.frauds:,}",
        )

    def _cooling_down(self, case: DriftCase) -> Resolution | None:
        """The latest resolution that starts a cooldown for `case`, if that has not ended."""
        days: int = getattr(self._rules.cooldown_days, case.kind)
        counted = [*self._log.resolved(case.cause), *self._log.failed_runs(case.run_kind)]
        if case.run_kind == DROP:  # an adaptation says nothing about whether its frauds go on
            counted = [item for item in counted if item.kind == DROP]
        latest = max(counted, key=lambda item: item.created, default=None)
        return latest if latest is not None and clock.now() - latest.created < timedelta(days=days) else None

    def _frauds_to_retry(self, case: DriftCase, latest: Resolution) -> int | None:
        """The labelled frauds that end the cooldown of a failed adaptation or drop; None if no number of them does."""
        if not latest.gate_failed or latest.kind != case.run_kind or case.run_kind not in (ADAPT, DROP):
            return None
        had = self._log.frauds_of(latest.request)
        return None if had is None else math.ceil(self._rules.retry.fraud_growth * had)

    def monthly_cap(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if this calendar month has as many requests as are allowed."""
        cap = self._rules.max_requests_per_month
        requests = self._log.created_in_month(clock.now(), [cause(kind) for kind in CAUSES])
        if len(requests) < cap:
            return None
        return suppressed(case, f"{len(requests)} requests were created this month, and the monthly cap is {cap}")


def _resolved(item: Resolution) -> str:
    return f"{item.request} was resolved by {item.record} at {clock.stamp(item.created)}"
