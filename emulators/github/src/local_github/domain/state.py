"""What the local GitHub remembers beside Git: users, repositories, issues and pull requests, statuses, deployments.

Plain records with ids counted per server, so that the same calls give the same ids. No rules: those are in the modules
that change them, each under the server's lock. Git's own state is never copied here, except where GitHub pins it (the
head of a pull request after its branch is gone).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from local_github import clock
from local_github.domain.tokens import WORKFLOW_LOGIN
from local_github.errors import ApiError, custom
from local_github.git.bare_repository import Bare

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


def now() -> str:
    """The time that records carry."""
    return clock.stamp(clock.now())


@dataclass(kw_only=True)
class User:
    """Someone who acts: a person, an organisation that owns, or an App."""

    login: str
    id: int

    @property
    def kind(self) -> str:
        """GitHub's `type`."""
        return "Bot" if self.login.endswith("[bot]") else "User"

    @property
    def email(self) -> str:
        """The address that GitHub gives to commits made on its pages."""
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
    """A review of a pull request; `state` is APPROVED, CHANGES_REQUESTED, COMMENTED or PENDING."""

    id: int
    author: str
    body: str
    state: str
    sha: str
    submitted: str


@dataclass(kw_only=True)
class Pull:
    """What a pull request has beside being an issue."""

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
    """The merge commit; while open, that of refs/pull/N/merge, None where it conflicts."""
    mergeable: bool | None = None
    reviews: list[Review] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    maintainer_can_modify: bool = False


@dataclass(kw_only=True)
class Issue:
    """An issue; with `pull`, a pull request."""

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

    def touch(self) -> None:
        """Notes that it changed now."""
        self.updated = now()


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
    """A check run that an App made."""

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
    """A deployment and how it went."""

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
    git: Bare
    description: str | None = None
    numbers: int = 0
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    protections: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """What PATCH /repos sets: allow_merge_commit and others, by GitHub's names."""

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner}/{self.name}"

    def pulls(self) -> list[Issue]:
        """Its pull requests, newest first."""
        return [issue for issue in reversed(self.issues.values()) if issue.pull]


# What GitHub creates every repository with, as far as anything here asks.
DEFAULT_SETTINGS: dict[str, Any] = {
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": False,
    "delete_branch_on_merge": False,
    "can_approve_pull_request_reviews": True,
    "default_workflow_permissions": "read",
}
DEFAULT_LABELS = {"bug": "d73a4a", "documentation": "0075ca", "enhancement": "a2eeef"}
# The one id that is GitHub's own: it is in the address of every commit that a workflow makes.
_KNOWN_IDS = {WORKFLOW_LOGIN: 41898282, "web-flow": 19864447}


class State:
    """All records of one server. Callers hold the server's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users: dict[str, User] = {}
        self.repositories: dict[str, Repository] = {}
        self._ids = itertools.count(1001)

    def new_id(self) -> int:
        """The next id of this server."""
        return next(self._ids)

    def user(self, login: str) -> User:
        """The user of that login, made on first sight."""
        key = login.lower()
        if key not in self.users:
            self.users[key] = User(login=login, id=_KNOWN_IDS.get(login) or self.new_id())
        return self.users[key]

    def user_of_email(self, email: str) -> User | None:
        """Whose commits carry this address: only the addresses that GitHub itself gives are known."""
        return next((user for user in self.users.values() if user.email.lower() == email.lower()), None)

    def find(self, owner: str, name: str) -> Repository | None:
        """The repository owner/name, whatever the case; the only way from a request to a folder."""
        return self.repositories.get(f"{owner}/{name}".lower())

    def named(self, full_name: str) -> Repository:
        """The repository of that name, which is known to be there."""
        return self.repositories[full_name.lower()]

    def create(
        self, full_name: str, *, default_branch: str = "main", private: bool = False, parent: Repository | None = None
    ) -> Repository:
        """A new empty repository, or a copy of `parent`'s branches and tags; 422 where the name is taken or wrong."""
        owner, _, name = full_name.partition("/")
        if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name.lower().endswith(".git"):
            raise custom(
                "Repository", f"name must be owner/name, of letters, digits, '-', '_' and '.' (got {full_name!r})"
            )
        if full_name.lower() in self.repositories:
            raise ApiError(
                422,
                "Repository creation failed.",
                [
                    {
                        "resource": "Repository",
                        "code": "custom",
                        "field": "name",
                        "message": "name already exists on this account",
                    }
                ],
            )
        path = self.folder / "repositories" / owner / f"{name}.git"
        git = Bare.create(path, default_branch=default_branch, source=parent.git if parent else None)
        repository = Repository(
            id=self.new_id(),
            owner=owner,
            owner_id=self.user(owner).id,
            name=name,
            default_branch=default_branch,
            private=private,
            parent=parent.full_name if parent else None,
            created=now(),
            git=git,
            settings=dict(DEFAULT_SETTINGS),
        )
        for label, color in DEFAULT_LABELS.items():
            repository.labels[label] = Label(id=self.new_id(), name=label, color=color)
        self.repositories[full_name.lower()] = repository
        return repository

    def journal(self) -> dict[str, Any]:
        """Everything as JSON-able data, without secrets; Git's part stays in the bare repositories."""
        repositories = []
        for repository in self.repositories.values():
            git, repository.git = repository.git, None  # type: ignore[assignment]  # asdict copies all it meets
            record = asdict(repository)
            repository.git = git
            record["secrets"] = sorted(record.pop("secrets"))
            repositories.append(record | {"git": git.path.relative_to(self.folder).as_posix()})
        return {"users": [asdict(user) for user in self.users.values()], "repositories": repositories}
