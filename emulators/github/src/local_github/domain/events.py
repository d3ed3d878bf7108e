"""What happened in the local GitHub, as workflows are told of it; and what the pages need to know of workflow runs.

This is the seam between the server, which emits events, and `local_github.actions`, which decides what they start.
It holds no logic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, in GitHub's own terms; `payload` is what a runner finds at GITHUB_EVENT_PATH."""

    name: str
    """push, pull_request, workflow_dispatch, repository_dispatch, issues, …"""
    repository: str
    """owner/name of the repository whose workflows are asked."""
    ref: str
    """GITHUB_REF: refs/heads/…, refs/tags/…; for pull_request refs/pull/N/merge."""
    sha: str
    """GITHUB_SHA. Zeros for a deleted ref; empty for a pull request that conflicts, which starts nothing on GitHub."""
    payload: Mapping[str, Any]
    actor: str
    action: str | None = None
    before: str | None = None
    """For a push: what the ref was; zeros where it is new."""
    changed_files: Sequence[str] = field(default=())
    """What `paths:` filters see: of a push, before to after; of a pull request, merge base to head. Empty for a tag."""
    from_workflow_token: bool = False
    """A workflow's own token caused it, so that it starts nothing unless it is a dispatch."""


OnEvent = Callable[[Event], None]


class StepView(Protocol):
    """A step of a job, as the pages show it. `log` is text without escape sequences."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def conclusion(self) -> str | None: ...
    @property
    def log(self) -> str: ...


class JobView(Protocol):
    """A job of a run. `log` is the whole job's."""

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
    """A run of a workflow. `summary` is Markdown, times are as `ml.clock.stamp` writes them.

    `message` says why it could not start, or was ended.
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
    """Where the pages and GraphQL find runs: set as `LocalGitHub.run_source`, newest first."""

    def runs_of(self, repository: str) -> Sequence[RunView]: ...


class NoRuns:
    """The source of a server that runs no workflows."""

    def runs_of(self, repository: str) -> Sequence[RunView]:  # noqa: ARG002 - the protocol's parameter
        """None."""
        return ()
