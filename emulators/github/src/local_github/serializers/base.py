"""Serializes users, repositories and Git objects. Addresses start with the host names that the caller used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local_github.clock import to_utc
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.git.output_parser import Change, Commit, Person

Json = dict[str, Any]


def node_id(kind: str, number: int) -> str:
    """The GraphQL id of a record."""
    return f"{kind}_{number}"


@dataclass(frozen=True)
class Links:
    """The base addresses of pages and of the API, as the caller reaches them; no trailing slash."""

    html: str
    api: str


@dataclass(frozen=True)
class Serializer:
    """Serializes users, repositories and Git objects for one caller."""

    state: State
    links: Links

    def user(self, login: str) -> Json:
        """A user in short form."""
        user = self.state.user(login)
        return {
            "login": user.login,
            "id": user.id,
            "node_id": node_id("U", user.id),
            "avatar_url": "",
            "url": f"{self.links.api}/users/{quote(user.login)}",
            "html_url": f"{self.links.html}/{quote(user.login)}",
            "type": user.kind,
            "site_admin": False,
        }

    def api_url(self, repository: Repository, rest: str = "") -> str:
        """The API address of a repository, or of a resource below it."""
        return f"{self.links.api}/repos/{repository.full_name}{rest}"

    def page_url(self, repository: Repository, rest: str = "") -> str:
        """The page of a repository, or a page below it."""
        return f"{self.links.html}/{repository.full_name}{rest}"

    def repository(self, repository: Repository) -> Json:
        """A repository."""
        url, page = self.api_url(repository), self.page_url(repository)
        parent = self.state.named(repository.parent) if repository.parent else None
        flags = {name: value for name, value in repository.settings.items() if name.startswith(("allow_", "delete_"))}
        body = {
            "id": repository.id,
            "node_id": node_id("R", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "owner": self.user(repository.owner),
            "html_url": page,
            "description": repository.description,
            "fork": repository.parent is not None,
            "url": url,
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
                f"{name}_url": f"{url}/{path}"
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
            body["parent"] = body["source"] = self.repository(parent)
        return body

    # -- Git

    def git_person(self, person: Person) -> Json:
        """An author or committer of the Git database."""
        return {"name": person.name, "email": person.email, "date": to_utc(person.date)}

    def account(self, person: Person) -> Json | None:
        """The user with this noreply address, if any."""
        user = self.state.user_of_email(person.email)
        return self.user(user.login) if user else None

    def git_commit(self, repository: Repository, commit: Commit) -> Json:
        """A commit of the Git database."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self.api_url(repository, f"/git/commits/{commit.sha}"),
            "html_url": self.page_url(repository, f"/commit/{commit.sha}"),
            "author": self.git_person(commit.author),
            "committer": self.git_person(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": self.api_url(repository, f"/git/trees/{commit.tree}")},
            "parents": self._parents(repository, commit, "git/commits"),
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        }

    def _parents(self, repository: Repository, commit: Commit, route: str) -> list[Json]:
        return [
            {
                "sha": sha,
                "url": self.api_url(repository, f"/{route}/{sha}"),
                "html_url": self.page_url(repository, f"/commit/{sha}"),
            }
            for sha in commit.parents
        ]

    def commit(self, repository: Repository, commit: Commit) -> Json:
        """A commit with the accounts of author and committer."""
        inner = self.git_commit(repository, commit)
        kept = {key: inner[key] for key in ("author", "committer", "message", "tree", "verification", "url")}
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "commit": kept | {"comment_count": 0},
            "url": self.api_url(repository, f"/commits/{commit.sha}"),
            "html_url": self.page_url(repository, f"/commit/{commit.sha}"),
            "comments_url": self.api_url(repository, f"/commits/{commit.sha}/comments"),
            "author": self.account(commit.author),
            "committer": self.account(commit.committer),
            "parents": self._parents(repository, commit, "commits"),
        }

    def files(self, repository: Repository, changes: Sequence[Change], patches: Sequence[str], ref: str) -> list[Json]:
        """The changed files of a diff whose newer side is `ref`."""
        files = []
        for change, patch in zip(changes, patches, strict=True):
            path = quote(change.path)
            entry = {
                "sha": change.sha,
                "filename": change.path,
                "status": change.status,
                "additions": change.additions or 0,
                "deletions": change.deletions or 0,
                "changes": (change.additions or 0) + (change.deletions or 0),
                "blob_url": self.page_url(repository, f"/blob/{ref}/{path}"),
                "raw_url": self.page_url(repository, f"/raw/{ref}/{path}"),
                "contents_url": self.api_url(repository, f"/contents/{path}?ref={ref}"),
            }
            if patch:
                entry["patch"] = patch.rstrip("\n")
            if change.previous:
                entry["previous_filename"] = change.previous
            files.append(entry)
        return files

    def reference(self, repository: Repository, name: str, sha: str) -> Json:
        """A Git ref."""
        kind = repository.git.kind(sha)
        return {
            "ref": name,
            "node_id": f"REF_{repository.id}_{name}",
            "url": self.api_url(repository, f"/git/{quote(name)}"),
            "object": {"sha": sha, "type": kind, "url": self.api_url(repository, f"/git/{kind}s/{sha}")},
        }
