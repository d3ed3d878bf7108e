"""Creates at most one retrain request per drift decision. Applies cooldown, monthly cap and circuit breaker.

Looked at in this order, each with its words: the same request made before (one that was answered asks the breaker); an
open request of the same or a stronger cause; a proposal that waits or was turned down; the breaker; the cooldown; the
month's cap; too few labelled frauds. Everything is read from the tip of main, so that two checks side by side make one
request: its id is the end of the window and the cause, and Git takes a file once.
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
from ml.drift.request_log import Ledger
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

State = Literal["requested", "proposed", "asked before", "held back", "breaker open"]


@dataclass(frozen=True, kw_only=True)
class Asked:
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
class Case:
    """Drift that asks for a new model, with what shows it."""

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
        """As a request's id ends."""
        return cause(self.kind)

    @property
    def name(self) -> str:
        """The request's id: the end of the latest window that fired, and the cause."""
        return f"{self.decision.fired[-1][1]:%Y%m%dT%H%M%SZ}-{self.cause}"


def cause(kind: str) -> str:
    """The cause that requests for a kind of drift name."""
    return f"{kind}-drift"


class Asking:
    """Makes requests on `main`, or says why not.

    Args:
        bucket: the lake, for how many frauds are labelled.
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
            raise GitError(f"{remote.name} has no branch {main} to ask on")
        self._base = base
        self._ledger = Ledger(remote, base)

    def ask(self, cases: Sequence[Case]) -> list[Asked]:
        """Makes a request for the first of `cases`, strongest first, that nothing holds back; the others are told of.

        Raises:
            GitError, GitHubError: run it again when the cause is gone; it goes on from there.
        """
        told: list[Asked] = []
        for case in cases:
            made = next((each for each in told if each.state in ("requested", "proposed")), None)
            if made is not None:
                reason = f"{made.request} is answered by the same training"
                told.append(Asked(request=case.name, cause=case.cause, state="held back", reason=reason))
                continue
            told.append(self._one(case))
        return told

    def mend(self) -> None:
        """Closes the breaker's issue of each cause for which a model has passed the gate since."""
        for name in map(cause, CAUSES):
            answered = self._ledger.answered(name)
            if answered and not answered[-1].gate_failed:
                said = f"{answered[-1].record} answers it: a model has passed the gate."
                issues.close(self._github, cause=f"breaker {name}", label=labels.BREAKER, comment=said)

    def _one(self, case: Case) -> Asked:
        for guard in (self._made_before, self._open, self._turned_down, self._broken, self._cooling, self._capped):
            found = guard(case)
            if found is not None:
                return found
        assert case.decision.onset is not None  # noqa: S101 - as `kind`
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
        if isinstance(chosen, training_window.Short):
            return _held(case, chosen.reason)
        return self._commit(case, chosen)

    # What holds a request back

    def _made_before(self, case: Case) -> Asked | None:
        if case.name not in self._ledger.requests:
            return None
        answer = next((each for each in self._ledger.answers if each.request == case.name), None)
        if answer is None:
            return self._asked_before(case, case.name, "is open: nothing has answered it yet")
        # The gate failure that opens the circuit breaker may have resolved this request: ask a person now, not later.
        broken = self._broken(case)
        if broken is not None:
            return broken
        said = f"{case.name} was answered by {answer.record}"
        return Asked(request=case.name, cause=case.cause, state="asked before", reason=said)

    def _open(self, case: Case) -> Asked | None:
        for kind in CAUSES[: CAUSES.index(case.kind) + 1]:  # what a stronger cause asks for answers this one too
            waiting = self._ledger.open(cause(kind))
            if waiting:
                return self._asked_before(case, waiting[-1], "is open: nothing has answered it yet")
        return None

    def _asked_before(self, case: Case, name: str, words: str) -> Asked:
        started = self._start(name) if not self._fires() and not self._was_started(name) else False
        more = "; no training had been started for it, and now is" if started else ""
        return Asked(
            request=name, cause=case.cause, state="asked before", reason=f"{name} {words}{more}", started=started
        )

    def _turned_down(self, case: Case) -> Asked | None:
        waiting = {pull.branch.removeprefix(BRANCH): pull for pull in self._proposed()}
        for name, pull in waiting.items():
            if name != case.name and name.endswith(f"Z-{case.cause}"):
                said = f"#{pull.number} proposes {name} already and waits to be merged"
                return Asked(
                    request=name, cause=case.cause, state="asked before", reason=said, pull_request=pull.number
                )
        if case.name in waiting:
            return None  # proposed before; it is brought up to date
        closed = pull_requests.turned_down(self._github, f"{BRANCH}{case.name}", base=self._main)
        if closed is None:
            return None
        return _held(case, f"a person closed #{closed.number}, which proposed it", pull_request=closed.number)

    def _proposed(self) -> list[pull_requests.PullRequest]:
        return pull_requests.open_below(self._github, BRANCH, base=self._main)

    def _broken(self, case: Case) -> Asked | None:
        """The breaker: so many gate failures in a row that nobody has forgiven by closing the issue that names them."""
        limit, row = self._rules.circuit_breaker.gate_failures, self._ledger.consecutive_gate_failures(case.cause)
        if len(row) < limit:
            return None
        marker = f"breaker {case.cause}"
        forgiven = "\n".join(issues.closed_texts(self._github, cause=marker, label=labels.BREAKER))
        row = [name for name in row if name not in forgiven]
        if len(row) < limit:
            return None
        issue = issues.find(self._github, cause=marker, label=labels.BREAKER)
        if issue is None:
            issue = issues.report(
                self._github,
                cause=marker,
                label=labels.BREAKER,
                title=f"Retraining for {case.cause} does not help: {len(row)} models in a row failed the gate",
                body=_plea(case, row),
            )
        said = f"{len(row)} models in a row for {case.cause} failed the gate; #{issue.number} asks a person"
        return Asked(request=case.name, cause=case.cause, state="breaker open", reason=said, issue=issue.number)

    def _cooling(self, case: Case) -> Asked | None:
        answered = self._ledger.answered(case.cause)
        days: int = getattr(self._rules.cooldown_days, case.kind)
        if not answered or clock.now() - answered[-1].created >= timedelta(days=days):
            return None
        last = answered[-1]
        return _held(
            case,
            f"{last.request} was answered by {last.record} at {clock.stamp(last.created)}, and {case.cause} is not "
            f"asked for again within {days} days",
        )

    def _capped(self, case: Case) -> Asked | None:
        most = self._rules.max_requests_per_month
        made = self._ledger.made_in_month(clock.now(), [cause(kind) for kind in CAUSES])
        if len(made) < most:
            return None
        return _held(case, f"{len(made)} requests were made in this month already, and {most} may be")

    # What makes one

    def _commit(self, case: Case, chosen: training_window.Stretch) -> Asked:
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
        branch = f"{BRANCH}{case.name}"
        commit = self._remote.commit(self._base, {path: content}, message)
        try:
            pushed = self._remote.push_main(commit, branch=self._main)
        except Protected as error:
            note(f"{self._main} takes no commit of the bot, so a pull request adds the request ({error})")
            return self._propose(case, branch, path.as_posix(), commit, request)
        if pushed.commit != commit:
            self._refuse_another(path.as_posix(), pushed.commit, content)
        started = self._start(case.name) if not self._fires() else False
        return Asked(
            request=case.name,
            cause=case.cause,
            state="requested",
            reason=case.reason,
            commit=pushed.commit,
            started=started,
        )

    def _refuse_another(self, path: str, revision: str, content: bytes) -> None:
        """Two checks may race; whoever comes second finds the file there, and Git takes it only if it is the same."""
        if self._remote.show(revision, path) != content:
            raise GitError(f"{path}: others pushed it first with other words; run the check again")

    def _propose(self, case: Case, branch: str, path: str, commit: str, request: config.RetrainRequest) -> Asked:
        seen = self._remote.adopt(branch)
        if seen is not None and self._remote.show(seen, path) is not None:
            commit = seen  # proposed before; what was said then stands
        opened = bot_pull_requests.pull_request(
            self._github,
            self._remote,
            branch=branch,
            commit=commit,
            seen=seen,
            base=self._main,
            title=f"Ask for a new model: {case.name}",
            body=f"{text(request.reason)}\n\nMerging this starts `{TRAINING}`; closing it declines the request.",
            label=labels.BOT,
        )
        number = opened.pull.number
        said = f"#{number} adds {path} to {self._main}, and starts the training when it is merged"
        return Asked(
            request=case.name, cause=case.cause, state="proposed", reason=said, commit=commit, pull_request=number
        )

    def _start(self, name: str) -> bool:
        inputs = {"reason": f"The drift check asks for a new model: {name}"}
        pull_requests.dispatch(self._github, TRAINING, ref=self._main, inputs=inputs)
        return True

    def _was_started(self, name: str) -> bool:
        """Whether a training ran on a commit that holds the request: a check may have died before it started one."""
        made = self._ledger.commit_of(name)
        started = pull_requests.started(self._github, TRAINING, branch=self._main)
        known = [sha for sha in started if self._remote.resolve(sha) is not None]
        return made is None or any(self._remote.is_ancestor(made, sha) for sha in known)

    @staticmethod
    def _fires() -> bool:
        return os.environ.get("FRAUDOPS_TOKEN_FIRES", "").lower() != "false"


def _held(case: Case, reason: str, *, pull_request: int | None = None) -> Asked:
    return Asked(request=case.name, cause=case.cause, state="held back", reason=reason, pull_request=pull_request)


def _plea(case: Case, row: Sequence[str]) -> str:
    records = "\n".join(f"- {code(f'{config.GATE_FAILURES}/{name}.yaml')}" for name in row)
    return comments.fitted(
        f"{text(case.reason)}\n\n{len(row)} models that were trained for this cause failed the gate, one after the "
        f"other:\n\n{records}\n\nNo request is made for {code(case.cause)} while this issue is open: what a model can "
        "learn from the data that there is does not reach the gate. Look at the evidence, then change "
        "`model-config/training/`, import other data, or let the model that serves be "
        "(`model-config/monitoring/drift.yaml` says what counts as drift).\n\nClosing this issue closes the breaker: "
        "the gate failures named here no longer count, and the next check may ask again. A model that passes the gate "
        "for this cause closes it too."
    )
