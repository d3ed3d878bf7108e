"""Determines which files a workflow run changes, and its pull request. Reads Git and the event; changes nothing.

A pull request's merge commit is compared with main, a push with main before the push, a merge queue's group with the
commit that it is stacked on, anything else (a dispatch, a laptop) with the commit where its branch left main.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.errors import ConfigError, GitError, GitHubError
from ml.gitops.repository import Repository
from ml.workflow import runner_commands

STATE = "model-config/"

_ZERO = "0" * 40
_SHA = re.compile("[0-9a-f]{40}")

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
class MergeGroup:
    """Pull requests that GitHub's merge queue merges together, as its event `merge_group` names them.

    The fields are those of https://docs.github.com/en/webhooks/webhook-events-and-payloads#merge_group.
    """

    base_sha: str
    """The commit that the group is stacked on: the tip of main, or the group before it in the queue."""
    head_sha: str
    """The commit that is checked and, if its checks pass, becomes main."""


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
    """The changes of the checkout: its working tree (in a workflow: its commit) compared with its base.

    Raises:
        ConfigError: the event cannot be read.
        GitError: the commit that a merge group is stacked on is not in the clone.
    """
    name, payload = os.environ.get("GITHUB_EVENT_NAME", ""), runner_commands.event()
    if name == "push":
        return _push(repository, payload)
    group = merge_group()
    if group is not None:
        base = repository.resolve(group.base_sha)
        if base is None:
            raise GitError(
                f"commit {group.base_sha[:12]}, which the merge group is stacked on, is not in this clone; check out "
                "with fetch-depth: 0"
            )
        return Change(event=name, base=base, main=base, files=repository.changes(base, None), forced=False)
    parents = repository.log("HEAD", first_parent=True)[0].parents
    head = payload.get("pull_request", {}).get("head", {}).get("sha")
    if name == "pull_request" and len(parents) == 2 and parents[1] == head:
        # GitHub's test merge: its first parent is main, so the difference is what merging changes.
        base = main = parents[0]
    else:
        main = repository.resolve("refs/remotes/origin/main") or repository.commit_of("main")
        base = repository.merge_base(main, "HEAD")
    return Change(event=name, base=base, main=main, files=repository.changes(base, None), forced=False)


def merge_group() -> MergeGroup | None:
    """The merge group that this run checks; None if no merge queue started it.

    Raises:
        ConfigError: the event has no merge group, or one without its two commits.
    """
    if os.environ.get("GITHUB_EVENT_NAME", "") != "merge_group":
        return None
    found = runner_commands.event().get("merge_group")
    fields = found if isinstance(found, Mapping) else {}
    named = {name: fields.get(name) for name in ("base_sha", "head_sha")}
    for name, value in named.items():
        if not isinstance(value, str) or not _SHA.fullmatch(value):
            raise ConfigError(f"the event merge_group must name merge_group.{name}, a commit (got {value!r})")
    return MergeGroup(base_sha=str(named["base_sha"]), head_sha=str(named["head_sha"]))


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
