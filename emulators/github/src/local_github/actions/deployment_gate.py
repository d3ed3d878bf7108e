"""Holds back jobs until their environment admits them: branch policies and required reviewers. Runs nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from local_github.actions.job_contract import DeploymentRefused
from local_github.actions.run_records import Job, Run
from local_github.domain import environments
from local_github.domain.backend import Backend
from local_github.domain.environment_records import Environment
from local_github.errors import ApiError

_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class DeploymentReview:
    """A review of waiting jobs; `state` is approved or rejected."""

    environments: tuple[Environment, ...]
    state: str
    comment: str
    reviewer: str


@dataclass(kw_only=True)
class _Waiting:
    """A job that waits for the review of its environment."""

    run: Run
    job: Job
    environment: Environment
    changed: Callable[[], None]
    decision: DeploymentReview | None = None
    decided: threading.Event = field(default_factory=threading.Event)


class DeploymentGate:
    """The jobs of all runs that wait for a review."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: list[_Waiting] = []
        self._reviews: dict[tuple[int, int], list[DeploymentReview]] = {}
        self._lock = threading.Lock()

    def enter(self, run: Run, job: Job, name: str, cancelled: Callable[[], bool], changed: Callable[[], None]) -> None:
        """Returns when the environment admits the job; creates an environment that does not exist.

        Args:
            run, job: the job that starts.
            name: of the environment.
            cancelled: whether to stop waiting.
            changed: called after the status of the job has changed.

        Raises:
            DeploymentRefused: a branch policy or a reviewer refuses the job.
        """
        with self._backend.lock():
            repository = self._backend.state.named(run.repository)
            environment = environments.find_or_create(self._backend.state, repository, name)
            refusal = environments.refusal(repository, environment, run.ref)
        if refusal:
            raise DeploymentRefused(refusal)
        if not environment.reviewers:
            return
        entry = _Waiting(run=run, job=job, environment=environment, changed=changed)
        with self._lock:
            self._waiting.append(entry)
            job.status = "waiting"
        changed()
        while not entry.decided.wait(_POLL_SECONDS) and not cancelled():
            pass
        with self._lock:
            self._waiting.remove(entry)
            job.status = "queued"
        changed()
        if entry.decision is not None and entry.decision.state == "rejected":
            raise DeploymentRefused(
                f"The deployment to {environment.name} was rejected by {entry.decision.reviewer}: "
                f"{entry.decision.comment or 'no comment'}"
            )

    def pending(self, run: Run) -> list[Environment]:
        """The environments whose review jobs of the run wait for."""
        with self._lock:
            found = [entry.environment for entry in self._waiting if entry.run is run and entry.decision is None]
        return [environment for index, environment in enumerate(found) if environment not in found[:index]]

    def reviews(self, run: Run) -> list[DeploymentReview]:
        """The reviews of the latest attempt of a run."""
        return list(self._reviews.get((run.id, run.attempt), ()))

    def review(self, run: Run, ids: Sequence[int], *, state: str, comment: str, reviewer: str) -> list[Environment]:
        """Approves or rejects the waiting jobs of some environments and returns the environments.

        Raises:
            ApiError: 422 for an environment that no job waits for, or a reviewer who may not review it.
        """
        found = {environment.id: environment for environment in self.pending(run)}
        starter = run.triggered_by or run.actor
        for number in ids:
            if number not in found:
                raise ApiError(422, f"No pending deployment requests to approve or reject for environment {number}")
            if not found[number].may_review(reviewer, starter):
                raise ApiError(422, f"{reviewer} cannot approve or reject pending deployments to {found[number].name}")
        reviewed = [found[number] for number in ids]
        decision = DeploymentReview(environments=tuple(reviewed), state=state, comment=comment, reviewer=reviewer)
        with self._lock:
            self._reviews.setdefault((run.id, run.attempt), []).append(decision)
            entries = [entry for entry in self._waiting if entry.run is run and entry.environment in reviewed]
            for entry in entries:
                entry.decision, entry.job.status = decision, "queued"
        for entry in entries:
            entry.changed()  # before the answer, so that `RunQueue.wait` then waits for the end of the run
            entry.decided.set()
        return reviewed
