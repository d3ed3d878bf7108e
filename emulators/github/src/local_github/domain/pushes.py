"""What follows when a ref has moved: the push event in GitHub's shape, then what it means for pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_github.api.shapes import Shapes, utc
from local_github.domain import pull_requests
from local_github.domain.events import Event
from local_github.domain.state import Repository
from local_github.domain.tokens import Principal
from local_github.git.bare_repository import ZERO, Commit

if TYPE_CHECKING:
    from local_github.server import LocalGitHub

_MOST_COMMITS = 2048  # GitHub's own limit for a push's payload
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


def pushed(
    github: LocalGitHub, repository: Repository, ref: str, before: str, after: str, *, principal: Principal
) -> None:
    """Tells the workflows of a branch or tag that has moved, and brings pull requests up to it."""
    if not ref.startswith((_HEADS, _TAGS)) or before == after:
        return
    commits = _new_commits(repository, ref, before, after)
    github.emit(
        Event(
            name="push",
            repository=repository.full_name,
            ref=ref,
            sha=after,
            before=before,
            payload=_payload(github, repository, commits, ref=ref, before=before, after=after, principal=principal),
            changed_files=_changed(repository, ref, before, after, commits),
            actor=principal.login,
            from_workflow_token=principal.is_workflow,
        )
    )
    if ref.startswith(_HEADS):
        pull_requests.moved(github, repository, ref.removeprefix(_HEADS), before, after, principal=principal)


def _new_commits(repository: Repository, ref: str, before: str, after: str) -> list[Commit]:
    """The commits that a push brought, oldest first: those that no other branch had, where the ref is new."""
    git = repository.git
    if after == ZERO or git.kind(after) not in {"commit", "tag"}:
        return []
    limit = f"--max-count={_MOST_COMMITS}"
    if before != ZERO:
        return git.commits("--reverse", limit, f"{before}..{after}")
    others = [sha for name, sha in git.refs().items() if name != ref]
    return git.commits("--reverse", "--topo-order", limit, after, "--not", *others)


def _changed(repository: Repository, ref: str, before: str, after: str, commits: list[Commit]) -> tuple[str, ...]:
    """What `paths:` compares: before to after; of a new branch, from the parent of the oldest commit it brought."""
    if after == ZERO or ref.startswith(_TAGS):
        return ()
    if before != ZERO:
        return pull_requests.paths(repository, before, after)
    if not commits:
        return ()
    oldest = commits[0]
    start = oldest.parents[0] if oldest.parents else repository.git.write_tree(None, [])
    return pull_requests.paths(repository, start, after)


def _commit(shapes: Shapes, repository: Repository, commit: Commit) -> dict[str, Any]:
    git = repository.git
    start = commit.parents[0] if commit.parents else git.write_tree(None, [])
    changes = git.changes(start, commit.sha)
    renamed = [change for change in changes if change.status == "renamed"]

    def named(person: Any) -> dict[str, Any]:
        account = shapes.state.user_of_email(person.email)
        return {"name": person.name, "email": person.email} | ({"username": account.login} if account else {})

    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": utc(commit.committer.date),
        "url": shapes.page(repository, f"/commit/{commit.sha}"),
        "author": named(commit.author),
        "committer": named(commit.committer),
        "added": [c.path for c in changes if c.status in {"added", "copied"}] + [c.path for c in renamed],
        "removed": [c.path for c in changes if c.status == "removed"] + [c.previous for c in renamed],
        "modified": [c.path for c in changes if c.status in {"modified", "changed"}],
    }


def _payload(
    github: LocalGitHub,
    repository: Repository,
    commits: list[Commit],
    *,
    ref: str,
    before: str,
    after: str,
    principal: Principal,
) -> dict[str, Any]:
    shapes, git, user = github.shapes(), repository.git, github.state.user(principal.login)
    head = git.commit(after) if after != ZERO else None
    made, gone = before == ZERO, after == ZERO
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "base_ref": None,
        "created": made,
        "deleted": gone,
        "forced": not made and not gone and not git.is_ancestor(before, after),
        "compare": shapes.page(repository, f"/compare/{before[:12]}...{after[:12]}"),
        "commits": [_commit(shapes, repository, commit) for commit in commits],
        "head_commit": _commit(shapes, repository, head) if head else None,
        "repository": shapes.repository(repository),
        "pusher": {"name": user.login, "email": user.email},
        "sender": shapes.user(user.login),
    }
