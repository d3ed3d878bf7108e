"""Issues, comments and labels: created and changed, with the events that GitHub emits.

Callers hold the server's lock and have checked that the caller may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_github.domain.events import Event
from local_github.domain.pull_requests import emit as emit_pull
from local_github.domain.pull_requests import new_number
from local_github.domain.state import Comment, Issue, Label, Repository, now
from local_github.domain.tokens import Principal
from local_github.errors import ApiError

if TYPE_CHECKING:
    from local_github.server import LocalGitHub


def emit(
    github: LocalGitHub,
    repository: Repository,
    issue: Issue,
    action: str,
    principal: Principal,
    *,
    name: str = "issues",
    **more: Any,
) -> None:
    """Tells the workflows of an issue's event; a pull request's where it is one."""
    if issue.pull and name == "issues":
        emit_pull(github, repository, issue, action, principal, **more)
        return
    shapes, branch = github.shapes(), repository.default_branch
    github.emit(
        Event(
            name=name,
            action=action,
            repository=repository.full_name,
            ref=f"refs/heads/{branch}",
            sha=repository.git.branch(branch) or "",
            payload={
                "action": action,
                "issue": shapes.issue(repository, issue),
                "repository": shapes.repository(repository),
                "sender": shapes.user(principal.login),
                **more,
            },
            actor=principal.login,
            from_workflow_token=principal.is_workflow,
        )
    )


def open_issue(
    github: LocalGitHub, repository: Repository, principal: Principal, *, title: str, body: str | None
) -> Issue:
    """Opens an issue."""
    moment = now()
    issue = Issue(
        id=github.state.new_id(),
        number=new_number(repository),
        title=title,
        body=body,
        author=principal.login,
        created=moment,
        updated=moment,
    )
    repository.issues[issue.number] = issue
    emit(github, repository, issue, "opened", principal)
    return issue


def set_state(
    github: LocalGitHub,
    repository: Repository,
    issue: Issue,
    state: str,
    principal: Principal,
    *,
    reason: str | None = None,
) -> None:
    """Closes an issue (not a pull request) or opens it again; nothing where it is so already."""
    if state == issue.state:
        return
    closed = state == "closed"
    issue.state = "closed" if closed else "open"
    issue.closed, issue.closed_by = (now(), principal.login) if closed else (None, None)
    issue.reason = (reason or "completed") if closed else "reopened"
    issue.touch()
    emit(github, repository, issue, "closed" if closed else "reopened", principal)


def comment(github: LocalGitHub, repository: Repository, issue: Issue, principal: Principal, body: str) -> Comment:
    """Adds a comment."""
    moment = now()
    made = Comment(id=github.state.new_id(), author=principal.login, body=body, created=moment, updated=moment)
    issue.comments.append(made)
    issue.touch()
    shape = github.shapes().comment(repository, issue, made)
    emit(github, repository, issue, "created", principal, name="issue_comment", comment=shape)
    return made


def find_comment(repository: Repository, number: int) -> tuple[Issue, Comment] | None:
    """The comment with that id, and the issue that it is on."""
    for issue in repository.issues.values():
        for candidate in issue.comments:
            if candidate.id == number:
                return issue, candidate
    return None


def ensure_label(github: LocalGitHub, repository: Repository, name: str) -> str:
    """The label's name as it is spelt here; a label that is not there is made, as GitHub does."""
    for known in repository.labels:
        if known.lower() == name.lower():
            return known
    if len(name) > 50:
        raise ApiError(422, "Label names are limited to 50 characters")
    repository.labels[name] = Label(id=github.state.new_id(), name=name)
    return name


def set_labels(
    github: LocalGitHub, repository: Repository, issue: Issue, names: list[str], principal: Principal
) -> None:
    """Gives an issue exactly these labels; an event for each that comes or goes."""
    wanted = list(dict.fromkeys(ensure_label(github, repository, name) for name in names))
    before, issue.labels = issue.labels, wanted
    for action, changed in (
        ("labeled", [name for name in wanted if name not in before]),
        ("unlabeled", [name for name in before if name not in wanted]),
    ):
        for name in changed:
            issue.touch()
            shape = github.shapes().label(repository, name) if name in repository.labels else {"name": name}
            emit(github, repository, issue, action, principal, label=shape)
