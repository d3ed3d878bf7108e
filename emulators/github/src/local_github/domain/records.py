"""Defines the records of one emulator: users, repositories, issues, pull requests, statuses, deployments.

Data without rules. Git objects and refs are never copied here, except where GitHub pins them: the head of a pull
request outlives its branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from local_github.domain.environment_records import Environment
from local_github.git.bare_repository import BareRepository


@dataclass(kw_only=True)
class User:
    """A user, an organisation or an App."""

    login: str
    id: int

    @property
    def kind(self) -> str:
        """GitHub's `type`."""
        return "Bot" if self.login.endswith("[bot]") else "User"

    @property
    def email(self) -> str:
        """The address that GitHub writes into commits made in the browser or through the API."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(kw_only=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(kw_only=True)
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    author: str
    body: str
    created: str
    updated: str


@dataclass(kw_only=True)
class Review:
    """A review of a pull request; `state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    author: str
    body: str
    state: str
    sha: str
    submitted: str


@dataclass(kw_only=True)
class Pull:
    """The fields of a pull request that an issue lacks."""

    id: int
    head_repository: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool = False
    merged: str | None = None
    merged_by: str | None = None
    merge_sha: str | None = None
    """The merge commit; while open, the commit of refs/pull/N/merge, or None if there is a conflict."""
    mergeable: bool | None = None
    reviews: list[Review] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    maintainer_can_modify: bool = False
    last_pusher: str | None = None
    """Who pushed the head last; at first the author."""


@dataclass(kw_only=True)
class Issue:
    """An issue, or a pull request if `pull` is set."""

    id: int
    number: int
    title: str
    body: str | None
    author: str
    created: str
    updated: str
    state: Literal["open", "closed"] = "open"
    reason: str | None = None
    closed: str | None = None
    closed_by: str | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    pull: Pull | None = None


@dataclass(kw_only=True)
class Status:
    """A commit status."""

    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: str
    created: str


@dataclass(kw_only=True)
class CheckRun:
    """A check run that an App created."""

    id: int
    sha: str
    name: str
    status: str
    conclusion: str | None
    details_url: str | None
    output: dict[str, Any]
    started: str | None
    completed: str | None
    app: str


@dataclass(kw_only=True)
class DeploymentStatus:
    """A status of a deployment."""

    id: int
    state: str
    description: str
    environment: str
    environment_url: str
    log_url: str
    creator: str
    created: str


@dataclass(kw_only=True)
class Deployment:
    """A deployment and its statuses."""

    id: int
    sha: str
    ref: str
    task: str
    environment: str
    description: str | None
    payload: Any
    creator: str
    created: str
    updated: str
    statuses: list[DeploymentStatus] = field(default_factory=list)


@dataclass(kw_only=True)
class QueueEntry:
    """A pull request in a merge queue. `base`, `sha`, `ref` and `built` are None until its commit is built."""

    id: int
    number: int
    by: str
    """The login of who added it."""
    head: str
    """The head of the pull request when it was added."""
    enqueued: str
    base: str | None = None
    """What its commit is built on: the branch's tip, or the commit of the entry before it."""
    sha: str | None = None
    """The commit that is checked and then becomes the branch's tip."""
    ref: str | None = None
    built: str | None = None


@dataclass(kw_only=True)
class Repository:
    """A repository. `git` is its bare repository on disk."""

    id: int
    owner: str
    owner_id: int
    name: str
    default_branch: str
    private: bool
    parent: str | None
    created: str
    git: BareRepository
    description: str | None = None
    last_number: int = 0
    """The highest number of an issue or pull request."""
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    protections: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By branch, in the form of PUT …/branches/{branch}/protection."""
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By id, in the form of GET …/rulesets/{id}."""
    merge_queues: dict[str, list[QueueEntry]] = field(default_factory=dict)
    """By branch, first entry first; only of queues that are not empty."""
    collaborators: dict[str, str] = field(default_factory=dict)
    """Login in lower case → read, triage, write, maintain or admin. Without any, every user is an administrator."""
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    """By name in lower case."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The settings of PATCH /repos by GitHub's names, such as allow_merge_commit."""

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner}/{self.name}"

    def permission_of(self, login: str) -> str:
        """The role of a user: of the owner admin, of others as a collaborator; none for strangers."""
        if not self.collaborators or login.lower() == self.owner.lower():
            return "admin"
        return self.collaborators.get(login.lower(), "none")

    def next_number(self) -> int:
        """Takes the next number of an issue or pull request."""
        self.last_number += 1
        return self.last_number

    def pulls(self) -> list[Issue]:
        """The pull requests, newest first."""
        return [issue for issue in reversed(self.issues.values()) if issue.pull]
