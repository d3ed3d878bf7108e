"""Opens and closes the circuit breaker of a cause, which is an issue. Creates no retrain request.

It opens at the configured number of consecutive gate failures for a cause. It closes if a person closes the issue, or
if a model that was trained for the cause passes the gate.

It opens for all causes at one gate failure that says that the alert budget is too small for any model: the next run
would fail as well, and a person must decide. A run that drops a part is exempt, because it frees alerts.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml import config
from ml.drift.drift_case import DriftCase, RequestOutcome, cause
from ml.drift.request_log import RequestLog
from ml.gitops import comments, issues, labels
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import code, text
from ml.model.drift.verdict import CAUSES
from ml.model.run_kinds import DROP, RunKind

_BUDGET = "breaker alert budget"
"""The hidden marker of the issue about the alert budget."""


class CircuitBreaker:
    """The circuit breakers of all causes.

    Args:
        limit: the number of consecutive gate failures that opens one.
    """

    def __init__(self, github: GitHub, log: RequestLog, *, limit: int) -> None:
        self._github, self._log, self._limit = github, log, limit

    def check(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if the circuit breaker of the case's cause is open, else None. Opens the issue if it is missing.

        Gate failures that a closed issue names do not count.

        Raises:
            GitHubError: issues cannot be read or opened.
        """
        exceeded = self._budget(case)
        if exceeded is not None:
            return exceeded
        failures = self._log.consecutive_gate_failures(case.cause, case.run_kind)
        if len(failures) < self._limit:
            return None
        marker = _marker(case.cause)
        closed_issues = "\n".join(issues.closed_bodies(self._github, cause=marker, label=labels.CIRCUIT_BREAKER))
        failures = {name: kind for name, kind in failures.items() if name not in closed_issues}
        if len(failures) < self._limit:
            return None
        return self._open(
            case,
            marker,
            title=f"Circuit breaker open for {case.cause}: {len(failures)} models in a row failed the gate",
            body=_issue_body(case, failures),
            reason=f"{len(failures)} models in a row for {case.cause} failed the gate; see",
        )

    def _budget(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome if the latest run showed that the alert budget is too small for any model."""
        failure = self._log.budget_exceeded()
        if failure is None or case.run_kind == DROP:
            return None
        if failure in "\n".join(issues.closed_bodies(self._github, cause=_BUDGET, label=labels.CIRCUIT_BREAKER)):
            return None
        return self._open(
            case,
            _BUDGET,
            title="The alert budget is too small for what is fraud now: a person must decide",
            body=_budget_body(case, failure),
            reason="the alert budget is too small for any model; a person must decide, see",
        )

    def _open(self, case: DriftCase, marker: str, *, title: str, body: str, reason: str) -> RequestOutcome:
        """The outcome of an open circuit breaker; opens its issue if it is missing. `reason` ends before the number."""
        issue = issues.ensure_open(self._github, cause=marker, label=labels.CIRCUIT_BREAKER, title=title, body=body)
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            run_kind=case.run_kind,
            state="circuit breaker open",
            reason=f"{reason} #{issue.number}",
            issue=issue.number,
        )

    def close_resolved(self) -> None:
        """Closes the issue of each cause whose latest resolved request ended in an approval.

        Raises:
            GitHubError: issues cannot be read or closed.
        """
        if self._log.budget_exceeded() is None:
            comment = "A later run ended otherwise."
            issues.close(self._github, cause=_BUDGET, label=labels.CIRCUIT_BREAKER, comment=comment)
        for name in map(cause, CAUSES):
            resolutions = self._log.resolved(name)
            if resolutions and not resolutions[-1].gate_failed:
                comment = f"Resolved by {resolutions[-1].record}: a model has passed the gate."
                issues.close(self._github, cause=_marker(name), label=labels.CIRCUIT_BREAKER, comment=comment)


def _marker(name: str) -> str:
    """The hidden marker of a cause's issue."""
    return f"breaker {name}"


def _budget_body(case: DriftCase, failure: str) -> str:
    record = code(f"{config.GATE_FAILURES}/{failure}.yaml")
    return comments.truncate(
        f"{text(case.reason)}\n\nThe model of {record} failed the gate, and no other could pass: more transactions are "
        "frauds now than the alert budget allows to alert. The issue of that gate failure shows what other budgets "
        "would alert, find and miss, per day and in money.\n\nNo request is created while this issue is open, except "
        "to drop a part whose frauds have stopped. To allow more alerts, change `alert_budget` and `threshold` in "
        "`model-config/training/model.yaml` and `max_false_positive_rate` in `gate.yaml`, which starts a training run, "
        "and close this issue. To miss these frauds knowingly, close it as well: the failure then no longer counts."
    )


def _issue_body(case: DriftCase, failures: Mapping[str, RunKind]) -> str:
    records = "\n".join(
        f"- {code(f'{config.GATE_FAILURES}/{name}.yaml')}, kind {text(kind)}" for name, kind in failures.items()
    )
    return comments.truncate(
        f"{text(case.reason)}\n\n{len(failures)} consecutive models that were trained for this cause failed the gate:"
        f"\n\n{records}\n\nNo request is created for {code(case.cause)} while this issue is open: models trained on "
        "the available data do not pass the gate. Read the evidence, then change `model-config/training/`, import "
        "other data, or keep the champion (`model-config/monitoring/drift.yaml` defines what counts as drift).\n\n"
        "Closing this issue closes the circuit breaker: the gate failures named here no longer count, and the next "
        "check may create a request. A model that passes the gate for this cause closes it too."
    )
