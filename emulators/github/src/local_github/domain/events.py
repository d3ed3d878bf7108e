"""Defines the interface between the server and Actions: events that the server emits, and runs that it shows.

Data and protocols only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, in GitHub's terms; `payload` is the content of GITHUB_EVENT_PATH."""

    name: str
    """push, pull_request, workflow_dispatch, repository_dispatch, issues, …"""
    repository: str
    """owner/name of the repository whose workflows may start."""
    ref: str
    """GITHUB_REF: refs/heads/…, refs/tags/…; for pull_request refs/pull/N/merge."""
    sha: str
    """GITHUB_SHA. Zeros for a deleted ref; empty for a pull request with conflicts, which starts nothing on GitHub."""
    payload: Mapping[str, Any]
    actor: str
    action: str | None = None
    before: str | None = None
    """For a push: the old value of the ref; zeros if it is new."""
    changed_files: Sequence[str] = field(default=())
    """Input of `paths:` filters: the first 300 files of a diff. Push: before to after; pull request: merge base to
    head; tag: empty. See `changed_files`."""
    diff_too_large: bool = False
    """The push has more than 1,000 commits, so `paths:` filters do not apply."""
    from_workflow_token: bool = False
    """A workflow token caused it, so it starts nothing unless it is a dispatch."""


OnEvent = Callable[[Event], None]


class StepView(Protocol):
    """A step of a job; `log` is text without escape sequences."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def conclusion(self) -> str | None: ...
    @property
    def log(self) -> str: ...


class JobView(Protocol):
    """A job of a run; `log` contains all its steps."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def conclusion(self) -> str | None: ...
    @property
    def steps(self) -> Sequence[StepView]: ...
    @property
    def log(self) -> str: ...


class RunView(Protocol):
    """A run of a workflow. `summary` is Markdown; times have the format of `clock.timestamp`.

    `message` says why it could not start or was cancelled.
    """

    @property
    def id(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def workflow(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def sha(self) -> str: ...
    @property
    def branch(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def conclusion(self) -> str | None: ...
    @property
    def message(self) -> str: ...
    @property
    def jobs(self) -> Sequence[JobView]: ...
    @property
    def summary(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def updated(self) -> str: ...


class RunSource(Protocol):
    """Provides the runs of a repository, newest first."""

    def runs_of(self, repository: str) -> Sequence[RunView]: ...


class NoRuns:
    """The source of a server without Actions."""

    def runs_of(self, repository: str) -> Sequence[RunView]:  # noqa: ARG002 - the protocol's parameter
        """No runs."""
        return ()
