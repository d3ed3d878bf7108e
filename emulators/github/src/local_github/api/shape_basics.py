"""Users, repositories and Git's own objects as GitHub's REST API and webhooks show them.

Shapes only: nothing here changes anything. Addresses start with the bases by which the caller came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from local_github import clock
from local_github.api.router import Links
from local_github.domain import state as records
from local_github.git.bare_repository import Change, Commit, Person

Json = dict[str, Any]


def node(kind: str, number: int) -> str:
    """The GraphQL id of a record."""
    return f"{kind}_{number}"


@dataclass(frozen=True)
class BasicShapes:
    """Renders what every other shape contains, for one caller."""

    state: records.State
    links: Links

    def user(self, login: str) -> Json:
        """A user, short."""
        user = self.state.user(login)
        return {
            "login": user.login,
            "id": user.id,
            "node_id": node("U", user.id),
            "avatar_url": "",
            "url": f"{self.links.api}/users/{quote(user.login)}",
            "html_url": f"{self.links.html}/{quote(user.login)}",
            "type": user.kind,
            "site_admin": False,
        }

    def at(self, repository: records.Repository, rest: str = "") -> str:
        """An address of the API below a repository."""
        return f"{self.links.api}/repos/{repository.full_name}{rest}"

    def page(self, repository: records.Repository, rest: str = "") -> str:
        """An address of a page below a repository."""
        return f"{self.links.html}/{repository.full_name}{rest}"

    def repository(self, repository: records.Repository) -> Json:
        """A repository."""
        at, page = self.at(repository), self.page(repository)
        parent = self.state.named(repository.parent) if repository.parent else None
        flags = {name: value for name, value in repository.settings.items() if name.startswith(("allow_", "delete_"))}
        shape = {
            "id": repository.id,
            "node_id": node("R", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "owner": self.user(repository.owner),
            "html_url": page,
            "description": repository.description,
            "fork": repository.parent is not None,
            "url": at,
            "git_url": f"{page}.git",
            "clone_url": f"{page}.git",
            "ssh_url": f"{page}.git",
            "default_branch": repository.default_branch,
            "master_branch": repository.default_branch,
            "created_at": repository.created,
            "updated_at": repository.created,
            "pushed_at": repository.created,
            "archived": False,
            "disabled": False,
            "has_issues": True,
            "has_projects": False,
            "has_wiki": False,
            "open_issues_count": sum(issue.state == "open" for issue in repository.issues.values()),
            "topics": [],
            "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
            **{
                f"{name}_url": f"{at}/{path}"
                for name, path in {
                    "branches": "branches{/branch}",
                    "commits": "commits{/sha}",
                    "contents": "contents/{+path}",
                    "deployments": "deployments",
                    "issues": "issues{/number}",
                    "labels": "labels{/name}",
                    "pulls": "pulls{/number}",
                    "statuses": "statuses/{sha}",
                    "git_refs": "git/refs{/sha}",
                }.items()
            },
            **flags,
        }
        if parent:
            shape["parent"] = shape["source"] = self.repository(parent)
        return shape

    # -- Git

    def git_person(self, person: Person) -> Json:
        """An author or committer as Git has it."""
        return {"name": person.name, "email": person.email, "date": utc(person.date)}

    def account(self, person: Person) -> Json | None:
        """The user whose address this is, if GitHub gave it."""
        user = self.state.user_of_email(person.email)
        return self.user(user.login) if user else None

    def git_commit(self, repository: records.Repository, commit: Commit) -> Json:
        """A commit of the Git database."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self.at(repository, f"/git/commits/{commit.sha}"),
            "html_url": self.page(repository, f"/commit/{commit.sha}"),
            "author": self.git_person(commit.author),
            "committer": self.git_person(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": self.at(repository, f"/git/trees/{commit.tree}")},
            "parents": self._parents(repository, commit, "git/commits"),
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        }

    def _parents(self, repository: records.Repository, commit: Commit, route: str) -> list[Json]:
        return [
            {
                "sha": sha,
                "url": self.at(repository, f"/{route}/{sha}"),
                "html_url": self.page(repository, f"/commit/{sha}"),
            }
            for sha in commit.parents
        ]

    def commit(self, repository: records.Repository, commit: Commit) -> Json:
        """A commit with the accounts behind it."""
        inner = self.git_commit(repository, commit)
        kept = {key: inner[key] for key in ("author", "committer", "message", "tree", "verification", "url")}
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "commit": kept | {"comment_count": 0},
            "url": self.at(repository, f"/commits/{commit.sha}"),
            "html_url": self.page(repository, f"/commit/{commit.sha}"),
            "comments_url": self.at(repository, f"/commits/{commit.sha}/comments"),
            "author": self.account(commit.author),
            "committer": self.account(commit.committer),
            "parents": self._parents(repository, commit, "commits"),
        }

    def files(
        self, repository: records.Repository, changes: Sequence[Change], patches: Sequence[str], ref: str
    ) -> list[Json]:
        """The files of a difference whose newer side is `ref`."""
        shapes = []
        for change, patch in zip(changes, patches, strict=True):
            path = quote(change.path)
            shape = {
                "sha": change.sha,
                "filename": change.path,
                "status": change.status,
                "additions": change.additions or 0,
                "deletions": change.deletions or 0,
                "changes": (change.additions or 0) + (change.deletions or 0),
                "blob_url": self.page(repository, f"/blob/{ref}/{path}"),
                "raw_url": self.page(repository, f"/raw/{ref}/{path}"),
                "contents_url": self.at(repository, f"/contents/{path}?ref={ref}"),
            }
            if patch:
                shape["patch"] = patch.rstrip("\n")
            if change.previous:
                shape["previous_filename"] = change.previous
            shapes.append(shape)
        return shapes

    def reference(self, repository: records.Repository, name: str, sha: str) -> Json:
        """A Git ref."""
        kind = repository.git.kind(sha)
        return {
            "ref": name,
            "node_id": f"REF_{repository.id}_{name}",
            "url": self.at(repository, f"/git/{quote(name)}"),
            "object": {"sha": sha, "type": kind, "url": self.at(repository, f"/git/{kind}s/{sha}")},
        }


def utc(date: str) -> str:
    """An ISO 8601 time as GitHub writes it, in UTC with a Z."""
    return clock.stamp(datetime.fromisoformat(date))
