"""Pushes the bot's commits to main, rebased on what was pushed meanwhile, and its branches, never over others' commits.

The token reaches git through its environment alone: it is in no command line, no URL, no file and no message. A push
to main is never forced; one that lost a race takes its commits onto the new tip, file by file and beside the working
tree, and tries again. A branch is replaced only if it is the bot's by name and by author, and has not moved since it
was seen.
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
from ml.gitops.github_client import SERVER_URL, Patience
from ml.gitops.rebase import Rebuilder
from ml.gitops.repository import BOT, Repository

BRANCHES = ("approve/", "rollback/", "bot/")  # those that the bot may replace

# Words of git and of GitHub. A lock that another push holds is a race too.
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
_STALLED_SECONDS = 60

_Result = TypeVar("_Result")


class Protected(GitError):
    """The branch takes commits only through a pull request; nothing was pushed."""


class Stale(GitError):
    """The branch is no longer where it was seen: somebody else has pushed to it. Nothing was pushed."""


class _Outage(GitError):
    """The remote gave no answer, and may have taken the push or not."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What a branch of the remote points at now, and how it came to."""

    branch: str
    commit: str
    state: Literal["pushed", "rebased", "there already"]
    attempts: int


class Remote(Repository):
    """A repository together with the remote that it is pushed to.

    Args:
        repository: where the commits are.
        name: the remote, as git knows it.
        patience: how often and how long to try again.
    """

    def __init__(self, repository: Repository, *, name: str = "origin", patience: Patience | None = None) -> None:
        super().__init__(repository.root)
        self.name = name
        self.patience = patience or Patience()

    def fetch(self, branch: str) -> str | None:
        """The commit that `branch` points at on the remote, now in this repository too; None where there is none.

        The local branch stays where it is; `refs/remotes` follows.
        """
        if self._again(lambda: self._listed(branch)) is None:
            return None
        ref = f"refs/remotes/{self.name}/{branch}"
        self._again(lambda: self._talk(["fetch", "--no-tags", self.name, f"+refs/heads/{branch}:{ref}"]))
        return self.commit_of(ref)

    def adopt(self, branch: str) -> str | None:
        """As `fetch`, and lets the local branch of that name point there too, which must not be ahead of it.

        Raises:
            Refused: the local branch holds commits that the remote lacks, or is checked out.
        """
        tip, local = self.fetch(branch), self.resolve(f"refs/heads/{branch}")
        if tip is None or tip == local:
            return tip
        if local is not None and not self.is_ancestor(local, tip):
            raise Refused(f"branch {branch} here holds commits that {self.name} lacks; push or delete it first")
        self.move_branch(branch, tip, seen=local)
        return tip

    def push_main(self, commit: str, *, branch: str = "main") -> Pushed:
        """Brings the commits up to `commit` onto the remote's `branch`, behind what others pushed meanwhile.

        The commits must be the caller's own, on top of some commit of that branch. Local branches stay where they are:
        what was pushed is in the answer.

        Raises:
            Protected: the branch takes pull requests only; open one with `push_branch`.
            GitError: what others pushed changed the same files, or the race was lost at every attempt.
        """
        wanted, rebased, attempts = self.commit_of(commit), False, 0

        def attempt() -> Pushed:
            nonlocal wanted, rebased, attempts
            attempts += 1
            try:
                state = self._again(lambda: self._push(wanted, branch, []))
            except Stale:
                tip = self._tip(branch)
                if self.is_ancestor(wanted, tip):  # the answer to an earlier attempt was lost, and others built on it
                    return Pushed(branch=branch, commit=wanted, state="there already", attempts=attempts)
                if not self.is_ancestor(tip, wanted):
                    wanted, rebased = Rebuilder(self.root).onto(tip, wanted), True
                if wanted == tip:  # others did the very same
                    return Pushed(branch=branch, commit=tip, state="there already", attempts=attempts)
                raise
            done: Literal["pushed", "rebased", "there already"] = "rebased" if rebased else state
            return Pushed(branch=branch, commit=wanted, state=done, attempts=attempts)

        try:
            return self._attempts(Stale)(attempt)
        except Stale as error:
            raise GitError(f"{error}; others pushed first {attempts} times in a row, run this again") from error

    def push_branch(self, branch: str, commit: str, *, seen: str | None) -> Pushed:
        """Lets the bot's own `branch` on the remote point at `commit`, in place of what `fetch` saw there.

        Args:
            seen: the commit that it pointed at; None if there was no such branch.

        Raises:
            Refused: the branch is not the bot's to replace.
            Stale: it has moved since; look at what is there now.
            GitError: commits would be lost that are not the bot's.
        """
        if not branch.startswith(BRANCHES):
            raise Refused(f"branch {branch} is not the bot's: only {', '.join(f'{name}…' for name in BRANCHES)} are")
        wanted = self.commit_of(commit)
        if seen is not None and not self.is_ancestor(seen, wanted):
            others = {each.author for each in self.log(f"{wanted}..{seen}")} - {BOT.name}
            if others:
                raise GitError(
                    f"branch {branch} holds commits of {', '.join(sorted(others))}, which a push would lose; "
                    "merge main into it, or delete it"
                )
        lease = f"--force-with-lease=refs/heads/{branch}:{seen or ''}"
        attempts = 0

        def attempt() -> Literal["pushed", "there already"]:
            nonlocal attempts
            attempts += 1
            return self._push(wanted, branch, [lease])

        try:
            state = self._again(attempt)
        except Stale as error:
            there = self._again(lambda: self._listed(branch))
            if there != wanted:
                raise Stale(
                    f"{error}; it points at {there or 'nothing'} now, look at that and run this again"
                ) from error
            state = "there already"  # this push arrived, only its answer did not
        return Pushed(branch=branch, commit=wanted, state=state, attempts=attempts)

    def delete_branch(self, branch: str, *, seen: str) -> None:
        """Deletes the bot's own `branch` from the remote if it still points at `seen`; gone already is as good."""
        if not branch.startswith(BRANCHES):
            raise Refused(f"branch {branch} is not the bot's to delete")
        if self._again(lambda: self._listed(branch)) is not None:
            options = [f"--force-with-lease=refs/heads/{branch}:{seen}"]
            self._again(lambda: self._push("", branch, options))

    # Git itself

    def _tip(self, branch: str) -> str:
        tip = self.fetch(branch)
        if tip is None:
            raise GitError(f"{self.name} has no branch {branch} any more")
        return tip

    def _push(self, commit: str, branch: str, options: Sequence[str]) -> Literal["pushed", "there already"]:
        arguments = ["push", "--porcelain", *options, self.name, f"{commit}:refs/heads/{branch}"]
        said = self._talk(arguments, doing=f"pushing to {branch}")
        return "there already" if re.search(r"^=\t", said, re.M) else "pushed"

    def _listed(self, branch: str) -> str | None:
        line = self._talk(["ls-remote", "--heads", self.name, f"refs/heads/{branch}"]).split()
        return line[0] if line else None

    def _talk(self, arguments: Sequence[str], *, doing: str = "") -> str:
        """What git says on standard output; its failure as the one of ours that says what to do about it."""
        result = self._attempt(arguments, env=credentials(os.environ))
        said = result.stdout.decode("utf-8", "replace")
        if result.returncode == 0:
            return said
        said = concealed(f"{said}\n{result.stderr.decode('utf-8', 'replace')}", os.environ)
        message = f"{doing or f'git {arguments[0]}'} at {self.name}: {_gist(said)}"
        if _PROTECTED.search(said):
            raise Protected(message)
        if _RACE.search(said):
            raise Stale(message)
        if _OUTAGE.search(said):
            raise _Outage(f"{message}; run this again when it is back")
        if _DENIED.search(said):
            raise GitError(f"{message}; GITHUB_TOKEN must be set, valid and allowed to write contents")
        raise GitError(message)

    def _attempts(self, failure: type[GitError]) -> Retrying:
        patience = self.patience
        return Retrying(
            retry=retry_if_exception_type(failure),
            stop=stop_after_attempt(patience.attempts),
            wait=wait_exponential_jitter(
                multiplier=patience.backoff, max=patience.longest_backoff, jitter=patience.backoff
            ),
            reraise=True,
        )

    def _again(self, action: Callable[[], _Result]) -> _Result:
        """What `action` gives, tried again while the remote gives no answer."""
        result: _Result = self._attempts(_Outage)(action)
        return result


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of git so that it goes to GITHUB_SERVER_URL, and nowhere else, as GITHUB_TOKEN.

    Settings of the environment come last for git, so the empty one before the token's clears a header that a checkout
    left in the repository's configuration: GitHub refuses two.
    """
    settings = [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", str(_STALLED_SECONDS))]
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


def concealed(text: str, environment: Mapping[str, str]) -> str:
    """`text` without the token, in the clear or as the header holds it."""
    token = environment.get("GITHUB_TOKEN")
    return text.replace(_basic(token), "***").replace(token, "***") if token else text


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _gist(said: str) -> str:
    """The lines that say why, of what git and the server said: at most five, the server's first."""
    lines = [" ".join(line.replace("\t", " ").split()) for line in said.splitlines()]
    telling = [line for line in lines if line.startswith(("remote:", "!", "fatal:", "error:")) and line != "remote:"]
    telling.sort(key=lambda line: not line.startswith("remote:"))
    return " / ".join(telling[:5] or list(filter(None, lines))[-3:]) or "git said nothing"
