"""Creates at most one retrain request per drift decision. Applies cooldown, monthly cap and circuit breaker.

The checks run in this order, and the first that applies decides: the same request exists (if it is resolved, the
circuit breaker is checked too); a request of the same or a stronger cause is open; a pull request that proposes it is
open or was closed; circuit breaker; cooldown; monthly cap; too few labelled frauds. All state is read from the tip of
main. The id of a request is the end of the window and the cause, so two checks that run in parallel create one file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from ml import clock, config
from ml.console import note, stage
from ml.drift import training_window
from ml.drift.request_log import RequestLog
from ml.errors import GitError
from ml.gitops import comments, commit_messages, issues, labels, pull_requests
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import code, text
from ml.gitops.remote import ProtectedBranch, Remote
from ml.model.drift import detector
from ml.model.drift.verdict import CAUSES
from ml.records import bot_pull_requests

BRANCH_PREFIX = "bot/request-"
TRAINING_WORKFLOW = "train.yml"
_REASON_LIMIT = 1024  # characters

State = Literal["requested", "proposed", "already requested", "suppressed", "circuit breaker open"]


@dataclass(frozen=True, kw_only=True)
class RequestOutcome:
    """The outcome of one drift decision: a request, or why there is none."""

    request: str
    cause: str
    state: State
    reason: str
    commit: str | None = None
    pull_request: int | None = None
    """The pull request that adds the request, if main is protected."""
    issue: int | None = None
    started: bool = False
    """Whether this check dispatched train.yml. With the token of a GitHub App the push triggers it instead."""


@dataclass(frozen=True, kw_only=True)
class DriftCase:
    """A drift decision that is due, with its evidence."""

    decision: detector.Decision
    reason: str
    evidence: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """concept, data or prediction."""
        assert self.decision.kind is not None  # noqa: S101 - a DriftCase is built only from a decision that is due
        return self.decision.kind

    @property
    def cause(self) -> str:
        """The suffix of the request's id, e.g. `data-drift`."""
        return cause(self.kind)

    @property
    def name(self) -> str:
        """The request's id: the end of the latest window that fired, and the cause."""
        return f"{self.decision.fired[-1][1]:%Y%m%dT%H%M%SZ}-{self.cause}"


def cause(kind: str) -> str:
    """The cause that a request states for a kind of drift."""
    return f"{kind}-drift"


class RetrainRequester:
    """Creates retrain requests on `main`, or returns why it did not.

    Args:
        bucket: the data lake, to count labelled frauds.
        settings, gate, rules: model.yaml, gate.yaml and drift.yaml of model-config/.
    """

    def __init__(
        self,
        github: GitHub,
        remote: Remote,
        *,
        bucket: str,
        settings: config.ModelFile,
        gate: config.GateFile,
        rules: config.DriftFile,
        main: str = "main",
    ) -> None:
        self._github, self._remote, self._bucket, self._main = github, remote, bucket, main
        self._settings, self._gate, self._rules = settings, gate, rules
        base = remote.fetch(main)
        if base is None:
            raise GitError(f"{remote.name} has no branch {main} for retrain requests")
        self._base = base
        self._log = RequestLog(remote, base)

    def create(self, cases: Sequence[DriftCase]) -> list[RequestOutcome]:
        """Creates a request for the first of `cases` that nothing suppresses; the same training resolves the others.

        Args:
            cases: the strongest cause first.

        Raises:
            GitError, GitHubError: the request was not created. A retry continues where this call stopped.
        """
        outcomes: list[RequestOutcome] = []
        for case in cases:
            created = next((outcome for outcome in outcomes if outcome.state in ("requested", "proposed")), None)
            if created is not None:
                outcomes.append(_suppressed(case, f"the training for {created.request} covers it"))
                continue
            outcomes.append(self._decide(case))
        return outcomes

    def close_circuit_breakers(self) -> None:
        """Closes the circuit breaker's issue of each cause whose latest resolved request ended in an approval."""
        for name in map(cause, CAUSES):
            resolutions = self._log.resolved(name)
            if resolutions and not resolutions[-1].gate_failed:
                comment = f"Resolved by {resolutions[-1].record}: a model has passed the gate."
                issues.close(self._github, cause=f"breaker {name}", label=labels.CIRCUIT_BREAKER, comment=comment)

    def _decide(self, case: DriftCase) -> RequestOutcome:
        for check in (
            self._check_same_request,
            self._check_open_requests,
            self._check_pull_requests,
            self._check_circuit_breaker,
            self._check_cooldown,
            self._check_monthly_cap,
        ):
            outcome = check(case)
            if outcome is not None:
                return outcome
        assert case.decision.onset is not None  # noqa: S101 - as in `DriftCase.kind`
        now = clock.now()
        with stage("counting labelled frauds to train on"):
            chosen = training_window.choose(
                self._bucket,
                onset=case.decision.onset,
                end=now.replace(hour=0, minute=0, second=0, microsecond=0),
                grows=case.kind != "concept",
                as_of=now,
                settings=self._settings,
                gate=self._gate,
                labels=self._rules,
            )
        if isinstance(chosen, training_window.NotEnoughLabels):
            return _suppressed(case, chosen.reason)
        return self._commit(case, chosen)

    # Checks that prevent a request

    def _check_same_request(self, case: DriftCase) -> RequestOutcome | None:
        if case.name not in self._log.requests:
            return None
        resolution = self._log.resolutions.of(case.name)
        if resolution is None:
            return self._already_open(case, case.name)
        # The gate failure that opens the circuit breaker may have resolved this request: open the issue now, not later.
        breaker = self._check_circuit_breaker(case)
        if breaker is not None:
            return breaker
        reason = f"{case.name} was resolved by {resolution.record}"
        return RequestOutcome(request=case.name, cause=case.cause, state="already requested", reason=reason)

    def _check_open_requests(self, case: DriftCase) -> RequestOutcome | None:
        for kind in CAUSES[: CAUSES.index(case.kind) + 1]:  # a training for a stronger cause covers this one
            open_requests = self._log.open(cause(kind))
            if open_requests:
                return self._already_open(case, open_requests[-1])
        return None

    def _already_open(self, case: DriftCase, name: str) -> RequestOutcome:
        started = False
        if not _push_triggers_workflows() and not self._training_was_started(name):
            self._start_training(name)
            started = True
        more = "; its training had not been started and was started now" if started else ""
        return RequestOutcome(
            request=name, cause=case.cause, state="already requested", reason=f"{name} is open{more}", started=started
        )

    def _check_pull_requests(self, case: DriftCase) -> RequestOutcome | None:
        proposals = {pull.branch.removeprefix(BRANCH_PREFIX): pull for pull in self._open_proposals()}
        for name, pull in proposals.items():
            if name != case.name and name.endswith(f"Z-{case.cause}"):
                reason = f"#{pull.number} proposes {name} and is not merged yet"
                return RequestOutcome(
                    request=name, cause=case.cause, state="already requested", reason=reason, pull_request=pull.number
                )
        if case.name in proposals:
            return None  # the pull request is updated
        closed = pull_requests.find_rejected(self._github, f"{BRANCH_PREFIX}{case.name}", base=self._main)
        if closed is None:
            return None
        return _suppressed(
            case, f"#{closed.number}, which proposed it, was closed without a merge", pull_request=closed.number
        )

    def _open_proposals(self) -> list[pull_requests.PullRequest]:
        return pull_requests.list_open(self._github, BRANCH_PREFIX, base=self._main)

    def _check_circuit_breaker(self, case: DriftCase) -> RequestOutcome | None:
        """Opens at the limit of consecutive gate failures. Those named in a closed breaker issue do not count."""
        limit, failures = self._rules.circuit_breaker.gate_failures, self._log.consecutive_gate_failures(case.cause)
        if len(failures) < limit:
            return None
        marker = f"breaker {case.cause}"
        closed_issues = "\n".join(issues.closed_bodies(self._github, cause=marker, label=labels.CIRCUIT_BREAKER))
        failures = [name for name in failures if name not in closed_issues]
        if len(failures) < limit:
            return None
        issue = issues.find(self._github, cause=marker, label=labels.CIRCUIT_BREAKER)
        if issue is None:
            issue = issues.report(
                self._github,
                cause=marker,
                label=labels.CIRCUIT_BREAKER,
                title=f"Circuit breaker open for {case.cause}: {len(failures)} models in a row failed the gate",
                body=_breaker_issue(case, failures),
            )
        reason = f"{len(failures)} models in a row for {case.cause} failed the gate; see #{issue.number}"
        return RequestOutcome(
            request=case.name, cause=case.cause, state="circuit breaker open", reason=reason, issue=issue.number
        )

    def _check_cooldown(self, case: DriftCase) -> RequestOutcome | None:
        resolutions = self._log.resolved(case.cause)
        days: int = getattr(self._rules.cooldown_days, case.kind)
        if not resolutions or clock.now() - resolutions[-1].created >= timedelta(days=days):
            return None
        latest = resolutions[-1]
        return _suppressed(
            case,
            f"{latest.request} was resolved by {latest.record} at {clock.stamp(latest.created)}; the cooldown of "
            f"{case.cause} is {days} days",
        )

    def _check_monthly_cap(self, case: DriftCase) -> RequestOutcome | None:
        cap = self._rules.max_requests_per_month
        requests = self._log.created_in_month(clock.now(), [cause(kind) for kind in CAUSES])
        if len(requests) < cap:
            return None
        return _suppressed(case, f"{len(requests)} requests were created this month, and the monthly cap is {cap}")

    # Creating a request

    def _commit(self, case: DriftCase, chosen: training_window.TrainingWindow) -> RequestOutcome:
        request = config.RetrainRequest(
            cause=case.cause,
            reason=case.reason[:_REASON_LIMIT],
            window=config.Window(start=chosen.start, end=chosen.end),
            evidence={
                **case.evidence,
                "data": {
                    "labelled_rows": chosen.rows,
                    "frauds": chosen.frauds,
                    "frauds_to_test_on": chosen.test_frauds,
                    "days_before_onset": chosen.grown_days,
                },
            },
        )
        path = config.REQUESTS / f"{case.name}.yaml"
        content, message = config.dump(request).encode(), commit_messages.request(request, case.name)
        branch = f"{BRANCH_PREFIX}{case.name}"
        commit = self._remote.commit(self._base, {path: content}, message)
        try:
            pushed = self._remote.push_main(commit, branch=self._main)
        except ProtectedBranch as error:
            note(f"{self._main} is protected, so a pull request adds the request ({error})")
            return self._propose(case, branch, path.as_posix(), commit, request)
        if pushed.commit != commit:
            self._require_same_content(path.as_posix(), pushed.commit, content)
        started = not _push_triggers_workflows()
        if started:
            self._start_training(case.name)
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            state="requested",
            reason=case.reason,
            commit=pushed.commit,
            started=started,
        )

    def _require_same_content(self, path: str, revision: str, content: bytes) -> None:
        """Two checks may race. The second finds the file on main and may continue only if the content is equal."""
        if self._remote.show(revision, path) != content:
            raise GitError(f"{path}: another check pushed it first with other content; run the check again")

    def _propose(
        self, case: DriftCase, branch: str, path: str, commit: str, request: config.RetrainRequest
    ) -> RequestOutcome:
        existing = self._remote.update_local_branch(branch)
        if existing is not None and self._remote.show(existing, path) is not None:
            commit = existing  # an earlier check proposed it: keep its content
        opened = bot_pull_requests.pull_request(
            self._github,
            self._remote,
            branch=branch,
            commit=commit,
            seen=existing,
            base=self._main,
            title=f"Request a retrain: {case.name}",
            body=f"{text(request.reason)}\n\nMerging starts `{TRAINING_WORKFLOW}`; closing declines the request.",
            label=labels.BOT,
        )
        number = opened.pull.number
        reason = f"#{number} adds {path} to {self._main}; merging it starts the training"
        return RequestOutcome(
            request=case.name, cause=case.cause, state="proposed", reason=reason, commit=commit, pull_request=number
        )

    def _start_training(self, name: str) -> None:
        inputs = {"reason": f"Retrain request of the drift check: {name}"}
        pull_requests.dispatch(self._github, TRAINING_WORKFLOW, ref=self._main, inputs=inputs)

    def _training_was_started(self, name: str) -> bool:
        """Whether a training ran on a commit with the request. An earlier check may have died before it started one."""
        request_commit = self._log.commit_of(name)
        started = pull_requests.list_run_commits(self._github, TRAINING_WORKFLOW, branch=self._main)
        known = [sha for sha in started if self._remote.resolve(sha) is not None]
        return request_commit is None or any(self._remote.is_ancestor(request_commit, sha) for sha in known)


def _push_triggers_workflows() -> bool:
    """Whether a push with the bot's token triggers workflows; GitHub ignores pushes made with GITHUB_TOKEN."""
    return os.environ.get("FRAUDOPS_TOKEN_FIRES", "").lower() != "false"


def _suppressed(case: DriftCase, reason: str, *, pull_request: int | None = None) -> RequestOutcome:
    return RequestOutcome(
        request=case.name, cause=case.cause, state="suppressed", reason=reason, pull_request=pull_request
    )


def _breaker_issue(case: DriftCase, failures: Sequence[str]) -> str:
    records = "\n".join(f"- {code(f'{config.GATE_FAILURES}/{name}.yaml')}" for name in failures)
    return comments.truncate(
        f"{text(case.reason)}\n\n{len(failures)} consecutive models that were trained for this cause failed the gate:"
        f"\n\n{records}\n\nNo request is created for {code(case.cause)} while this issue is open: models trained on "
        "the available data do not pass the gate. Read the evidence, then change `model-config/training/`, import "
        "other data, or keep the champion (`model-config/monitoring/drift.yaml` defines what counts as drift).\n\n"
        "Closing this issue closes the circuit breaker: the gate failures named here no longer count, and the next "
        "check may create a request. A model that passes the gate for this cause closes it too."
    )
