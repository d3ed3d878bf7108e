"""The interface between the jobs of an attempt and what provides them with tokens, secrets and environments.

Data and a protocol only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from local_github.actions.run_records import Job as JobRecord
from local_github.actions.workflow_file import Job, Level, Workflow


class DeploymentRefused(Exception):
    """A job may not use its environment; the message is GitHub's."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What the host needs to know of a job that is about to start."""

    record: JobRecord
    job: Job
    workflow: Workflow
    environment: str | None
    permissions: Mapping[str, Level]
    secrets: Mapping[str, str] | None
    """The secrets that the caller of a reusable workflow passed; None without a caller."""


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What a job gets: variables of its environment, secrets and `vars`."""

    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]


class JobHost(Protocol):
    """What the graph calls during an attempt; from several threads."""

    @property
    def contexts(self) -> Mapping[str, Any]:
        """The contexts github, runner, inputs and vars."""

    def called_workflow(self, path: str) -> Workflow:
        """The workflow file at `path` of the run's commit; WorkflowInvalid if there is none."""

    def secrets(self) -> Mapping[str, str]:
        """The repository's secrets."""

    def enter_environment(self, name: str, record: JobRecord, cancelled: Callable[[], bool]) -> None:
        """Waits until the environment admits the job; DeploymentRefused if it does not."""

    def open_job(self, request: JobRequest) -> JobSettings:
        """Creates the tokens of a job."""

    def close_job(self, request: JobRequest) -> None:
        """Revokes them."""

    def changed(self) -> None:
        """Called when the status of a job has changed."""
