"""Holds the records of one emulator in memory, with its clock and its ids.

Ids are counted per emulator, so the same calls give the same ids. The rules are in the modules that change the records;
callers hold the backend's lock.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_github.clock import Clock, system_clock, timestamp
from local_github.domain.records import Issue, Label, Repository, User
from local_github.domain.tokens import WORKFLOW_LOGIN
from local_github.errors import ApiError, custom
from local_github.git.bare_repository import BareRepository
from local_github.git.output_parser import Person

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")

# The settings of a new repository.
DEFAULT_SETTINGS: dict[str, Any] = {
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": False,
    "allow_auto_merge": False,
    "delete_branch_on_merge": False,
    "can_approve_pull_request_reviews": True,
    "default_workflow_permissions": "read",
    "use_immutable_subject": False,
    "subject_claims": (),  # of a subject template of its own; empty for the default
    "actions_enabled": True,
    "allowed_actions": "all",
    "sha_pinning_required": False,
}
DEFAULT_LABELS = {"bug": "d73a4a", "documentation": "0075ca", "enhancement": "a2eeef"}
# Ids of GitHub itself: they are part of the addresses in commits that workflows make.
ACTIONS_APP_ID = 15368  # of GitHub Actions on github.com
QUEUE_LOGIN = "github-merge-queue[bot]"
_KNOWN_IDS = {WORKFLOW_LOGIN: 41898282, "web-flow": 19864447, QUEUE_LOGIN: 118344674}


class State:
    """All records of one emulator. Callers hold the backend's lock."""

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        self.folder, self.clock = folder, clock
        self.users: dict[str, User] = {}
        self.repositories: dict[str, Repository] = {}
        self.app_ids: dict[str, int] = {"github-actions": ACTIONS_APP_ID}
        """Slug → id of an App."""
        self.immutable_subjects = False
        """Whether OIDC subjects of new repositories contain ids, as on GitHub since July 2026."""
        self._ids = itertools.count(1001)

    def now(self) -> str:
        """The current time, as records carry it."""
        return timestamp(self.clock())

    def new_id(self) -> int:
        """The next unused id."""
        return next(self._ids)

    def touch(self, issue: Issue) -> None:
        """Sets the time of an issue's last change to now."""
        issue.updated = self.now()

    def user(self, login: str) -> User:
        """The user with that login; created if unknown."""
        key = login.lower()
        if key not in self.users:
            self.users[key] = User(login=login, id=_KNOWN_IDS.get(login) or self.new_id())
        return self.users[key]

    def app_id(self, login: str) -> int | None:
        """The id of the App with that login, …[bot]; None for a user. An unknown App gets one."""
        slug = login.removesuffix("[bot]")
        if slug == login:
            return None
        if slug not in self.app_ids:
            self.app_ids[slug] = self.new_id()
        return self.app_ids[slug]

    def user_of_email(self, email: str) -> User | None:
        """The user with this noreply address; None for any other address."""
        return next((user for user in self.users.values() if user.email.lower() == email.lower()), None)

    def person(self, name: str, email: str) -> Person:
        """An author or committer at the current time."""
        return Person(name=name, email=email, date=self.now())

    def github_person(self) -> Person:
        """GitHub as the committer of commits that it makes itself."""
        return self.person("GitHub", "noreply@github.com")

    def author(self, login: str) -> Person:
        """A user as the author of a commit made through the API."""
        user = self.user(login)
        return self.person(user.login, user.email)

    def find(self, owner: str, name: str) -> Repository | None:
        """The repository owner/name; case is ignored. Requests reach folders on disk only through here."""
        return self.repositories.get(f"{owner}/{name}".lower())

    def named(self, full_name: str) -> Repository:
        """The repository owner/name, which must exist."""
        return self.repositories[full_name.lower()]

    def create(
        self, full_name: str, *, default_branch: str = "main", private: bool = False, parent: Repository | None = None
    ) -> Repository:
        """Creates a repository, empty or a fork of `parent`; 422 if the name is taken or invalid."""
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
        git = BareRepository.create(path, default_branch=default_branch, source=parent.git if parent else None)
        repository = Repository(
            id=self.new_id(),
            owner=owner,
            owner_id=self.user(owner).id,
            name=name,
            default_branch=default_branch,
            private=private,
            parent=parent.full_name if parent else None,
            created=self.now(),
            git=git,
            settings={**DEFAULT_SETTINGS, "use_immutable_subject": self.immutable_subjects},
        )
        for label, color in DEFAULT_LABELS.items():
            repository.labels[label] = Label(id=self.new_id(), name=label, color=color)
        self.repositories[full_name.lower()] = repository
        return repository

    def journal(self) -> dict[str, Any]:
        """All records as JSON-able data. Secrets are listed by name; Git data stays in the bare repositories."""
        repositories = []
        for repository in self.repositories.values():
            git, repository.git = repository.git, None  # type: ignore[assignment]  # asdict would copy it
            record = asdict(repository)
            repository.git = git
            record["secrets"] = sorted(record.pop("secrets"))
            for environment in record["environments"].values():
                environment["secrets"] = sorted(environment.pop("secrets"))
            repositories.append(record | {"git": git.path.relative_to(self.folder).as_posix()})
        return {"users": [asdict(user) for user in self.users.values()], "repositories": repositories}
