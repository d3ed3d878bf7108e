"""Reads and writes a bare repository through the git command: objects, refs, diffs, merges. Knows nothing of GitHub.

Every ref update names the expected old value, so concurrent updates fail instead of overwriting each other.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from local_github.git.output_parser import LOG_FORMAT, ZERO, Change, Commit, Entry, Person, parse_log, parse_tree

_HOOKS = Path(__file__).parent / "hooks"


class GitFailed(Exception):
    """A git command failed; the message is its error output."""


class RefMoved(GitFailed):
    """A ref does not have the value that the caller expected."""


class _Unanswered(Exception):
    """git found no answer; the object may be written later, so the question is asked again."""

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        super().__init__(process)
        self.process = process


# Commands whose answer depends on their arguments alone where every revision is a full object id, since an object never
# changes and none is deleted here. Pages, events and path filters ask the same of the same commits again and again.
_REPEATABLE = frozenset({"cat-file", "diff-tree", "log", "ls-tree", "merge-base", "rev-list", "rev-parse"})
_FULL_ID = re.compile(r"[0-9a-f]{40}(?:\.\.[0-9a-f]{40}|\^\{(?:commit|tree)\})?")
_KEPT_ANSWERS = 4096

_SETTINGS = """
[http]
\treceivepack = true
[uploadpack]
\tallowReachableSHA1InWant = true
\tallowFilter = true
[receive]
\thideRefs = refs/pull/
[core]
\thooksPath = "{hooks}"
\tlogAllRefUpdates = true
[gc]
\tauto = 0
"""
_STATUS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of git processes: no user or system configuration, no prompts."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    fixed = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    return kept | fixed | {"HOME": os.devnull} | dict(extra or {})


class BareRepository:
    """The bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answer = functools.lru_cache(maxsize=_KEPT_ANSWERS)(self._ask)

    @classmethod
    def create(cls, path: Path, *, default_branch: str, source: BareRepository | None = None) -> BareRepository:
        """Creates a repository, with the branches and tags of `source` if given; an existing one is used again.

        Pushes to refs/pull/ are refused.
        """
        path.mkdir(parents=True, exist_ok=True)
        repository = cls(path)
        repository.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}", "--template=", ".")
        hooks = str(_HOOKS).replace("\\", "\\\\").replace('"', '\\"')
        settings, own = path / "config", _SETTINGS.format(hooks=hooks)
        present = settings.read_text("utf-8")
        if own not in present:  # as text: seven processes would take longer than everything else here
            settings.write_text(present + own, "utf-8")
        if source:
            repository.fetch(source, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        return repository

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """The output of `git ARGUMENTS`; GitFailed on a non-zero exit code."""
        process = self._process(arguments, stdin, env)
        if process.returncode:
            raise GitFailed(process.stderr.decode("utf-8", "replace").strip() or f"git {arguments[0]} failed")
        return process.stdout

    def text(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """The output of `git ARGUMENTS` as stripped text."""
        return self.run(*arguments, stdin=stdin, env=env).decode("utf-8", "replace").strip()

    def _process(
        self, arguments: Iterable[str], stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        question = tuple(arguments)
        if stdin or env or not _is_repeatable(question):
            return self._start(question, stdin, env)
        try:
            return self._answer(question)
        except _Unanswered as unanswered:
            return unanswered.process

    def _ask(self, question: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        process = self._start(question)
        no_ancestor = question[0] == "merge-base" and process.returncode == 1
        if process.returncode and not no_ancestor:
            raise _Unanswered(process)
        return process

    def _start(
        self, arguments: tuple[str, ...], stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "--git-dir=.", *arguments]
        return subprocess.run(
            command, cwd=self.path, input=stdin, env=environment(env), capture_output=True, check=False
        )

    def fetch(self, source: BareRepository, *refspecs: str) -> None:
        """Fetches refs of `source` and overwrites local ones; used for forks and pull request refs."""
        self.run("fetch", "--quiet", "--no-tags", str(source.path), *(f"+{spec}" for spec in refspecs))

    # -- refs and objects

    def resolve(self, revision: str) -> str | None:
        """The commit id of a branch, tag, ref or SHA; None if there is none."""
        if not revision or "\n" in revision:
            return None
        process = self._process(["rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"])
        return process.stdout.decode().strip() if process.returncode == 0 else None

    def ref(self, name: str) -> str | None:
        """The object id of the full ref `name`; None if the ref does not exist."""
        if (found := self._loose_ref(name)) is not None:
            return found
        process = self._process(["show-ref", "--verify", "--hash", "--", name])
        return process.stdout.decode().strip() if process.returncode == 0 else None

    def _loose_ref(self, name: str) -> str | None:
        """The object id in the file of a ref, which counts before the packed ones; None if there is no plain one."""
        if not name.startswith("refs/") or name.endswith(".lock") or not _is_plain(name):
            return None  # git writes a ref's next value to NAME.lock
        try:
            content = (self.path / name).read_bytes()
        except (OSError, ValueError):  # no such file, a folder, or no possible name of a file
            return None
        found = content.removesuffix(b"\n").decode("ascii", "replace")
        return found if _is_sha(found) else None

    def branch(self, name: str) -> str | None:
        """The tip of a branch; None if it does not exist."""
        return self.ref(f"refs/heads/{name}")

    def refs(self, prefix: str = "refs/heads/") -> dict[str, str]:
        """Refs below `prefix`: full name → object id, sorted by name."""
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines()
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines)}

    def valid_ref(self, name: str) -> bool:
        """Whether git accepts this as the name of a ref."""
        return name.startswith("refs/") and self._process(["check-ref-format", name]).returncode == 0

    def kind(self, sha: str) -> str | None:
        """The type of an object (blob, tree, commit or tag); None if it does not exist."""
        process = self._process(["cat-file", "-t", sha]) if _is_sha(sha) else None
        return process.stdout.decode().strip() if process and process.returncode == 0 else None

    def commits(self, *arguments: str) -> list[Commit]:
        """The commits that `git log ARGUMENTS` lists."""
        return parse_log(self.run("log", "-z", f"--format=format:{LOG_FORMAT}", *arguments).decode("utf-8", "replace"))

    def commit(self, revision: str) -> Commit | None:
        """The commit of a revision; None if there is none."""
        sha = self.resolve(revision)
        return self.commits("-1", sha)[0] if sha else None

    def show(self, revision: str, path: str) -> bytes | None:
        """The bytes of a file at a revision; None if there is no such file."""
        entry = self.entry(revision, path)
        return self.run("cat-file", "blob", entry.sha) if entry and entry.kind == "blob" else None

    def entry(self, revision: str, path: str) -> Entry | None:
        """The tree entry of a path; None if there is none."""
        return next(iter(self._list(revision, path)), None) if _is_plain(path) else None

    def folder(self, revision: str, path: str = "") -> list[Entry]:
        """The entries of a folder ('' = the root); empty if it does not exist."""
        if not path:
            return self._list(revision)
        return self._list(revision, path + "/") if _is_plain(path) else []

    def tree(self, revision: str, *, recursive: bool = False) -> list[Entry]:
        """The entries of a tree, folders included; `recursive` descends into folders."""
        return self._list(revision, options=("-r", "-t") if recursive else ())

    def _list(self, revision: str, *paths: str, options: Iterable[str] = ()) -> list[Entry]:
        if revision.startswith("-"):
            return []
        process = self._process(["ls-tree", "-z", "--long", "--full-tree", *options, revision, "--", *paths])
        return parse_tree(process.stdout.decode("utf-8", "replace"))

    # -- history

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        return self._process(["merge-base", "--is-ancestor", older, newer]).returncode == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None if the histories are unrelated."""
        process = self._process(["merge-base", one, other])
        return process.stdout.decode().split("\n")[0] if process.returncode == 0 else None

    def count(self, *arguments: str) -> int:
        """The number of commits that `git rev-list ARGUMENTS` lists."""
        return int(self.text("rev-list", "--count", *arguments))

    def changes(self, before: str, after: str) -> list[Change]:
        """The files that differ between two trees or commits, with renames detected."""
        output = self.run(
            *("diff-tree", "-r", "-z", "-M", "--no-commit-id", before, after, "--raw", "--abbrev=40", "--numstat")
        )
        # First the raw lines of all files, which begin with a colon, then their numbers.
        parts = output.decode("utf-8", "surrogateescape").split("\0")
        changes, raw_at = [], iter(parts)
        number_at = iter(parts[_count_raw(parts) :])
        for head in raw_at:
            if not head.startswith(":"):
                break
            _, _, _, sha, status = head.split(" ")
            first = next(raw_at)
            renamed = status[0] in "RC"
            path, previous = (next(raw_at), first) if renamed else (first, None)
            added, deleted, _ = next(number_at).split("\t", 2)
            if renamed:
                next(number_at), next(number_at)
            changes.append(
                Change(
                    path=_printable(path),
                    previous=_printable(previous) if previous else None,
                    status=_STATUS.get(status[0], "changed"),
                    sha=sha,
                    additions=None if added == "-" else int(added),
                    deletions=None if deleted == "-" else int(deleted),
                )
            )
        return changes

    def patches(self, before: str, after: str) -> list[str]:
        """The hunks of each changed file, in the order of `changes`; '' for a binary or empty file."""
        output = self.run("diff-tree", "-r", "-p", "-M", "--no-commit-id", "--no-color", before, after)
        files = ("\n" + output.decode("utf-8", "replace")).split("\ndiff --git ")[1:]
        return [text[text.index("\n@@ ") + 1 :] if "\n@@ " in text else "" for text in files]

    # -- writing

    def update(self, name: str, new: str, old: str) -> None:
        """Updates a ref from `old` to `new` (ZERO: created, deleted); RefMoved if it is not at `old`."""
        if new == ZERO:
            process = self._process(["update-ref", "-d", name, old])
        else:
            process = self._process(["update-ref", name, new, old])
        if process.returncode:
            raise RefMoved(process.stderr.decode("utf-8", "replace").strip())

    def force(self, name: str, new: str | None) -> None:
        """Sets a ref that only the emulator writes (refs/pull/…), or deletes it; no check of the old value."""
        if new:
            self.run("update-ref", name, new)
        else:
            self.run("update-ref", "-d", name)

    def write_blob(self, content: bytes) -> str:
        """Stores a blob and returns its id."""
        return self.text("hash-object", "-w", "--stdin", stdin=content)

    def write_tree(self, base: str | None, entries: Iterable[tuple[str, str, str]]) -> str:
        """Stores `base` with (mode, sha, path) entries added; ZERO removes a path. GitFailed for a bad path."""
        lines = b"".join(f"{mode} {sha}\t{path}".encode() + b"\0" for mode, sha, path in entries)
        with tempfile.TemporaryDirectory(prefix="local-github-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", base or "--empty", env=index)
            process = self._process(("update-index", "-z", "--index-info"), lines, index)
            if process.returncode or process.stderr:  # git omits paths with `..` or `.git` and exits with 0
                raise GitFailed(process.stderr.decode("utf-8", "replace").strip())
            return self.text("write-tree", env=index)

    def write_commit(
        self, tree: str, parents: Iterable[str], message: str, *, author: Person, committer: Person | None = None
    ) -> str:
        """Stores a commit and returns its id."""
        committer = committer or author
        env = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_AUTHOR_DATE": author.date,
            "GIT_COMMITTER_NAME": committer.name,
            "GIT_COMMITTER_EMAIL": committer.email,
            "GIT_COMMITTER_DATE": committer.date,
        }
        options = [option for parent in parents for option in ("-p", parent)]
        return self.text("commit-tree", *options, tree, stdin=message.encode(), env=env)

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of a merge of two commits; None on conflict or unrelated histories."""
        process = self._process(["merge-tree", "--write-tree", "--no-messages", base, head])
        return process.stdout.decode().strip() if process.returncode == 0 else None


def _count_raw(parts: Sequence[str]) -> int:
    """How many parts of diff-tree's output are raw lines and their paths."""
    at = 0
    while parts[at].startswith(":"):
        at += 3 if parts[at].rpartition(" ")[2][0] in "RC" else 2
    return at


def _is_repeatable(question: tuple[str, ...]) -> bool:
    """Whether git answers the same whenever it answers: all revisions are full object ids."""
    command, *rest = question
    revisions = [word for word in rest[: rest.index("--") if "--" in rest else None] if not word.startswith("-")]
    if command == "cat-file" and len(revisions) > 1:  # the wanted type precedes the object
        del revisions[0]
    return command in _REPEATABLE and bool(revisions) and all(map(_FULL_ID.fullmatch, revisions))


def _is_sha(text: str) -> bool:
    return len(text) == 40 and all(character in "0123456789abcdef" for character in text)


def _is_plain(path: str) -> bool:
    return all(part not in {"", ".", ".."} for part in path.split("/"))


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
