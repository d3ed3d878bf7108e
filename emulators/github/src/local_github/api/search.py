"""Searches issues and pull requests by the qualifiers that gh and PyGithub use, and plain words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from local_github.domain.records import Issue, Repository
from local_github.errors import ApiError

_IGNORED = {"sort", "archived", "in"}
_CONNECTIVES = {"(", ")", "AND"}  # gh groups the user's query; all terms must match anyway


def parse_query(query: str, login: str) -> list[str]:
    """The terms of a query, with @me replaced by `login`; 422 if it is malformed or contains OR or NOT."""
    try:
        terms = [term for term in shlex.split(query) if term not in _CONNECTIVES]
    except ValueError:
        raise ApiError(422, "The search is not well formed.") from None
    if "OR" in terms or "NOT" in terms:
        raise ApiError(422, "The GitHub emulator does not search with OR and NOT")
    return [f"{term.removesuffix('@me')}{login}" if term.endswith(":@me") else term for term in terms]


def _issue_matches(repository: Repository, issue: Issue, terms: Sequence[str]) -> bool:
    """Whether an issue matches every term; 422 for an unsupported qualifier."""
    return all(_matches(repository, issue, term) for term in terms)


def _matches(repository: Repository, issue: Issue, term: str) -> bool:
    negated, term = term.startswith("-"), term.removeprefix("-")
    name, colon, value = term.partition(":")
    matched = (
        _qualifier(repository, issue, name.lower(), value)
        if colon and name.replace("-", "").isalpha()
        else _word(issue, term)
    )
    return matched != negated


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
        raise ApiError(422, f"The GitHub emulator does not search by {name}:{value}") from None


def search_issues(repositories: Iterable[Repository], terms: Sequence[str]) -> list[tuple[Repository, Issue]]:
    """The matching issues and pull requests of `repositories`, newest first within each."""
    return [
        (repository, issue)
        for repository in repositories
        for issue in reversed(repository.issues.values())
        if _issue_matches(repository, issue, terms)
    ]
