"""Checks whether an earlier request or a limit prevents a retrain request. Creates no request.

The checks run in this order, and the first that applies decides: the same request exists (if its model failed the gate,
the circuit breaker is checked too); a request of the same or a stronger cause is open; a pull request that proposes it
is open or was closed; circuit breaker; cooldown; monthly cap. An open request whose training was never started gets its
training here.
"""

from __future__ import annotations

from ml import config
from ml.drift.circuit_breaker import CircuitBreaker
from ml.drift.drift_case import BRANCH_PREFIX, DriftCase, RequestOutcome, suppressed
from ml.drift.request_limits import RequestLimits
from ml.drift.request_log import RequestLog
from ml.drift.training_dispatch import TrainingDispatch
from ml.gitops import pull_requests
from ml.gitops.github_client import GitHub


class RequestChecks:
    """The checks against the requests of `log` and the limits of `rules` (model-config/monitoring/drift.yaml)."""

    def __init__(
        self,
        github: GitHub,
        log: RequestLog,
        *,
        breaker: CircuitBreaker,
        training: TrainingDispatch,
        rules: config.DriftFile,
        main: str,
    ) -> None:
        self._github, self._log, self._main = github, log, main
        self.limits = RequestLimits(log, rules)
        self._breaker, self._training = breaker, training

    def run(self, case: DriftCase) -> RequestOutcome | None:
        """The outcome of the first check that prevents a request for `case`; None if a request may be created.

        Raises:
            ConfigError: a record in Git is invalid.
            GitError, GitHubError: Git or GitHub cannot be read, or the circuit breaker's issue or a training that is
                missing cannot be created.
        """
        for check in (
            self._same_request,
            self._open_requests,
            self._pull_requests,
            self._breaker.check,
            self.limits.cooldown,
            self.limits.monthly_cap,
        ):
            outcome = check(case)
            if outcome is not None:
                return outcome
        return None

    def _same_request(self, case: DriftCase) -> RequestOutcome | None:
        if case.name not in self._log.requests:
            return None
        resolution = self._log.resolutions.of(case.name)
        if resolution is None:
            return self._already_open(case, case.name)
        # The gate failure that opens the circuit breaker may have resolved this request: open the issue now, not later.
        breaker = self._breaker.check(case) if resolution.gate_failed else None
        if breaker is not None:
            return breaker
        reason = f"{case.name} was resolved by {resolution.record}"
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            run_kind=case.run_kind,
            state="already requested",
            reason=reason,
        )

    def _open_requests(self, case: DriftCase) -> RequestOutcome | None:
        name = self.limits.open_request(case)
        return self._already_open(case, name) if name is not None else None

    def _already_open(self, case: DriftCase, name: str) -> RequestOutcome:
        started = self._training.start_if_missing(name, self._log.kind_of(name), commit=self._log.commit_of(name))
        more = "; its training had not been started and was started now" if started else ""
        return RequestOutcome(
            request=name,
            cause=case.cause,
            run_kind=case.run_kind,
            state="already requested",
            reason=f"{name} is open{more}",
            started=started,
        )

    def _pull_requests(self, case: DriftCase) -> RequestOutcome | None:
        proposals = {pull.branch.removeprefix(BRANCH_PREFIX): pull for pull in self._open_proposals()}
        for name, pull in proposals.items():
            if name != case.name and name.endswith(f"Z-{case.cause}"):
                reason = f"#{pull.number} proposes {name} and is not merged yet"
                return RequestOutcome(
                    request=name,
                    cause=case.cause,
                    run_kind=case.run_kind,
                    state="already requested",
                    reason=reason,
                    pull_request=pull.number,
                )
        if case.name in proposals:
            return None  # the pull request is updated
        closed = pull_requests.find_rejected(self._github, case.branch, base=self._main)
        if closed is None:
            return None
        return suppressed(
            case, f"#{closed.number}, which proposed it, was closed without a merge", pull_request=closed.number
        )

    def _open_proposals(self) -> list[pull_requests.PullRequest]:
        return pull_requests.list_open(self._github, BRANCH_PREFIX, base=self._main)
