"""Creates at most one retrain request per drift decision, on main or as a pull request.

No request is created if a check of `ml.drift.request_checks` prevents it or too few frauds are labelled. All state is
read from the tip of main. The id of a request is the end of the window and the cause, so two drift checks that run in
parallel create one file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ml import config
from ml.console import note
from ml.drift.circuit_breaker import CircuitBreaker
from ml.drift.drift_case import DriftCase, RequestOutcome, suppressed
from ml.drift.request_checks import RequestChecks
from ml.drift.request_log import RequestLog
from ml.drift.training_dispatch import TRAINING_WORKFLOW, TrainingDispatch
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.errors import GitError
from ml.gitops import commit_messages, labels
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import text
from ml.gitops.remote import ProtectedBranch, Remote
from ml.records import bot_pull_requests

_REASON_LIMIT = 1024  # characters


class RetrainRequester:
    """Creates retrain requests on `main`, or returns why it did not.

    Args:
        choose: the training window of a case that nothing suppresses, or why there is none.
        rules: model-config/monitoring/drift.yaml.
    """

    def __init__(
        self,
        github: GitHub,
        remote: Remote,
        *,
        choose: Callable[[DriftCase], TrainingWindow | NotEnoughLabels],
        rules: config.DriftFile,
        main: str = "main",
    ) -> None:
        self._github, self._remote, self._choose, self._main = github, remote, choose, main
        base = remote.fetch(main)
        if base is None:
            raise GitError(f"{remote.name} has no branch {main} for retrain requests")
        self._base = base
        log = RequestLog(remote, base)
        self._breaker = CircuitBreaker(github, log, limit=rules.circuit_breaker.gate_failures)
        self._training = TrainingDispatch(github, remote, main=main)
        self._checks = RequestChecks(
            github, log, breaker=self._breaker, training=self._training, rules=rules, main=main
        )

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
                outcomes.append(suppressed(case, f"the training for {created.request} covers it"))
                continue
            outcomes.append(self._decide(case))
        return outcomes

    def close_circuit_breakers(self) -> None:
        """Closes the circuit breaker's issue of each cause whose latest resolved request ended in an approval."""
        self._breaker.close_resolved()

    def _decide(self, case: DriftCase) -> RequestOutcome:
        outcome = self._checks.run(case)
        if outcome is not None:
            return outcome
        chosen = self._choose(case)
        if isinstance(chosen, NotEnoughLabels):
            return suppressed(case, chosen.reason)
        return self._checks.limits.too_few_frauds(case, chosen) or self._commit(case, chosen)

    def _commit(self, case: DriftCase, chosen: TrainingWindow) -> RequestOutcome:
        request = config.RetrainRequest(
            kind=case.run_kind,
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
        commit = self._remote.commit(self._base, {path: content}, message)
        try:
            pushed = self._remote.push_main(commit, branch=self._main)
        except ProtectedBranch as error:
            note(f"{self._main} is protected, so a pull request adds the request ({error})")
            return self._propose(case, path.as_posix(), commit, request)
        if pushed.commit != commit:
            self._require_same_content(path.as_posix(), pushed.commit, content)
        started = self._training.start(case.name, case.run_kind)
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            run_kind=case.run_kind,
            state="requested",
            reason=case.reason,
            commit=pushed.commit,
            started=started,
        )

    def _require_same_content(self, path: str, revision: str, content: bytes) -> None:
        """Two checks may race. The second finds the file on main and may continue only if the content is equal."""
        if self._remote.show(revision, path) != content:
            raise GitError(f"{path}: another check pushed it first with other content; run the check again")

    def _propose(self, case: DriftCase, path: str, commit: str, request: config.RetrainRequest) -> RequestOutcome:
        existing = self._remote.update_local_branch(case.branch)
        if existing is not None and self._remote.show(existing, path) is not None:
            commit = existing  # an earlier check proposed it: keep its content
        opened = bot_pull_requests.pull_request(
            self._github,
            self._remote,
            branch=case.branch,
            commit=commit,
            seen=existing,
            base=self._main,
            title=f"{case.run_kind}: request a retrain, {case.name}",
            body=f"{text(request.reason)}\n\nKind of run: {commit_messages.KINDS[request.kind]}.\n\n"
            f"Merging starts `{TRAINING_WORKFLOW}`; closing declines the request.",
            label=labels.BOT,
        )
        number = opened.pull.number
        reason = f"#{number} adds {path} to {self._main}; merging it starts the training"
        return RequestOutcome(
            request=case.name,
            cause=case.cause,
            run_kind=case.run_kind,
            state="proposed",
            reason=reason,
            commit=commit,
            pull_request=number,
        )
