"""Rebases commits without a working tree; stricter than `git rebase`.

A file that both sides changed is a conflict even if its lines would merge: each state file is one decision, and two
decisions must not be merged line by line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml import clock
from ml.errors import GitError
from ml.gitops.repository import BOT, Commit, Repository

_ABSENT = ("000000", "0" * 40)


@dataclass(frozen=True, kw_only=True)
class _Change:
    """One file in one commit: (mode, blob) before and after."""

    path: str
    before: tuple[str, str]
    after: tuple[str, str]


class Rebaser(Repository):
    """Rebases commits of a repository."""

    def rebase(self, tip: str, commit: str) -> str:
        """Rebases the commits up to `commit` that `tip` lacks onto `tip`; returns the new tip.

        Author, author date and message are kept; the committer is the bot.

        Raises:
            GitError: both sides changed a file, one of the commits is a merge, or there is no common history.
        """
        base = self.merge_base(tip, commit)
        for original in reversed(self.log(f"{base}..{commit}")):
            tip = self._apply(tip, original)
        return tip

    def _apply(self, tip: str, commit: Commit) -> str:
        if len(commit.parents) != 1:
            raise GitError(f"{commit.sha[:12]} ({commit.subject}) is a merge, which cannot be rebased onto {tip[:12]}")
        changes = []
        for change in self._changes(commit):
            entry_at_tip = self._entry(tip, change.path)
            if entry_at_tip == change.after:
                continue
            if entry_at_tip != change.before:
                raise GitError(
                    f"{change.path}: changed by {commit.sha[:12]} ({commit.subject}) and differently by commits pushed "
                    "earlier; compare both, and run this again on top of them"
                )
            changes.append(change)
        if not changes:
            return tip
        with tempfile.TemporaryDirectory(prefix="fraudops-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._run(["read-tree", tip], env=index)
            for change in changes:
                mode, blob = change.after
                entry = (
                    ["--force-remove", "--", change.path]
                    if change.after == _ABSENT
                    else ["--add", "--cacheinfo", f"{mode},{blob},{change.path}"]
                )
                # Without --replace: a folder in place of a file, or the reverse, is an error.
                self._run(["update-index", *entry], env=index, doing=f"applying {change.path} on {tip[:12]}")
            tree = self._run(["write-tree"], env=index).strip()
        name, email, date, message = self._run(["log", "-1", "--format=%an%x00%ae%x00%aI%x00%B", commit.sha]).split(
            "\0"
        )
        signature = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": BOT.name,
            "GIT_COMMITTER_EMAIL": BOT.email,
            "GIT_COMMITTER_DATE": clock.stamp(clock.now()),
        }
        text = f"{message.rstrip()}\n".encode("utf-8", "surrogateescape")
        return self._run(["commit-tree", tree, "-p", tip, "-F", "-"], stdin=text, env=signature).strip()

    def _changes(self, commit: Commit) -> Iterator[_Change]:
        listing = self._run(["diff-tree", "-r", "-z", "--raw", "--no-renames", commit.parents[0], commit.sha])
        fields = iter(listing.split("\0"))
        for header in filter(None, fields):
            old_mode, new_mode, old, new, _ = header.lstrip(":").split()
            yield _Change(path=next(fields), before=(old_mode, old), after=(new_mode, new))

    def _entry(self, revision: str, path: str) -> tuple[str, str]:
        listing = self._run(["ls-tree", "-z", "--full-tree", revision, "--", path])
        if not listing:
            return _ABSENT
        mode, _, blob = listing.split("\t", 1)[0].split()
        return mode, blob
