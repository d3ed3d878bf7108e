"""Opens, updates and closes issues: one open issue per cause.

A cause is known by a hidden marker in the issue's text. An issue that people closed stays closed: when the cause comes
back it gets a new one, which names the former.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops import comments, labels
from ml.gitops.github_client import GitHub, trusted
from ml.gitops.labels import Label

if TYPE_CHECKING:
    from github.Issue import Issue as Api
    from github.Repository import Repository


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue, and what `report` did to it."""

    number: int
    url: str
    title: str
    state: Literal["open", "closed"]
    outcome: Literal["created", "commented", "kept", "closed", "found"]


def report(github: GitHub, *, cause: str, label: Label, title: str, body: str, occurrence: str | None = None) -> Issue:
    """Opens the issue of `cause`, or comments on the one that is open.

    Args:
        cause: letters, digits and dashes: what happened, but not when, as `gate failed`.
        label: marks every issue of this kind, and is how they are found.
        occurrence: this time, as an execution's id; told again (a re-run), it changes its comment in place. If None,
            the cause as a whole has one comment for all later times.
    """
    again = f"again {occurrence}" if occurrence else "again"
    first = f"{comments.hidden(again)}\n" if occurrence else ""
    text = comments.fitted(f"{comments.hidden(cause)}\n{first}{body}")

    def errand(repository: Repository) -> tuple[Issue, bool]:
        ours = _ours(repository, label, cause, "open")
        if ours:
            # Opened by this very occurrence: a re-run has nothing to add.
            told = comments.same(ours[0].body, text) or _line(ours[0], 1) == comments.hidden(again)
            return _issue(ours[0], "kept"), told
        former = _ours(repository, label, cause, "closed")
        note = f"\n\nIt happened before: #{max(each.number for each in former)}." if former else ""
        names = labels.ensure(repository, [label])
        made = repository.create_issue(title, body=comments.fitted(text + note), labels=names)
        return _issue(made, "created"), True

    issue, told = github.run(f"reporting {cause}", errand)
    if told:
        return issue
    comment = comments.upsert(github, issue.number, again, body)
    return Issue(
        number=issue.number,
        url=issue.url,
        title=issue.title,
        state=issue.state,
        outcome="kept" if comment.state == "kept" else "commented",
    )


def find(github: GitHub, *, cause: str, label: Label) -> Issue | None:
    """The open issue of `cause`, the oldest if there are several."""

    def errand(repository: Repository) -> Issue | None:
        ours = _ours(repository, label, cause, "open")
        return _issue(ours[0], "found") if ours else None

    return github.run(f"looking for the issue of {cause}", errand)


def closed_texts(github: GitHub, *, cause: str, label: Label) -> list[str]:
    """What the issues of `cause` that are closed said, whoever closed them; the oldest first."""

    def errand(repository: Repository) -> list[str]:
        return [issue.body or "" for issue in _ours(repository, label, cause, "closed")]

    return github.run(f"reading the closed issues of {cause}", errand)


def close(github: GitHub, *, cause: str, label: Label, comment: str) -> list[Issue]:
    """Closes what is open about `cause`, each with a word on why; none is open: nothing happens."""

    def listed(repository: Repository) -> list[int]:
        return [each.number for each in _ours(repository, label, cause, "open")]

    closed = []
    for number in github.run(f"looking for the issue of {cause}", listed):
        comments.upsert(github, number, "resolved", comment)
        closed.append(_close(github, number))
    return closed


def _close(github: GitHub, number: int) -> Issue:
    def errand(repository: Repository) -> Issue:
        issue = repository.get_issue(number)
        issue.edit(state="closed", state_reason="completed")
        return _issue(issue, "closed")

    return github.run(f"closing #{number}", errand)


def _ours(repository: Repository, label: Label, cause: str, state: str) -> Sequence[Api]:
    """By list, not by search: GitHub's search lags behind what was just written."""
    found = [
        issue
        for issue in repository.get_issues(state=state, labels=[label.name])
        if issue.pull_request is None
        and _line(issue, 0) == comments.hidden(cause)
        and trusted(issue.user, issue.author_association)
    ]
    return sorted(found, key=lambda issue: issue.number)


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
