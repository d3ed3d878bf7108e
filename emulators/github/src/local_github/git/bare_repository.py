"""A bare repository through the git command: objects, refs, differences, merges.

Every change of a ref says what it was before, so that a race is lost and never overwritten. Knows nothing of GitHub.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_github import clock

ZERO = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_HOOKS = Path(__file__).parent / "hooks"


class GitFailed(Exception):
    """A git command said no; its words are the message."""


class RefMoved(GitFailed):
    """A ref is not what the caller saw."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who a commit is by, and when (ISO 8601 with an offset)."""

    name: str
    email: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A file that differs; `status` is GitHub's word. Lines are None for a binary file."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int | None
    deletions: int | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of a tree."""

    mode: str
    kind: str
    sha: str
    path: str
    size: int | None


_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
_FIELDS = _FORMAT.count("%x00") + 1
_STATUS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What git runs with: no configuration of the person who runs this, no prompts, no repository but the named one."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    fixed = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    return kept | fixed | {"HOME": os.devnull} | dict(extra or {})


class Bare:
    """The bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, default_branch: str, source: Bare | None = None) -> Bare:
        """A new one, with `source`'s branches and tags if given. Nobody can push to refs/pull/, as on GitHub."""
        path.mkdir(parents=True)
        bare = cls(path)
        bare.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}", "--template=", ".")
        for key, value in {
            "http.receivepack": "true",
            "uploadpack.allowReachableSHA1InWant": "true",
            "uploadpack.allowFilter": "true",
            "receive.hideRefs": "refs/pull/",
            "core.hooksPath": str(_HOOKS),
            "core.logAllRefUpdates": "true",
            "gc.auto": "0",
        }.items():
            bare.run("config", key, value)
        if source:
            bare.fetch(source, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        return bare

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """What `git ARGUMENTS` writes; GitFailed where it ends non-zero."""
        done = self._process(arguments, stdin, env)
        if done.returncode:
            raise GitFailed(done.stderr.decode("utf-8", "replace").strip() or f"git {arguments[0]} failed")
        return done.stdout

    def text(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """What `git ARGUMENTS` writes, as text without white space around it."""
        return self.run(*arguments, stdin=stdin, env=env).decode("utf-8", "replace").strip()

    def _process(
        self, arguments: Iterable[str], stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "--git-dir=.", *arguments]
        return subprocess.run(
            command, cwd=self.path, input=stdin, env=environment(env), capture_output=True, check=False
        )

    def fetch(self, source: Bare, *refspecs: str) -> None:
        """Copies `source`'s refs, forced, as a fork and a pull request's ref are."""
        self.run("fetch", "--quiet", "--no-tags", str(source.path), *(f"+{spec}" for spec in refspecs))

    # -- what is there

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag, ref or SHA names; None where it names none."""
        if not revision or "\n" in revision:
            return None
        done = self._process(["rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"])
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def ref(self, name: str) -> str | None:
        """The object that the full ref `name` is at; None where there is no such ref."""
        done = self._process(["show-ref", "--verify", "--hash", "--", name])
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def branch(self, name: str) -> str | None:
        """The tip of a branch; None where there is none."""
        return self.ref(f"refs/heads/{name}")

    def refs(self, prefix: str = "refs/heads/") -> dict[str, str]:
        """Refs below `prefix` by full name, in order."""
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines()
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines)}

    def valid_ref(self, name: str) -> bool:
        """Whether git takes this as the name of a ref."""
        return name.startswith("refs/") and self._process(["check-ref-format", name]).returncode == 0

    def kind(self, sha: str) -> str | None:
        """blob, tree, commit or tag; None where there is no such object."""
        done = self._process(["cat-file", "-t", sha]) if _is_sha(sha) else None
        return done.stdout.decode().strip() if done and done.returncode == 0 else None

    def commits(self, *arguments: str) -> list[Commit]:
        """The commits that `git log ARGUMENTS` lists."""
        output = self.run("log", "-z", f"--format=format:{_FORMAT}", *arguments).decode("utf-8", "replace")
        fields = output.split("\0") if output else []
        return [_commit(fields[at : at + _FIELDS]) for at in range(0, len(fields), _FIELDS)]

    def commit(self, revision: str) -> Commit | None:
        """The commit of a revision; None where there is none."""
        sha = self.resolve(revision)
        return self.commits("-1", sha)[0] if sha else None

    def show(self, revision: str, path: str) -> bytes | None:
        """The bytes of a file at a revision; None where there is no such file."""
        entry = self.entry(revision, path)
        return self.run("cat-file", "blob", entry.sha) if entry and entry.kind == "blob" else None

    def entry(self, revision: str, path: str) -> Entry | None:
        """The tree's entry of a path; None where there is none."""
        return next(iter(self._list(revision, path)), None) if _is_plain(path) else None

    def folder(self, revision: str, path: str = "") -> list[Entry]:
        """What a folder holds ('' = the top); empty where there is none."""
        if not path:
            return self._list(revision)
        return self._list(revision, path + "/") if _is_plain(path) else []

    def tree(self, revision: str, *, recursive: bool = False) -> list[Entry]:
        """The entries of a tree by paths below it, folders included."""
        return self._list(revision, options=("-r", "-t") if recursive else ())

    def _list(self, revision: str, *paths: str, options: Iterable[str] = ()) -> list[Entry]:
        if revision.startswith("-"):
            return []
        done = self._process(["ls-tree", "-z", "--long", "--full-tree", *options, revision, "--", *paths])
        return [_entry(line) for line in done.stdout.decode("utf-8", "replace").split("\0") if line]

    # -- history

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        return self._process(["merge-base", "--is-ancestor", older, newer]).returncode == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None where there is none."""
        done = self._process(["merge-base", one, other])
        return done.stdout.decode().split("\n")[0] if done.returncode == 0 else None

    def count(self, *arguments: str) -> int:
        """How many commits `git rev-list ARGUMENTS` lists."""
        return int(self.text("rev-list", "--count", *arguments))

    def changes(self, before: str, after: str) -> list[Change]:
        """The files that differ between two trees or commits, renames found."""
        common = ("diff-tree", "-r", "-z", "-M", "--no-commit-id", before, after)
        raw = self.run(*common, "--raw", "--abbrev=40").decode("utf-8", "surrogateescape").split("\0")
        numbers = self.run(*common, "--numstat").decode("utf-8", "surrogateescape").split("\0")
        changes, raw_at, number_at = [], iter(raw), iter(numbers)
        for head in raw_at:
            if not head:
                break
            _, _, _, sha, status = head.split(" ")
            first = next(raw_at)
            renamed = status[0] in "RC"
            path, previous = (next(raw_at), first) if renamed else (first, None)
            added, deleted, _ = next(number_at).split("\t")
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
        """The hunks of each of `changes`, in their order; '' for a binary or an empty one."""
        output = self.run("diff-tree", "-r", "-p", "-M", "--no-commit-id", "--no-color", before, after)
        files = ("\n" + output.decode("utf-8", "replace")).split("\ndiff --git ")[1:]
        return [text[text.index("\n@@ ") + 1 :] if "\n@@ " in text else "" for text in files]

    # -- what changes it

    def update(self, name: str, new: str, old: str) -> None:
        """Moves the ref from `old` to `new` (zeros: made, deleted); RefMoved where it is not at `old`."""
        if new == ZERO:
            done = self._process(["update-ref", "-d", name, old])
        else:
            done = self._process(["update-ref", name, new, old])
        if done.returncode:
            raise RefMoved(done.stderr.decode("utf-8", "replace").strip())

    def force(self, name: str, new: str | None) -> None:
        """Puts a ref of our own (refs/pull/…) where it should be, or takes it away."""
        if new:
            self.run("update-ref", name, new)
        else:
            self.run("update-ref", "-d", name)

    def write_blob(self, content: bytes) -> str:
        """Stores a file's bytes."""
        return self.text("hash-object", "-w", "--stdin", stdin=content)

    def write_tree(self, base: str | None, entries: Iterable[tuple[str, str, str]]) -> str:
        """The tree `base` with (mode, sha, path) entries put in; zeros take a path out. GitFailed for a bad path."""
        lines = b"".join(f"{mode} {sha}\t{path}".encode() + b"\0" for mode, sha, path in entries)
        with tempfile.TemporaryDirectory(prefix="fraudops-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", base or "--empty", env=index)
            done = self._process(("update-index", "-z", "--index-info"), lines, index)
            if done.returncode or done.stderr:  # git leaves a path out that has `..` or `.git` in it, and ends 0
                raise GitFailed(done.stderr.decode("utf-8", "replace").strip())
            return self.text("write-tree", env=index)

    def write_commit(
        self, tree: str, parents: Iterable[str], message: str, *, author: Person, committer: Person | None = None
    ) -> str:
        """Stores a commit."""
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
        """The tree of a merge of two commits; None where they conflict or have no common history."""
        done = self._process(["merge-tree", "--write-tree", "--no-messages", base, head])
        return done.stdout.decode().strip() if done.returncode == 0 else None


def person(name: str, email: str) -> Person:
    """Who acts now."""
    return Person(name=name, email=email, date=clock.stamp(clock.now()))


def _is_sha(text: str) -> bool:
    return len(text) == 40 and all(character in "0123456789abcdef" for character in text)


def _is_plain(path: str) -> bool:
    return all(part not in {"", ".", ".."} for part in path.split("/"))


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _commit(fields: list[str]) -> Commit:
    sha, tree, parents, author, author_email, author_date, committer, committer_email, commit_date, message = fields
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=Person(name=author, email=author_email, date=author_date),
        committer=Person(name=committer, email=committer_email, date=commit_date),
        message=message.rstrip("\n"),
    )


def _entry(line: str) -> Entry:
    head, _, path = line.partition("\t")
    mode, kind, sha, size = head.split()
    return Entry(mode=mode, kind=kind, sha=sha, path=path, size=None if size == "-" else int(size))
