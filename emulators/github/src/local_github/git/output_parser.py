"""Git objects as values, and how git's output is parsed into them. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass

ZERO = "0" * 40
"""The object id that stands for "no object": a ref that is created or deleted."""
LOG_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
_LOG_FIELDS = LOG_FORMAT.count("%x00") + 1


@dataclass(frozen=True, kw_only=True)
class Person:
    """An author or committer; `date` is ISO 8601 with an offset."""

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
    """A changed file; `status` is GitHub's term. Line counts are None for a binary file."""

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


def parse_log(output: str) -> list[Commit]:
    """The commits of `git log -z --format=format:LOG_FORMAT`."""
    fields = output.split("\0") if output else []
    return [_commit(fields[at : at + _LOG_FIELDS]) for at in range(0, len(fields), _LOG_FIELDS)]


def parse_tree(output: str) -> list[Entry]:
    """The entries of `git ls-tree -z --long`."""
    return [_entry(line) for line in output.split("\0") if line]


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
