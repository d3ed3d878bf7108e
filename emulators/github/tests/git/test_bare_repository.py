"""Answers of git that cannot change are kept; those about names, and about objects that do not exist yet, are not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_github.git.bare_repository import BareRepository, GitFailed
from local_github.git.output_parser import ZERO, Person

AUTHOR = Person(name="Alice", email="alice@example.com", date="2026-01-01T00:00:00+00:00")
Commit = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    """An empty bare repository."""
    return BareRepository.create(tmp_path / "fraud.git", default_branch="main")


@pytest.fixture
def commit(repository: BareRepository) -> Commit:
    """Writes a commit with a file and returns its id."""

    def write(text: str, *parents: str) -> str:
        tree = repository.write_tree(None, [("100644", repository.write_blob(text.encode()), "data.txt")])
        return repository.write_commit(tree, parents, text, author=AUTHOR)

    return write


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that are started from now on."""
    commands: list[str] = []
    run = subprocess.run

    def record(command: list[str], **options: Any) -> Any:
        commands.append(command[2])
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", record)
    return commands


def test_questions_about_full_ids_are_asked_once(
    repository: BareRepository, commit: Commit, started: list[str]
) -> None:
    """The second round starts no process and answers the same."""
    first = commit("one")
    second = commit("two", first)

    def ask() -> list[object]:
        return [
            repository.commit(second),
            repository.commits("--reverse", f"{first}..{second}"),
            repository.changes(first, second),
            repository.patches(first, second),
            repository.merge_base(first, second),
            repository.is_ancestor(second, first),
            repository.count(f"{first}..{second}"),
            repository.show(second, "data.txt"),
            repository.folder(second),
            repository.kind(first),
        ]

    answers = ask()
    started.clear()
    assert ask() == answers
    assert not started
    assert answers[5:8] == [False, 1, b"two"]


def test_questions_about_names_are_asked_each_time(repository: BareRepository, commit: Commit) -> None:
    """A branch moves between two equal questions."""
    first = commit("one")
    second = commit("two", first)
    repository.update("refs/heads/main", first, ZERO)
    assert (repository.resolve("main"), repository.show("main", "data.txt")) == (first, b"one")
    assert repository.count("main") == 1
    repository.update("refs/heads/main", second, first)
    assert (repository.resolve("main"), repository.show("main", "data.txt")) == (second, b"two")
    assert (repository.count("main"), len(repository.commits("main", "--not", first))) == (2, 1)


def test_an_object_that_is_written_later_is_found(repository: BareRepository, commit: Commit, tmp_path: Path) -> None:
    """That there is no such object is no lasting answer."""
    expected = commit("one")
    other = BareRepository.create(tmp_path / "other.git", default_branch="main")
    assert other.resolve(expected) is None
    assert other.kind(expected) is None
    with pytest.raises(GitFailed):
        other.count(expected)
    repository.update("refs/heads/main", expected, ZERO)
    other.fetch(repository, "refs/heads/main:refs/heads/main")
    assert other.resolve(expected) == expected
    assert other.kind(expected) == "commit"
    assert other.count(expected) == 1


def test_unrelated_histories_have_no_base_both_times(repository: BareRepository, commit: Commit) -> None:
    """git ends with 1, which is its answer and no failure."""
    one, other = commit("one"), commit("other")
    assert [repository.merge_base(one, other) for _ in range(2)] == [None, None]


def test_repository_that_is_created_again_keeps_its_settings(tmp_path: Path) -> None:
    """They are written once, and git reads them."""
    for _ in range(2):
        repository = BareRepository.create(tmp_path / "fraud.git", default_branch="main")
    assert repository.text("config", "--get-all", "receive.hideRefs") == "refs/pull/"
    assert repository.text("config", "--get-all", "http.receivepack") == "true"
    assert Path(repository.text("config", "--get", "core.hooksPath")).name == "hooks"


def test_ref_is_found_in_its_file_and_among_the_packed_ones(repository: BareRepository, commit: Commit) -> None:
    """A moved ref counts before its packed value; what is no ref, or leaves the folder, is none."""
    first = commit("one")
    second = commit("two", first)
    repository.update("refs/heads/main", first, ZERO)
    assert repository.branch("main") == first
    repository.run("pack-refs", "--all")
    assert repository.branch("main") == first
    repository.update("refs/heads/main", second, first)
    assert repository.branch("main") == second
    (repository.path / "refs/heads/next.lock").write_text(f"{second}\n")  # as git leaves it while it writes
    none = ("refs/heads", "refs/heads/../../config", "refs/heads/none", "refs/heads/next", "refs/heads/next.lock")
    assert [repository.ref(name) for name in none] == [None] * len(none)
    repository.update("refs/heads/main", ZERO, second)
    assert repository.branch("main") is None


def test_changes_of_every_kind_have_their_numbers(repository: BareRepository, started: list[str]) -> None:
    """One process lists a renamed, a binary, a removed and two other files, one of them with a colon in front."""

    def blob(content: bytes) -> str:
        return repository.write_blob(content)

    def commit(base: str | None, *entries: tuple[str, str, str]) -> str:
        tree = repository.write_tree(base, entries)
        return repository.write_commit(tree, (), "Change", author=AUTHOR)

    lines = b"".join(b"line %d\n" % number for number in range(20))
    kept = ("100644", blob(lines), "old.txt"), ("100644", blob(b"gone\n"), "gone.txt")
    before = commit(None, *kept, ("100644", blob(b"a\n"), ":raw 1\t1"))
    after = commit(
        before,
        ("0", ZERO, "old.txt"),
        ("0", ZERO, "gone.txt"),
        ("100644", blob(lines + b"more\n"), "new.txt"),
        ("100644", blob(b"b\nc\n"), ":raw 1\t1"),
        ("100644", blob(b"\0\1"), "picture.png"),
    )
    started.clear()
    found = repository.changes(before, after)
    assert started == ["diff-tree"]
    assert [(each.path, each.previous, each.status, each.additions, each.deletions) for each in found] == [
        (":raw 1\t1", None, "modified", 2, 1),
        ("gone.txt", None, "removed", 0, 1),
        ("new.txt", "old.txt", "renamed", 1, 0),
        ("picture.png", None, "added", None, None),
    ]
