"""Pushes the bot's commits to main and the bot's branches to the remote; never overwrites others' commits.

The token is passed to git in its environment only: it is in no command line, URL, file or message. A push to main is
never forced: if others pushed first, the commits are rebased (ml.gitops.rebase) and pushed again. A branch is replaced
only if it is the bot's by name and by author, and has not moved since it was read.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from ml.errors import GitError, Refused
from ml.gitops.github_client import SERVER_URL, RetryPolicy
from ml.gitops.rebase import Rebaser
from ml.gitops.repository import BOT, Repository

BRANCHES = ("approve/", "promote/", "rollback/", "bot/")  # prefixes of the branches that the bot may replace

# Messages of git and GitHub. A lock held by another push is a race too.
_PROTECTED = re.compile(r"GH006|GH013|protected branch|repository rule violations", re.I)
_RACE = re.compile(
    r"non-fast-forward|fetch first|stale info|cannot lock ref|failed to update ref|incorrect old value|but expected",
    re.I,
)
_OUTAGE = re.compile(
    r"requested URL returned error: (?:5\d\d|429)|could not connect|failed to connect|could not resolve|timed out|"
    r"connection (?:reset|refused)|unexpected disconnect|early EOF|RPC failed|hung up|too slow|empty reply|"
    r"recv failure|Internal Server Error",
    re.I,
)
_DENIED = re.compile(
    r"could not read (?:Username|Password)|Authentication failed|Permission to .* denied|error: 40[13]", re.I
)
_LOW_SPEED_SECONDS = 60

_Result = TypeVar("_Result")


class ProtectedBranch(GitError):
    """The branch accepts commits only through a pull request; nothing was pushed."""


class StaleBranch(GitError):
    """The branch has moved since it was read, because others pushed to it. Nothing was pushed."""


class _Outage(GitError):
    """The remote did not respond; the push may have arrived."""


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """The commit that a branch of the remote points at after a push, and how the push went."""

    branch: str
    commit: str
    state: Literal["pushed", "rebased", "up to date"]
    attempts: int


class Remote(Repository):
    """A repository and the remote that it pushes to.

    Args:
        repository: the local repository.
        name: the name of the remote in git.
        retry: the retry policy for outages and lost races.
    """

    def __init__(self, repository: Repository, *, name: str = "origin", retry: RetryPolicy | None = None) -> None:
        super().__init__(repository.root)
        self.name = name
        self.retry = retry or RetryPolicy()

    def fetch(self, branch: str) -> str | None:
        """Fetches `branch` and returns the commit that it points at on the remote; None if it does not exist.

        Updates `refs/remotes`, not the local branch.
        """
        if self._retry_outages(lambda: self._remote_commit(branch)) is None:
            return None
        ref = f"refs/remotes/{self.name}/{branch}"
        self._retry_outages(lambda: self._git(["fetch", "--no-tags", self.name, f"+refs/heads/{branch}:{ref}"]))
        return self.commit_of(ref)

    def update_local_branch(self, branch: str) -> str | None:
        """As `fetch`, and moves the local branch of that name to the fetched commit.

        Raises:
            Refused: the local branch has commits that the remote lacks, or is checked out.
        """
        tip, local = self.fetch(branch), self.resolve(f"refs/heads/{branch}")
        if tip is None or tip == local:
            return tip
        if local is not None and not self.is_ancestor(local, tip):
            raise Refused(f"the local branch {branch} has commits that {self.name} lacks; push or delete it first")
        self.move_branch(branch, tip, seen=local)
        return tip

    def push_main(self, commit: str, *, branch: str = "main") -> PushResult:
        """Pushes the commits up to `commit` to the remote's `branch`, rebased on what others pushed meanwhile.

        The commits must be the caller's own, on top of a commit of that branch. Local branches do not move: the result
        holds the pushed commit.

        Raises:
            ProtectedBranch: the branch accepts pull requests only; push a branch with `push_branch` and open one.
            GitError: others changed the same files, or pushed first at every attempt.
        """
        wanted, rebased, attempts = self.commit_of(commit), False, 0

        def attempt() -> PushResult:
            nonlocal wanted, rebased, attempts
            attempts += 1
            try:
                state = self._retry_outages(lambda: self._push(wanted, branch, []))
            except StaleBranch:
                tip = self._fetch_tip(branch)
                if self.is_ancestor(
                    wanted, tip
                ):  # an earlier attempt arrived, its response was lost, and others pushed on top
                    return PushResult(branch=branch, commit=wanted, state="up to date", attempts=attempts)
                if not self.is_ancestor(tip, wanted):
                    wanted, rebased = Rebaser(self.root).rebase(tip, wanted), True
                if wanted == tip:  # others pushed the same change
                    return PushResult(branch=branch, commit=tip, state="up to date", attempts=attempts)
                raise
            outcome: Literal["pushed", "rebased", "up to date"] = "rebased" if rebased else state
            return PushResult(branch=branch, commit=wanted, state=outcome, attempts=attempts)

        try:
            return self._retrying(StaleBranch)(attempt)
        except StaleBranch as error:
            raise GitError(f"{error}; others pushed first {attempts} times in a row, run this again") from error

    def push_branch(self, branch: str, commit: str, *, seen: str | None) -> PushResult:
        """Moves the bot's `branch` on the remote from `seen` to `commit`.

        Args:
            seen: the commit that `fetch` returned for it; None if there was no such branch.

        Raises:
            Refused: the branch is not one of the bot's.
            StaleBranch: it has moved since; check where it points now.
            GitError: the push would lose commits of others.
        """
        if not branch.startswith(BRANCHES):
            raise Refused(f"branch {branch} is not one of the bot's ({', '.join(f'{name}…' for name in BRANCHES)})")
        wanted = self.commit_of(commit)
        if seen is not None and not self.is_ancestor(seen, wanted):
            others = {each.author for each in self.log(f"{wanted}..{seen}")} - {BOT.name}
            if others:
                raise GitError(
                    f"branch {branch} has commits of {', '.join(sorted(others))} that a push would lose; "
                    "merge main into it, or delete it"
                )
        lease = f"--force-with-lease=refs/heads/{branch}:{seen or ''}"
        attempts = 0

        def attempt() -> Literal["pushed", "up to date"]:
            nonlocal attempts
            attempts += 1
            return self._push(wanted, branch, [lease])

        try:
            state = self._retry_outages(attempt)
        except StaleBranch as error:
            current = self._retry_outages(lambda: self._remote_commit(branch))
            if current != wanted:
                raise StaleBranch(
                    f"{error}; it points at {current or 'nothing'} now, check that and run this again"
                ) from error
            state = "up to date"  # this push arrived and only its response was lost
        return PushResult(branch=branch, commit=wanted, state=state, attempts=attempts)

    def delete_branch(self, branch: str, *, seen: str) -> None:
        """Deletes the bot's `branch` from the remote if it still points at `seen`; a missing branch is fine."""
        if not branch.startswith(BRANCHES):
            raise Refused(f"branch {branch} is not one of the bot's, so it is not deleted")
        if self._retry_outages(lambda: self._remote_commit(branch)) is not None:
            options = [f"--force-with-lease=refs/heads/{branch}:{seen}"]
            self._retry_outages(lambda: self._push("", branch, options))

    # Git itself

    def _fetch_tip(self, branch: str) -> str:
        tip = self.fetch(branch)
        if tip is None:
            raise GitError(f"{self.name} has no branch {branch} anymore")
        return tip

    def _push(self, commit: str, branch: str, options: Sequence[str]) -> Literal["pushed", "up to date"]:
        arguments = ["push", "--porcelain", *options, self.name, f"{commit}:refs/heads/{branch}"]
        output = self._git(arguments, doing=f"pushing to {branch}")
        return "up to date" if re.search(r"^=\t", output, re.M) else "pushed"

    def _remote_commit(self, branch: str) -> str | None:
        line = self._git(["ls-remote", "--heads", self.name, f"refs/heads/{branch}"]).split()
        return line[0] if line else None

    def _git(self, arguments: Sequence[str], *, doing: str = "") -> str:
        """Runs git with the token and returns its standard output. A failure is the GitError that callers handle."""
        result = self._attempt(arguments, env=credentials(os.environ))
        output = result.stdout.decode("utf-8", "replace")
        if result.returncode == 0:
            return output
        output = redact_token(f"{output}\n{result.stderr.decode('utf-8', 'replace')}", os.environ)
        message = f"{doing or f'git {arguments[0]}'} at {self.name}: {_error_lines(output)}"
        if _PROTECTED.search(output):
            raise ProtectedBranch(message)
        if _RACE.search(output):
            raise StaleBranch(message)
        if _OUTAGE.search(output):
            raise _Outage(f"{message}; run this again when it is back")
        if _DENIED.search(output):
            raise GitError(f"{message}; GITHUB_TOKEN must be set, valid and allowed to write contents")
        raise GitError(message)

    def _retrying(self, failure: type[GitError]) -> Retrying:
        retry = self.retry
        return Retrying(
            retry=retry_if_exception_type(failure),
            stop=stop_after_attempt(retry.attempts),
            wait=wait_exponential_jitter(multiplier=retry.backoff, max=retry.max_backoff, jitter=retry.backoff),
            reraise=True,
        )

    def _retry_outages(self, action: Callable[[], _Result]) -> _Result:
        """The result of `action`, retried during outages of the remote."""
        result: _Result = self._retrying(_Outage)(action)
        return result


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with which git sends GITHUB_TOKEN to GITHUB_SERVER_URL, and to no other server.

    Git reads settings of the environment last, so the empty header before the token's clears one that a checkout left
    in the repository's configuration: GitHub refuses two.
    """
    settings = [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", str(_LOW_SPEED_SECONDS))]
    if token := environment.get("GITHUB_TOKEN"):
        server = (environment.get("GITHUB_SERVER_URL") or SERVER_URL).rstrip("/")
        header = f"AUTHORIZATION: basic {_basic(token)}"
        settings += [
            (f"http.{server}/.extraheader", ""),
            (f"http.{server}/.extraheader", header),
            ("credential.helper", ""),
        ]
    first = int(environment.get("GIT_CONFIG_COUNT") or 0)
    added = {"GIT_CONFIG_COUNT": str(first + len(settings)), "GIT_TRACE_REDACT": "1"}
    for index, (key, value) in enumerate(settings, start=first):
        added |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return added


def redact_token(text: str, environment: Mapping[str, str]) -> str:
    """`text` without the token, in plain and in the header's encoding."""
    token = environment.get("GITHUB_TOKEN")
    return text.replace(_basic(token), "***").replace(token, "***") if token else text


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _error_lines(output: str) -> str:
    """The lines of `output` that state the error, the server's first: at most five."""
    lines = [" ".join(line.replace("\t", " ").split()) for line in output.splitlines()]
    errors = [line for line in lines if line.startswith(("remote:", "!", "fatal:", "error:")) and line != "remote:"]
    errors.sort(key=lambda line: not line.startswith("remote:"))
    return " / ".join(errors[:5] or list(filter(None, lines))[-3:]) or "git printed nothing"
