"""The search of issues and pull requests: the qualifiers that gh and our own client use, and plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ml.local.github.errors import ApiError
from ml.local.github.state import Issue, Repository

_IGNORED = {"sort", "archived", "in"}


def matches(repository: Repository, issue: Issue, terms: Sequence[str]) -> bool:
    """Whether an issue meets every term; 422 for a qualifier that is not known here, rather than a wrong answer."""
    return all(_matches(repository, issue, term) for term in terms)


def _matches(repository: Repository, issue: Issue, term: str) -> bool:
    negated, term = term.startswith("-"), term.removeprefix("-")
    name, colon, value = term.partition(":")
    met = _qualifier(repository, issue, name.lower(), value) if colon and name.isalpha() else _word(issue, term)
    return met != negated


def _word(issue: Issue, word: str) -> bool:
    return word.lower() in f"{issue.title}\n{issue.body or ''}".lower()


def _qualifier(repository: Repository, issue: Issue, name: str, value: str) -> bool:
    pull = issue.pull
    wanted = value.lower()
    if name in _IGNORED:
        return True
    flags = {
        "open": issue.state == "open",
        "closed": issue.state == "closed",
        "issue": pull is None,
        "pr": pull is not None,
        "pull-request": pull is not None,
        "merged": pull is not None and pull.merged is not None,
        "unmerged": pull is not None and pull.merged is None,
        "draft": pull is not None and pull.draft,
        "public": not repository.private,
        "private": repository.private,
    }
    tests = {
        "repo": lambda: repository.full_name.lower() == wanted,
        "user": lambda: repository.owner.lower() == wanted,
        "org": lambda: repository.owner.lower() == wanted,
        "is": lambda: flags[wanted],
        "type": lambda: flags[wanted],
        "state": lambda: issue.state == wanted,
        "author": lambda: (
            issue.author.lower().removesuffix("[bot]") == wanted.removeprefix("app/").removesuffix("[bot]")
        ),
        "assignee": lambda: wanted in {login.lower() for login in issue.assignees},
        "label": lambda: wanted in {label.lower() for label in issue.labels},
        "head": lambda: pull is not None and pull.head_ref == value,
        "base": lambda: pull is not None and pull.base_ref == value,
        "draft": lambda: pull is not None and pull.draft == (wanted == "true"),
        "sha": lambda: pull is not None and pull.head_sha.startswith(wanted),
    }
    try:
        return tests[name]()
    except KeyError:
        raise ApiError(422, f"The local GitHub does not search by {name}:{value}") from None
