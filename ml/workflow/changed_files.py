"""Determines which files a workflow run changes, and its pull request. Reads Git and the event; changes nothing.

A pull request's merge commit is compared with main, a push with main before the push, anything else (a dispatch, a
laptop) with the commit where its branch left main.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.errors import GitHubError
from ml.gitops.repository import Repository
from ml.workflow import runner_commands

STATE = "model-config/"

_ZERO = "0" * 40

_READ_ONLY = frozenset({"dependabot[bot]"})
"""Logins whose pull requests get a read-only token, as those of forks do."""


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request of a run."""

    number: int
    author: str
    branch: str
    head_sha: str
    """The commit of the branch that this run checks; the branch may have moved since."""
    read_only: bool
    """Whether the run's token is read-only: the pull request is from a fork, or from a bot treated like one."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The changed files, and the commit that they are compared with."""

    event: str
    """The event's name as GitHub writes it; '' outside a workflow."""
    base: str | None
    """The commit that is compared with; None if every file is new."""
    main: str | None
    """The commit of main that this would be merged into (for a push: was pushed onto); None if there is none."""
    files: Mapping[str, str]
    """By path: A, M or D."""
    forced: bool
    """Whether a push removed commits (a force push)."""

    @property
    def code(self) -> bool:
        """Whether a file outside model-config/ changed, so that tests and audits must run."""
        return any(not path.startswith(STATE) for path in self.files)


def of(repository: Repository) -> Change:
    """The changes of the checkout: its working tree (in a workflow: its commit) compared with its base."""
    name, payload = os.environ.get("GITHUB_EVENT_NAME", ""), runner_commands.event()
    if name == "push":
        return _push(repository, payload)
    parents = repository.log("HEAD", first_parent=True)[0].parents
    head = payload.get("pull_request", {}).get("head", {}).get("sha")
    if name == "pull_request" and len(parents) == 2 and parents[1] == head:
        # GitHub's test merge: its first parent is main, so the difference is what merging changes.
        base = main = parents[0]
    else:
        main = repository.resolve("refs/remotes/origin/main") or repository.commit_of("main")
        base = repository.merge_base(main, "HEAD")
    return Change(event=name, base=base, main=main, files=repository.changes(base, None), forced=False)


def _push(repository: Repository, payload: Mapping[str, Any]) -> Change:
    before = str(payload.get("before") or _ZERO)
    base = None if before == _ZERO else repository.resolve(before)
    files = repository.changes(base, None) if base else dict.fromkeys(repository.files("HEAD", "."), "A")
    return Change(event="push", base=base, main=base, files=files, forced=bool(payload.get("forced")))


def pull_request(given: int | None = None) -> PullRequest | None:
    """The pull request of this run: the event's, or the one that a dispatch names; None if there is none.

    Raises:
        GitHubError: `given` is no pull request of the branch that this runs on, or GitHub cannot be reached.
    """
    payload = runner_commands.event().get("pull_request")
    if payload is not None:
        source, author = payload["head"].get("repo") or {}, payload["user"]["login"]
        own = str(source.get("full_name", "")).lower() == os.environ.get("GITHUB_REPOSITORY", "").lower()
        return PullRequest(
            number=int(payload["number"]),
            author=author,
            branch=payload["head"]["ref"],
            head_sha=payload["head"]["sha"],
            read_only=not own or author in _READ_ONLY,
        )
    if given is None:
        return None
    from ml.gitops import pull_requests
    from ml.gitops.github_client import GitHub

    found, branch = pull_requests.get(GitHub.from_environment(), given), os.environ.get("GITHUB_REF_NAME", "")
    if found.from_fork or found.branch != branch:
        raise GitHubError(
            f"#{given} is a pull request of {found.branch}{' in a fork' if found.from_fork else ''}, and this runs on "
            f"{branch or 'no branch'}; start it on the pull request's own branch"
        )
    return PullRequest(
        number=found.number,
        author=found.author,
        branch=found.branch,
        # The checked-out commit, not the branch's present one: a later push has not been checked.
        head_sha=os.environ.get("GITHUB_SHA") or found.head_sha,
        read_only=False,
    )
