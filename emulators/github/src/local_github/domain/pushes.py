"""Records ref updates: emits GitHub's push event, then updates the pull requests of the branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_github.clock import to_utc
from local_github.domain import pull_requests
from local_github.domain.changed_files import COMMITS_LIMIT, changed_files
from local_github.domain.emitter import Emitter
from local_github.domain.records import Repository
from local_github.domain.tokens import Principal
from local_github.git.output_parser import ZERO, Commit, Person
from local_github.serializers.base import Serializer

_PAYLOAD_COMMITS = 2048  # GitHub's limit for a push payload
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True)
class RefUpdate:
    """A ref that moved from `before` to `after`; ZERO means that it was created or deleted."""

    ref: str
    before: str
    after: str


def record(emitter: Emitter, repository: Repository, update: RefUpdate, principal: Principal) -> None:
    """Emits the push event of a branch or tag that moved and updates the pull requests of the branch."""
    if not update.ref.startswith((_HEADS, _TAGS)) or update.before == update.after:
        return
    commits = _new_commits(repository, update)
    emitter.emit(
        "push",
        repository,
        principal,
        ref=update.ref,
        sha=update.after,
        before=update.before,
        payload=_payload(emitter.serializer, repository, commits, update, principal),
        changed_files=_changed_files(repository, update, commits),
        diff_too_large=len(commits) > COMMITS_LIMIT,
    )
    if update.ref.startswith(_HEADS):
        branch = update.ref.removeprefix(_HEADS)
        pull_requests.update_after_push(emitter, repository, branch, update.before, update.after, principal=principal)


def _new_commits(repository: Repository, update: RefUpdate) -> list[Commit]:
    """The commits of a push, oldest first; for a new ref, those that no other branch has."""
    git = repository.git
    if update.after == ZERO or git.kind(update.after) not in {"commit", "tag"}:
        return []
    limit = f"--max-count={_PAYLOAD_COMMITS}"
    if update.before != ZERO:
        return git.commits("--reverse", limit, f"{update.before}..{update.after}")
    others = [sha for name, sha in git.refs().items() if name != update.ref]
    return git.commits("--reverse", "--topo-order", limit, update.after, "--not", *others)


def _changed_files(repository: Repository, update: RefUpdate, commits: list[Commit]) -> tuple[str, ...]:
    """What `paths:` compares: before to after; for a new branch, from the parent of its oldest commit."""
    if update.after == ZERO or update.ref.startswith(_TAGS):
        return ()
    if update.before != ZERO:
        return changed_files(repository, update.before, update.after)
    if not commits:
        return ()
    oldest = commits[0]
    start = oldest.parents[0] if oldest.parents else repository.git.write_tree(None, [])
    return changed_files(repository, start, update.after)


def commit_json(serializer: Serializer, repository: Repository, commit: Commit) -> dict[str, Any]:
    """A commit as the payloads of events show it."""
    git = repository.git
    start = commit.parents[0] if commit.parents else git.write_tree(None, [])
    changes = git.changes(start, commit.sha)
    renamed = [change for change in changes if change.status == "renamed"]

    def person(entry: Person) -> dict[str, Any]:
        account = serializer.state.user_of_email(entry.email)
        return {"name": entry.name, "email": entry.email} | ({"username": account.login} if account else {})

    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": to_utc(commit.committer.date),
        "url": serializer.page_url(repository, f"/commit/{commit.sha}"),
        "author": person(commit.author),
        "committer": person(commit.committer),
        "added": [c.path for c in changes if c.status in {"added", "copied"}] + [c.path for c in renamed],
        "removed": [c.path for c in changes if c.status == "removed"] + [c.previous for c in renamed],
        "modified": [c.path for c in changes if c.status in {"modified", "changed"}],
    }


def _payload(
    serializer: Serializer, repository: Repository, commits: list[Commit], update: RefUpdate, principal: Principal
) -> dict[str, Any]:
    git, user = repository.git, serializer.state.user(principal.login)
    before, after = update.before, update.after
    head = git.commit(after) if after != ZERO else None
    created, deleted = before == ZERO, after == ZERO
    return {
        "ref": update.ref,
        "before": before,
        "after": after,
        "base_ref": None,
        "created": created,
        "deleted": deleted,
        "forced": not created and not deleted and not git.is_ancestor(before, after),
        "compare": serializer.page_url(repository, f"/compare/{before[:12]}...{after[:12]}"),
        "commits": [commit_json(serializer, repository, commit) for commit in commits],
        "head_commit": commit_json(serializer, repository, head) if head else None,
        "pusher": {"name": user.login, "email": user.email},
    }
