"""Reads and posts commit statuses. GitHub keeps every status; the latest of a context counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Repository import Repository

State = Literal["error", "failure", "pending", "success"]

DESCRIPTION_LIMIT = 140
CI = "fraudops/ci"
TRAINING = "fraudops/training"


@dataclass(frozen=True, kw_only=True)
class Status:
    """A commit status of one context."""

    context: str
    state: State
    description: str
    target_url: str | None
    created: datetime


def set_status(
    github: GitHub, sha: str, *, context: str, state: State, description: str, target_url: str | None = None
) -> None:
    """Posts a status on the commit `sha`. A description over GitHub's limit is shortened with an ellipsis."""
    content = {"state": state, "context": context, "description": shorten(description)}
    if target_url:
        content["target_url"] = target_url

    def operation(repository: Repository) -> None:
        repository.requester.requestJsonAndCheck("POST", f"{repository.url}/statuses/{sha}", input=content)

    github.run(f"posting {context} on {sha[:12]}", operation)


def status(github: GitHub, sha: str, context: str) -> Status | None:
    """The latest status of `context` on the commit `sha`; None if it has none."""
    return github.run(
        f"reading {context} on {sha[:12]}", lambda repository: next(_statuses(repository, sha, context), None)
    )


def history(github: GitHub, sha: str, context: str) -> list[Status]:
    """All statuses of `context` on the commit `sha`, latest first."""
    return github.run(f"reading {context} on {sha[:12]}", lambda repository: list(_statuses(repository, sha, context)))


def _statuses(repository: Repository, sha: str, context: str) -> Iterator[Status]:
    for found in repository.get_commit(sha).get_statuses():  # newest first
        if found.context == context:
            yield Status(
                context=context,
                state=found.state,  # type: ignore[arg-type]  # GitHub's four states
                description=found.description or "",
                target_url=found.target_url,
                created=found.created_at,
            )


def shorten(text: str) -> str:
    """`text` in one line of at most 140 characters."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 1].rstrip() + "…"
