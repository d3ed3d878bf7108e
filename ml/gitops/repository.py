"""Reads and writes a Git repository through the git command: files at a commit, commits, branches, merges.

Commits are built from Git objects, never through the working tree, so uncommitted edits do not matter. Only `merge`
changes files, and it fails if an edit would be lost. Nothing is forced: a branch moves only if it is still at the
commit that the caller saw. The module does not interpret the files.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ml import clock
from ml.errors import GitError

_ABSENT = "0" * 40
# Set inside a Git hook; they would point git at another repository.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True)
class Identity:
    """The author or committer of a commit."""

    name: str
    email: str


# `.invalid` is reserved (RFC 2606), so GitHub credits the bot's commits to no account.
BOT = Identity(name="fraudops[bot]", email="fraudops-bot@fraudops.invalid")


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit of a history."""

    sha: str
    parents: tuple[str, ...]
    author: str
    time: datetime
    subject: str


class Repository:
    """The Git repository whose working tree is at `root`.

    An instance remembers which ids are commits and what files have been at them: neither ever changes. Names of
    branches and tags are looked up each time.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._commits: set[str] = set()
        self._contents: dict[tuple[str, str], bytes | None] = {}

    @classmethod
    def find(cls, start: Path) -> Repository:
        """The repository that contains `start`; GitError if there is none."""
        try:
            top = cls(start)._run(["rev-parse", "--show-toplevel"], doing=f"looking for a Git repository at {start}")
        except GitError as error:
            raise GitError(f"{error}; run this in a clone of the repository, or give --repo") from error
        return cls(Path(top.strip()))

    # Reading

    def branch(self) -> str | None:
        """The checked-out branch; None if HEAD is detached."""
        result = self._attempt(["symbolic-ref", "--quiet", "--short", "HEAD"])
        return result.stdout.decode().strip() if result.returncode == 0 else None

    def head(self) -> str:
        """The checked-out commit."""
        return self.commit_of("HEAD")

    def resolve(self, revision: str) -> str | None:
        """The commit that `revision` (a branch, tag or id) names; None if there is none."""
        if revision in self._commits:
            return revision
        result = self._attempt(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])
        if result.returncode != 0:
            return None
        self._commits.add(commit := result.stdout.decode().strip())
        return commit

    def commit_of(self, revision: str) -> str:
        """As `resolve`, but a missing revision is a GitError."""
        commit = self.resolve(revision)
        if commit is None:
            hint = self._shallow_hint() or f"; if it is a branch, fetch it: git fetch origin {revision}:{revision}"
            raise GitError(f"{self.root}: no commit {revision!r}{hint}")
        return commit

    def dirty(self, *paths: str | Path) -> list[str]:
        """The files below `paths` (all if none is given) that differ from HEAD or are untracked, sorted."""
        listing = self._run(
            ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *map(str, paths)]
        )
        return sorted(entry[3:] for entry in listing.split("\0") if entry)

    def show(self, revision: str, path: str | Path) -> bytes | None:
        """The content of the file `path` at `revision`; None if that commit has no such file.

        So it is for a path that is not relative to the root of the repository, or has `.`, `..` or empty parts.
        """
        commit, name = self.commit_of(revision), str(path)
        if not _is_plain(name):  # git takes ./ and ../ for paths from the current folder
            return None
        if (commit, name) not in self._contents:
            result = self._attempt(["cat-file", "blob", f"{commit}:{name}"])
            if result.returncode != 0 and name in self.files(commit, name):
                raise GitError(f"git cat-file in {self.root}: {_explain(result)}")
            self._contents[commit, name] = result.stdout if result.returncode == 0 else None
        return self._contents[commit, name]

    def export(self, revision: str, folder: Path, *paths: str | Path) -> None:
        """Writes the files below `paths` as they are at `revision` to `folder`, which exists."""
        packed = self._output(["archive", "--format=tar", self.commit_of(revision), "--", *map(str, paths)])
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")

    def files(self, revision: str, folder: str | Path) -> list[str]:
        """The paths of the files below `folder` at `revision`, sorted."""
        commit = self.commit_of(revision)
        return self._names(self._run(["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", str(folder)]))

    def is_ancestor(self, ancestor: str, revision: str) -> bool:
        """Whether `ancestor` is `revision` or one of its ancestors."""
        result = self._attempt(["merge-base", "--is-ancestor", ancestor, revision])
        if result.returncode not in (0, 1):
            raise GitError(f"{self.root}: comparing {ancestor} and {revision}: {_explain(result)}")
        return result.returncode == 0

    def merge_base(self, one: str, other: str) -> str:
        """The latest common ancestor of `one` and `other`; GitError if there is none."""
        result = self._attempt(["merge-base", self.commit_of(one), self.commit_of(other)])
        if result.returncode != 0:
            raise GitError(f"{self.root}: {one} and {other} have no commit in common{self._shallow_hint()}")
        return result.stdout.decode().strip()

    def changes(self, base: str, head: str | None, *paths: str | Path) -> dict[str, str]:
        """The changed files below `paths` from `base` to `head`, by path: A (added), M (modified or another type) or D.

        A rename is a D and an A. If `head` is None, `base` is compared with the working tree, including untracked
        files.
        """
        revisions = [self.commit_of(base), *([self.commit_of(head)] if head is not None else [])]
        names = self._run(["diff", "--name-status", "--no-renames", "-z", *revisions, "--", *map(str, paths)])
        parts = names.split("\0")[:-1]
        status_by_path = dict(zip(parts[1::2], ("M" if kind == "T" else kind for kind in parts[::2]), strict=True))
        if head is None:
            listing = self._run(["ls-files", "--others", "--exclude-standard", "-z", "--", *map(str, paths)])
            status_by_path |= dict.fromkeys(self._names(listing), "A")
        return dict(sorted(status_by_path.items()))

    def diff(self, base: str, head: str, *paths: str | Path) -> str:
        """The unified diff of the files below `paths` from `base` to `head`; '' if they are equal."""
        revisions = [self.commit_of(base), self.commit_of(head)]
        plain = ["--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"]
        content = self._output(["diff", *plain, *revisions, "--", *map(str, paths)])
        return content.decode("utf-8", "replace")

    def log(self, revision: str, *paths: str | Path, first_parent: bool = False) -> list[Commit]:
        """The commits up to `revision` (or in `a..b`) that changed `paths`, newest first.

        With `first_parent`, only the branch's own commits: a merge counts as one change.
        """
        steps = ["--first-parent"] if first_parent else ["--topo-order"]
        form = "--format=%H%x00%P%x00%an%x00%aI%x00%s"  # no field of a commit can hold a NUL
        text = self._output(["log", "-z", *steps, form, "--end-of-options", revision, "--", *map(str, paths)])
        fields = iter(text.decode("utf-8", "replace").split("\0")[:-1])
        return [
            Commit(sha=sha, parents=tuple(parents.split()), author=author, time=_author_time(time), subject=subject)
            for sha, parents, author, time, subject in zip(fields, fields, fields, fields, fields, strict=True)
        ]

    def additions(self, revision: str, folder: str | Path) -> list[tuple[str, str]]:
        """Each file below `folder` that a commit on the branch of `revision` added: (commit, path), newest first.

        Of a merge, what it brought to the branch; also files that a later commit has deleted.
        """
        options = ["--first-parent", "-m", "--diff-filter=A", "--no-renames", "--name-only", "-z", "--format=%H"]
        text = self._run(["log", *options, "--end-of-options", revision, "--", str(folder)])
        found, sha = [], ""
        for token in filter(None, text.split("\0")):
            path = token.removeprefix("\n")  # git puts a line break before a commit's first path
            if path.startswith(f"{folder}/"):
                found.append((sha, path))
            else:
                sha = token
        return found

    # Writing

    def commit(self, parent: str, changes: Mapping[str | Path, bytes], message: str, *, author: Identity = BOT) -> str:
        """Creates a commit on top of `parent` with the given file contents and returns its id; moves no branch.

        Its date is from the project's clock (ml.clock). Raises GitError if nothing would change.
        """
        parent = self.commit_of(parent)
        with tempfile.TemporaryDirectory(prefix="fraudops-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._run(["read-tree", parent], env=index)
            for path, content in changes.items():
                blob = self._run(["hash-object", "-w", "--stdin"], stdin=content).strip()
                self._run(["update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"], env=index)
            tree = self._run(["write-tree"], env=index).strip()
        if tree == self._run(["rev-parse", f"{parent}^{{tree}}"]).strip():
            raise GitError(f"{', '.join(map(str, changes))}: unchanged from {parent[:12]}; nothing to commit")
        arguments = ["commit-tree", tree, "-p", parent, "-F", "-"]
        return self._run(arguments, stdin=message.encode(), env=_signature(author)).strip()

    def build_branch(
        self, name: str, base: str, commits: Sequence[tuple[Mapping[str | Path, bytes], str]], *, seen: str | None
    ) -> list[str]:
        """Points the branch `name` at new commits (contents and message of each) on top of `base`; returns their ids.

        Raises GitError as `commit` and `move_branch` do; the branch is moved last.
        """
        tips = [base]
        for changes, message in commits:
            tips.append(self.commit(tips[-1], changes, message))
        self.move_branch(name, tips[-1], seen=seen)
        return tips[1:]

    def move_branch(self, name: str, to: str, *, seen: str | None) -> None:
        """Moves the branch `name` from `seen` (None: it does not exist yet) to `to`.

        Raises GitError if the branch is checked out or no longer points at `seen`.
        """
        if self.branch() == name:
            raise GitError(f"branch {name} is checked out, so it cannot be moved; check out another and run this again")
        self._run(
            ["update-ref", "-m", "fraudops", f"refs/heads/{name}", to, seen or _ABSENT],
            doing=f"moving branch {name} to {to[:12]}",
        )

    def merge(self, branch: str, message: str, *, author: Identity | None = None) -> str:
        """Merges `branch` into the checked-out one with a merge commit, as a pull request does; returns its id.

        The author is `author` or Git's configured user. After a conflict, nothing has changed.

        Raises:
            GitError: there is a conflict, an edit in the working tree would be lost, or no Git user is configured.
        """
        if author is None:
            self._require_identity()
        command = ["merge", "--no-ff", "--no-edit", "--cleanup=verbatim", "-m", message, branch]
        result = self._attempt(command, env=_signature(author))
        if result.returncode != 0:
            self._attempt(["merge", "--abort"])
            raise GitError(f"merging {branch} into {self.branch()}: {_explain(result)}; nothing was merged")
        return self.head()

    def _require_identity(self) -> None:
        if self._attempt(["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"]).returncode != 0:
            raise GitError(
                "no Git user is configured, and the author of a merge is the approver; "
                "set it with `git config user.name NAME` and `git config user.email ADDRESS`"
            )

    # Git itself

    def _run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        doing: str | None = None,
    ) -> str:
        return self._output(arguments, stdin=stdin, env=env, doing=doing).decode("utf-8", "surrogateescape")

    def _output(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        doing: str | None = None,
    ) -> bytes:
        result = self._attempt(arguments, stdin=stdin, env=env)
        if result.returncode != 0:
            raise GitError(f"{doing or f'git {arguments[0]} in {self.root}'}: {_explain(result)}")
        return result.stdout

    def _attempt(
        self, arguments: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        # Paths are literal, never patterns; no pager, editor or password prompt may block.
        command = ["git", "--no-pager", "--literal-pathspecs", "-c", "core.quotePath=false", *arguments]
        inherited = {key: value for key, value in os.environ.items() if key not in _HOOK_VARIABLES}
        moment = clock.stamp(clock.now())
        fixed = {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_EDITOR": "true",
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
        }
        try:
            return subprocess.run(
                command,
                cwd=self.root,
                input=stdin,
                capture_output=True,
                env={**inherited, **fixed, **(env or {})},
                check=False,
            )
        except FileNotFoundError as error:
            missing = "no such folder" if not self.root.is_dir() else "git is not installed, or not on PATH"
            raise GitError(f"{self.root}: {missing}") from error
        except ValueError as error:  # a NUL, or half of a surrogate pair
            raise GitError(f"git {arguments[0]} in {self.root}: no argument of a program ({error})") from error

    @staticmethod
    def _names(listing: str) -> list[str]:
        return sorted(filter(None, listing.split("\0")))

    def _shallow_hint(self) -> str:
        shallow = self._attempt(["rev-parse", "--is-shallow-repository"]).stdout.strip() == b"true"
        return "; the clone is shallow: fetch the full history (fetch-depth: 0)" if shallow else ""


def _is_plain(path: str) -> bool:
    """Whether git has the file `path` of a commit under this very name, if at all."""
    pure = PurePosixPath(path)
    return str(pure) == path and not pure.is_absolute() and ".." not in pure.parts


def _signature(identity: Identity | None) -> dict[str, str]:
    if identity is None:
        return {}
    return {
        "GIT_AUTHOR_NAME": identity.name,
        "GIT_AUTHOR_EMAIL": identity.email,
        "GIT_COMMITTER_NAME": identity.name,
        "GIT_COMMITTER_EMAIL": identity.email,
    }


def _author_time(text: str) -> datetime:
    """The author's time of a commit. Its author chose it: one that is no time of UTC is that of 1970."""
    try:
        moment = datetime.fromisoformat(text)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)
    return moment


def _explain(result: subprocess.CompletedProcess[bytes]) -> str:
    output = (result.stderr.strip() or result.stdout).decode("utf-8", "replace")
    lines = [line.strip() for line in output.splitlines()]
    meaningful = [line for line in lines if line and not line.startswith("hint:")]
    return " / ".join(meaningful[-3:]) or "git printed nothing"
