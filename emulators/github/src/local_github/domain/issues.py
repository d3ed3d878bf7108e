"""Creates and changes issues, comments and labels, and emits GitHub's events.

Callers hold the backend's lock and have checked the caller's permissions.
"""

from __future__ import annotations

from typing import Any

from local_github.domain import pull_requests
from local_github.domain.emitter import Emitter
from local_github.domain.in_memory_store import State
from local_github.domain.records import Comment, Issue, Label, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError
from local_github.serializers import issues as serialize


def _emit(
    emitter: Emitter, repository: Repository, issue: Issue, action: str, principal: Principal, **payload: Any
) -> None:
    """Emits an issue's event, or a pull request's if the issue is one."""
    if issue.pull:
        pull_requests.emit(emitter, repository, issue, action, principal, **payload)
        return
    payload = {"issue": serialize.issue(emitter.serializer, repository, issue), **payload}
    emitter.emit_on_default_branch("issues", repository, principal, action=action, payload=payload)


def open_issue(
    emitter: Emitter, repository: Repository, principal: Principal, *, title: str, body: str | None
) -> Issue:
    """Opens an issue."""
    moment = emitter.state.now()
    issue = Issue(
        id=emitter.state.new_id(),
        number=repository.next_number(),
        title=title,
        body=body,
        author=principal.login,
        created=moment,
        updated=moment,
    )
    repository.issues[issue.number] = issue
    _emit(emitter, repository, issue, "opened", principal)
    return issue


def set_state(
    emitter: Emitter,
    repository: Repository,
    issue: Issue,
    wanted: str,
    principal: Principal,
    *,
    reason: str | None = None,
) -> None:
    """Closes or reopens an issue (not a pull request); does nothing if it has that state already."""
    if wanted == issue.state:
        return
    closed = wanted == "closed"
    issue.state = "closed" if closed else "open"
    issue.closed, issue.closed_by = (emitter.state.now(), principal.login) if closed else (None, None)
    issue.reason = (reason or "completed") if closed else "reopened"
    emitter.state.touch(issue)
    _emit(emitter, repository, issue, "closed" if closed else "reopened", principal)


def add_comment(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal, body: str) -> Comment:
    """Adds a comment to an issue or pull request."""
    moment = emitter.state.now()
    comment = Comment(id=emitter.state.new_id(), author=principal.login, body=body, created=moment, updated=moment)
    issue.comments.append(comment)
    emitter.state.touch(issue)
    serializer = emitter.serializer
    payload = {
        "issue": serialize.issue(serializer, repository, issue),
        "comment": serialize.comment(serializer, repository, issue, comment),
    }
    emitter.emit_on_default_branch("issue_comment", repository, principal, action="created", payload=payload)
    return comment


def find_comment(repository: Repository, number: int) -> tuple[Issue, Comment] | None:
    """The comment with that id and its issue."""
    for issue in repository.issues.values():
        for comment in issue.comments:
            if comment.id == number:
                return issue, comment
    return None


def ensure_label(state: State, repository: Repository, name: str) -> str:
    """The label's name as spelt in the repository; creates a missing label, as GitHub does."""
    for known in repository.labels:
        if known.lower() == name.lower():
            return known
    if len(name) > 50:
        raise ApiError(422, "Label names are limited to 50 characters")
    repository.labels[name] = Label(id=state.new_id(), name=name)
    return name


def set_labels(emitter: Emitter, repository: Repository, issue: Issue, names: list[str], principal: Principal) -> None:
    """Replaces an issue's labels; emits an event for each label added or removed."""
    wanted = list(dict.fromkeys(ensure_label(emitter.state, repository, name) for name in names))
    before, issue.labels = issue.labels, wanted
    for action, changed in (
        ("labeled", [name for name in wanted if name not in before]),
        ("unlabeled", [name for name in before if name not in wanted]),
    ):
        for name in changed:
            emitter.state.touch(issue)
            known = name in repository.labels
            label = serialize.label(emitter.serializer, repository, name) if known else {"name": name}
            _emit(emitter, repository, issue, action, principal, label=label)
