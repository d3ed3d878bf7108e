"""Finds what prevents a retrain request by the requests in Git alone: an open one, the cooldown, the monthly cap.

Creates no request, and calls neither AWS nor GitHub.
"""

from __future__ import annotations

from datetime import timedelta

from ml import clock, config
from ml.drift.drift_case import DriftCase, RequestOutcome, cause, suppressed
from ml.drift.request_log import RequestLog
from ml.model.drift.verdict import CAUSES


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
        """The consecutive gate failures of the cause if there are enough for its circuit breaker; otherwise none."""
        failures = tuple(self._log.consecutive_gate_failures(case.cause))
        return failures if len(failures) >= self._rules.circuit_breaker.gate_failures else ()

    def cooldown(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if the latest request of the cause was resolved too recently."""
        resolutions = self._log.resolved(case.cause)
        days: int = getattr(self._rules.cooldown_days, case.kind)
        if not resolutions or clock.now() - resolutions[-1].created >= timedelta(days=days):
            return None
        latest = resolutions[-1]
        return suppressed(
            case,
            f"{latest.request} was resolved by {latest.record} at {clock.stamp(latest.created)}; the cooldown of "
            f"{case.cause} is {days} days",
        )

    def monthly_cap(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if this calendar month has as many requests as are allowed."""
        cap = self._rules.max_requests_per_month
        requests = self._log.created_in_month(clock.now(), [cause(kind) for kind in CAUSES])
        if len(requests) < cap:
            return None
        return suppressed(case, f"{len(requests)} requests were created this month, and the monthly cap is {cap}")
