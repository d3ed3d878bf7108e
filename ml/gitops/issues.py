"""Opens, updates and closes issues: one open issue per cause.

A hidden marker in the issue's text identifies the cause. A closed issue is never reopened: if the cause recurs, a new
issue links the closed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops import comments, labels
from ml.gitops.github_client import GitHub, is_trusted_author
from ml.gitops.labels import Label

if TYPE_CHECKING:
    from github.Issue import Issue as Api
    from github.Repository import Repository


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue; `outcome` says what this module did to it."""

    number: int
    url: str
    title: str
    state: Literal["open", "closed"]
    outcome: Literal["created", "commented", "kept", "closed", "found"]


def report(github: GitHub, *, cause: str, label: Label, title: str, body: str, occurrence: str | None = None) -> Issue:
    """Opens the issue of `cause`, or comments on the open one.

    Args:
        cause: what happened, without a time, e.g. `gate failed`; letters, digits, spaces and dashes.
        label: set on every issue of this kind and used to list them.
        occurrence: id of this occurrence, e.g. of an execution. A re-run updates its comment in place. If None, all
            later occurrences share one comment.
    """
    again = f"again {occurrence}" if occurrence else "again"
    first = f"{comments.marker_line(again)}\n" if occurrence else ""
    text = comments.truncate(f"{comments.marker_line(cause)}\n{first}{body}")

    def operation(repository: Repository) -> tuple[Issue, bool]:
        ours = _list_issues(repository, label, cause, "open")
        if ours:
            # This occurrence opened the issue: a re-run has nothing to add.
            reported = comments.is_same_text(ours[0].body, text) or _line(ours[0], 1) == comments.marker_line(again)
            return _issue(ours[0], "kept"), reported
        former = _list_issues(repository, label, cause, "closed")
        note = f"\n\nEarlier issue: #{max(issue.number for issue in former)}." if former else ""
        names = labels.ensure(repository, [label])
        created = repository.create_issue(title, body=comments.truncate(text + note), labels=names)
        return _issue(created, "created"), True

    issue, reported = github.run(f"reporting {cause}", operation)
    if reported:
        return issue
    comment = comments.upsert(github, issue.number, again, body)
    return Issue(
        number=issue.number,
        url=issue.url,
        title=issue.title,
        state=issue.state,
        outcome="kept" if comment.state == "kept" else "commented",
    )


def ensure_open(github: GitHub, *, cause: str, label: Label, title: str, body: str) -> Issue:
    """The open issue of `cause`, unchanged; opens it with `title` and `body` if there is none."""
    return find(github, cause=cause, label=label) or report(github, cause=cause, label=label, title=title, body=body)


def find(github: GitHub, *, cause: str, label: Label) -> Issue | None:
    """The open issue of `cause`, the oldest if there are several."""

    def operation(repository: Repository) -> Issue | None:
        ours = _list_issues(repository, label, cause, "open")
        return _issue(ours[0], "found") if ours else None

    return github.run(f"looking for the issue of {cause}", operation)


def open_texts(github: GitHub, *, cause: str, label: Label) -> tuple[Issue, list[str]] | None:
    """The open issue of `cause` with its body and, oldest first, its trusted comments; None if there is none."""

    def operation(repository: Repository) -> tuple[Issue, list[str]] | None:
        ours = _list_issues(repository, label, cause, "open")
        if not ours:
            return None
        trusted = [
            comment.body or ""
            for comment in ours[0].get_comments()
            if is_trusted_author(comment.user, comment.author_association)
        ]
        return _issue(ours[0], "found"), [ours[0].body or "", *trusted]

    return github.run(f"reading the issue of {cause}", operation)


def closed_bodies(github: GitHub, *, cause: str, label: Label) -> list[str]:
    """The bodies of the closed issues of `cause`, oldest first."""

    def operation(repository: Repository) -> list[str]:
        return [issue.body or "" for issue in _list_issues(repository, label, cause, "closed")]

    return github.run(f"reading the closed issues of {cause}", operation)


def close(github: GitHub, *, cause: str, label: Label, comment: str) -> list[Issue]:
    """Closes the open issues of `cause`, each with `comment`; returns the closed ones."""

    def open_numbers(repository: Repository) -> list[int]:
        return [issue.number for issue in _list_issues(repository, label, cause, "open")]

    closed = []
    for number in github.run(f"looking for the issue of {cause}", open_numbers):
        comments.upsert(github, number, "resolved", comment)
        closed.append(_close(github, number))
    return closed


def _close(github: GitHub, number: int) -> Issue:
    def operation(repository: Repository) -> Issue:
        issue = repository.get_issue(number)
        issue.edit(state="closed", state_reason="completed")
        return _issue(issue, "closed")

    return github.run(f"closing #{number}", operation)


def _list_issues(repository: Repository, label: Label, cause: str, state: str) -> Sequence[Api]:
    """Lists instead of searching, because GitHub's search index lags behind writes."""
    issues = [
        issue
        for issue in repository.get_issues(state=state, labels=[label.name])
        if issue.pull_request is None
        and _line(issue, 0) == comments.marker_line(cause)
        and is_trusted_author(issue.user, issue.author_association)
    ]
    return sorted(issues, key=lambda issue: issue.number)


def _line(issue: Api, index: int) -> str:
    lines = (issue.body or "").splitlines()
    return lines[index].strip() if len(lines) > index else ""


def _issue(issue: Api, outcome: Literal["created", "commented", "kept", "closed", "found"]) -> Issue:
    return Issue(
        number=issue.number,
        url=issue.html_url,
        title=issue.title,
        state="open" if issue.state == "open" else "closed",
        outcome=outcome,
    )
