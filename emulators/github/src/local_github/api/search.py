"""The search of issues and pull requests: the qualifiers that gh and our own client use, and plain words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from local_github.domain.state import Issue, Repository
from local_github.errors import ApiError

_IGNORED = {"sort", "archived", "in"}
_JOINED = {"(", ")", "AND"}  # gh groups what the user typed, and all terms must be met anyway


def terms_of(query: str, me: str) -> list[str]:
    """The terms of a search, with @me as the caller; 422 where it is not well formed or asks for alternatives."""
    try:
        terms = [term for term in shlex.split(query) if term not in _JOINED]
    except ValueError:
        raise ApiError(422, "The search is not well formed.") from None
    if "OR" in terms or "NOT" in terms:
        raise ApiError(422, "The local GitHub does not search with OR and NOT")
    return [f"{term.removesuffix('@me')}{me}" if term.endswith(":@me") else term for term in terms]


def matches(repository: Repository, issue: Issue, terms: Sequence[str]) -> bool:
    """Whether an issue meets every term; 422 for a qualifier that is not known here, rather than a wrong answer."""
    return all(_matches(repository, issue, term) for term in terms)


def _matches(repository: Repository, issue: Issue, term: str) -> bool:
    negated, term = term.startswith("-"), term.removeprefix("-")
    name, colon, value = term.partition(":")
    met = (
        _qualifier(repository, issue, name.lower(), value)
        if colon and name.replace("-", "").isalpha()
        else _word(issue, term)
    )
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
        "mentions": lambda: f"@{wanted}" in (issue.body or "").lower(),
        "review-requested": lambda: pull is not None and wanted in {login.lower() for login in pull.reviewers},
        "user-review-requested": lambda: pull is not None and wanted in {login.lower() for login in pull.reviewers},
        "sha": lambda: pull is not None and pull.head_sha.startswith(wanted),
    }
    try:
        return tests[name]()
    except KeyError:
        raise ApiError(422, f"The local GitHub does not search by {name}:{value}") from None
