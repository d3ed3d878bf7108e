"""Creates at most one retrain request per drift decision. Applies cooldown, monthly cap and circuit breaker.

A request is not created, in this order of checks, if: the same request exists (resolved ones are checked against the
circuit breaker); one of the same or a stronger cause is open; a pull request proposes it or a person declined that; the
circuit breaker is open; the cooldown has not passed; the monthly cap is reached; there are too few labelled frauds. All
is read from the tip of main. A request's id is the end of its window and its cause: concurrent checks create one file.
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
from ml.gitops.markdown import code, text
from ml.gitops.remote import Protected, Remote
from ml.model.drift import detector
from ml.model.drift.verdict import CAUSES
from ml.records import bot_pull_requests

BRANCH = "bot/request-"
TRAINING = "train.yml"
_REASON_LIMIT = 1024

State = Literal["requested", "proposed", "already requested", "suppressed", "circuit breaker open"]


@dataclass(frozen=True, kw_only=True)
class RequestOutcome:
    """What came of drift that was decided on."""

    request: str
    cause: str
    state: State
    reason: str
    commit: str | None = None
    pull_request: int | None = None
    """The one that adds the request, where main takes nothing else."""
    issue: int | None = None
    started: bool = False
    """Whether train.yml was started from here; elsewhere the push starts it."""


@dataclass(frozen=True, kw_only=True)
class DriftCase:
    """A drift decision that calls for a new model, with its evidence."""

    decision: detector.Decision
    reason: str
    evidence: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """concept, data or prediction."""
        assert self.decision.kind is not None  # noqa: S101 - a case is made of a decision that is due
        return self.decision.kind

    @property
    def cause(self) -> str:
        """The last part of the request's id."""
        return cause(self.kind)

    @property
    def name(self) -> str:
        """The request's id: the end of the latest window that fired, and the cause."""
        return f"{self.decision.fired[-1][1]:%Y%m%dT%H%M%SZ}-{self.cause}"


def cause(kind: str) -> str:
    """The cause of requests for a kind of drift: `concept-drift`, `data-drift`, `prediction-drift`."""
    return f"{kind}-drift"


class RetrainRequester:
    """Creates retrain requests on `main`, or reports why not.

    Args:
        bucket: the data lake, whose labelled frauds are counted.
        settings, gate, rules: the files under model-config/.
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
        self._request_log = RequestLog(remote, base)

    def create(self, cases: Sequence[DriftCase]) -> list[RequestOutcome]:
        """Creates a request for the first of `cases` (strongest first) that nothing suppresses; one outcome per case.

        Raises:
            GitError, GitHubError: run it again once the reason is gone; it is idempotent.
        """
        outcomes: list[RequestOutcome] = []
        for case in cases:
            created = next((outcome for outcome in outcomes if outcome.state in ("requested", "proposed")), None)
            if created is not None:
                reason = f"the training for {created.request} resolves it too"
                outcomes.append(RequestOutcome(request=case.name, cause=case.cause, state="suppressed", reason=reason))
                continue
            outcomes.append(self._request(case))
        return outcomes

    def close_circuit_breakers(self) -> None:
        """Closes the circuit breaker's issue of each cause for which a model has passed the gate since."""
        for name in map(cause, CAUSES):
            resolutions = self._request_log.resolutions_of(name)
            if resolutions and not resolutions[-1].gate_failed:
                comment = f"{resolutions[-1].record} resolves it: a model has passed the gate."
                issues.close(self._github, cause=f"breaker {name}", label=labels.BREAKER, comment=comment)

    def _request(self, case: DriftCase) -> RequestOutcome:
        for guard in (
            self._already_requested,
            self._open_request,
            self._declined,
            self._circuit_breaker_open,
            self._in_cooldown,
            self._monthly_cap_reached,
        ):
            outcome = guard(case)
            if outcome is not None:
                return outcome
        assert case.decision.onset is not None  # noqa: S101 - as `kind`
        now = clock.now()
        with stage("counting labelled frauds to train on"):
            window = training_window.choose(
                self._bucket,
                onset=case.decision.onset,
                end=now.replace(hour=0, minute=0, second=0, microsecond=0),
                grows=case.kind != "concept",
                as_of=now,
                settings=self._settings,
                gate=self._gate,
                labels=self._rules,
            )
        if isinstance(window, training_window.NotEnoughLabels):
            return _suppressed(case, window.reason)
        return self._commit(case, window)

    # Reasons to create no request, in the order in which they are checked.

    def _already_requested(self, case: DriftCase) -> RequestOutcome | None:
        if case.name not in self._request_log.requests:
            return None
        resolution = next((each for each in self._request_log.resolutions if each.request == case.name), None)
        if resolution is None:
            return self._already_open(case, case.name, "is open: nothing has resolved it yet")
        # The gate failure that opens the circuit breaker may have resolved this request: ask a person now, not later.
        opened = self._circuit_breaker_open(case)
        if opened is not None:
            return opened
        reason = f"{case.name} was resolved by {resolution.record}"
        return RequestOutcome(request=case.name, cause=case.cause, state="already requested", reason=reason)

    def _open_request(self, case: DriftCase) -> RequestOutcome | None:
        for kind in CAUSES[: CAUSES.index(case.kind) + 1]:  # a request for a stronger cause resolves this one too
            open_requests = self._request_log.open(cause(kind))
            if open_requests:
                return self._already_open(case, open_requests[-1], "is open: nothing has resolved it yet")
        return None

    def _already_open(self, case: DriftCase, name: str, reason: str) -> RequestOutcome:
        started = (
            self._start(name) if not self._push_starts_workflows() and not self._training_was_started(name) else False
        )
        more = "; no training had been started for it, so one is started now" if started else ""
        return RequestOutcome(
            request=name, cause=case.cause, state="already requested", reason=f"{name} {reason}{more}", started=started
        )

    def _declined(self, case: DriftCase) -> RequestOutcome | None:
        proposed = {pull.branch.removeprefix(BRANCH): pull for pull in self._proposed()}
        for name, pull in proposed.items():
            if name != case.name and name.endswith(f"Z-{case.cause}"):
                reason = f"#{pull.number} proposes {name} already and waits to be merged"
                return RequestOutcome(
                    request=name, cause=case.cause, state="already requested", reason=reason, pull_request=pull.number
                )
        if case.name in proposed:
            return None  # its pull request is updated
        closed = pull_requests.turned_down(self._github, f"{BRANCH}{case.name}", base=self._main)
        if closed is None:
            return None
        return _suppressed(case, f"a person closed #{closed.number}, which proposed it", pull_request=closed.number)

    def _proposed(self) -> list[pull_requests.PullRequest]:
        return pull_requests.open_below(self._github, BRANCH, base=self._main)

    def _circuit_breaker_open(self, case: DriftCase) -> RequestOutcome | None:
        """Opens after too many consecutive gate failures; failures named by a closed issue no longer count."""
        limit = self._rules.circuit_breaker.gate_failures
        failures = self._request_log.consecutive_gate_failures(case.cause)
        if len(failures) < limit:
            return None
        marker = f"breaker {case.cause}"
        closed = "\n".join(issues.closed_texts(self._github, cause=marker, label=labels.BREAKER))
        failures = [name for name in failures if name not in closed]
        if len(failures) < limit:
            return None
        issue = issues.find(self._github, cause=marker, label=labels.BREAKER)
        if issue is None:
            issue = issues.report(
                self._github,
                cause=marker,
                label=labels.BREAKER,
                title=f"Retraining for {case.cause} does not help: {len(failures)} models in a row failed the gate",
                body=_circuit_breaker_text(case, failures),
            )
        reason = f"{len(failures)} models in a row for {case.cause} failed the gate; #{issue.number} asks a person"
        return RequestOutcome(
            request=case.name, cause=case.cause, state="circuit breaker open", reason=reason, issue=issue.number
        )

    def _in_cooldown(self, case: DriftCase) -> RequestOutcome | None:
        resolutions = self._request_log.resolutions_of(case.cause)
        days: int = getattr(self._rules.cooldown_days, case.kind)
        if not resolutions or clock.now() - resolutions[-1].created >= timedelta(days=days):
            return None
        last = resolutions[-1]
        return _suppressed(
            case,
            f"{last.request} was resolved by {last.record} at {clock.stamp(last.created)}, and the cooldown for "
            f"{case.cause} is {days} days",
        )

    def _monthly_cap_reached(self, case: DriftCase) -> RequestOutcome | None:
        cap = self._rules.max_requests_per_month
        created = self._request_log.created_in_month(clock.now(), [cause(kind) for kind in CAUSES])
        if len(created) < cap:
            return None
        return _suppressed(case, f"{len(created)} requests were created this month, and the monthly cap is {cap}")

    # Creating a request.

    def _commit(self, case: DriftCase, window: training_window.TrainingWindow) -> RequestOutcome:
        request = config.RetrainRequest(
            cause=case.cause,
            reason=case.reason[:_REASON_LIMIT],
            window=config.Window(start=window.start, end=window.end),
            evidence={
                **case.evidence,
                "data": {
                    "labelled_rows": window.rows,
                    "frauds": window.frauds,
                    "frauds_to_test_on": window.test_frauds,
                    "days_before_onset": window.grown_days,
                },
            },
        )
        path = config.REQUESTS / f"{case.name}.yaml"
        content, message = config.dump(request).encode(), commit_messages.request(request, case.name)
        branch = f"{BRANCH}{case.name}"
        commit = self._remote.commit(self._base, {path: content}, message)
        try:
            pushed = self._remote.push_main(commit, branch=self._main)
        except Protected as error:
            note(f"{self._main} is protected from the bot's commits, so a pull request adds the request ({error})")
            return self._propose(case, branch, path.as_posix(), commit, request)
        if pushed.commit != commit:
            self._refuse_other_content(path.as_posix(), pushed.commit, content)
        started = self._start(case.name) if not self._push_starts_workflows() else False
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            state="requested",
            reason=case.reason,
            commit=pushed.commit,
            started=started,
        )

    def _refuse_other_content(self, path: str, revision: str, content: bytes) -> None:
        """Two checks may race: the second finds the file on main, and accepts it only if the content is equal."""
        if self._remote.show(revision, path) != content:
            raise GitError(f"{path}: another check pushed it first with other content; run the check again")

    def _propose(
        self, case: DriftCase, branch: str, path: str, commit: str, request: config.RetrainRequest
    ) -> RequestOutcome:
        seen = self._remote.adopt(branch)
        if seen is not None and self._remote.show(seen, path) is not None:
            commit = seen  # proposed before, and kept as it is
        opened = bot_pull_requests.pull_request(
            self._github,
            self._remote,
            branch=branch,
            commit=commit,
            seen=seen,
            base=self._main,
            title=f"Request a retrain: {case.name}",
            body=f"{text(request.reason)}\n\nMerging this starts `{TRAINING}`; closing it declines the request.",
            label=labels.BOT,
        )
        number = opened.pull.number
        reason = f"#{number} adds {path} to {self._main}, and starts the training when it is merged"
        return RequestOutcome(
            request=case.name, cause=case.cause, state="proposed", reason=reason, commit=commit, pull_request=number
        )

    def _start(self, name: str) -> bool:
        inputs = {"reason": f"The drift check requests a retrain: {name}"}
        pull_requests.dispatch(self._github, TRAINING, ref=self._main, inputs=inputs)
        return True

    def _training_was_started(self, name: str) -> bool:
        """Whether a training ran on a commit that holds the request: an earlier check may have died before that."""
        created = self._request_log.commit_of(name)
        started = pull_requests.started(self._github, TRAINING, branch=self._main)
        known = [sha for sha in started if self._remote.resolve(sha) is not None]
        return created is None or any(self._remote.is_ancestor(created, sha) for sha in known)

    @staticmethod
    def _push_starts_workflows() -> bool:
        return os.environ.get("FRAUDOPS_TOKEN_FIRES", "").lower() != "false"


def _suppressed(case: DriftCase, reason: str, *, pull_request: int | None = None) -> RequestOutcome:
    return RequestOutcome(
        request=case.name, cause=case.cause, state="suppressed", reason=reason, pull_request=pull_request
    )


def _circuit_breaker_text(case: DriftCase, failures: Sequence[str]) -> str:
    records = "\n".join(f"- {code(f'{config.GATE_FAILURES}/{name}.yaml')}" for name in failures)
    return comments.fitted(
        f"{text(case.reason)}\n\n{len(failures)} consecutive models that were trained for this cause failed the gate:"
        f"\n\n{records}\n\nNo request is created for {code(case.cause)} while this issue is open: a model trained on "
        "the available data does not pass the gate. Look at the evidence, then change "
        "`model-config/training/`, import other data, or keep the serving model "
        "(`model-config/monitoring/drift.yaml` defines drift).\n\nClosing this issue closes the circuit breaker: the "
        "gate failures named here no longer count, and the next check may ask again. A model that passes the gate "
        "for this cause closes it too."
    )
