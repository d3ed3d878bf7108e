"""A repository is read at a commit and extended by commits, beside whatever someone is editing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml.errors import GitError
from ml.gitops.repository import BOT, Repository
from tests.gitops.repositories import PERSON, Workshop


def test_it_is_found_from_any_folder_inside(workshop: Workshop) -> None:
    """A verb may be run from below the root."""
    inside = workshop.root / "model-config" / "serving"
    assert Repository.find(inside).root.resolve() == workshop.root.resolve()


def test_a_folder_outside_git_is_refused(tmp_path: Path) -> None:
    """The error names the folder that lies in no repository, or is not there at all."""
    with pytest.raises(GitError, match="looking for a Git repository"):
        Repository.find(tmp_path)
    with pytest.raises(GitError, match="no such folder"):
        Repository.find(tmp_path / "absent")


def test_it_reads_a_commit_and_not_the_working_tree(workshop: Workshop) -> None:
    """Content comes from the commit that was asked for, byte for byte; what is not in it is None."""
    first = workshop.write({"a b/ü.txt": "one\r\n"}, "One")
    workshop.write({"a b/ü.txt": "two"}, "Two")
    (workshop.root / "a b/ü.txt").write_text("edited")
    repository = workshop.repository
    assert repository.show(first, "a b/ü.txt") == b"one\r\n"
    assert repository.show("main", "a b/ü.txt") == b"two"
    assert repository.show("main", "absent.txt") is None
    assert repository.show("main", "a b") is None
    assert repository.files("main", "a b") == ["a b/ü.txt"]


def test_a_path_is_a_name_and_never_a_pattern(workshop: Workshop) -> None:
    """A file called `*` does not stand for all others."""
    workshop.write({"f/*": "star", "f/x": "x"}, "Star")
    assert workshop.repository.show("main", "f/*") == b"star"
    assert workshop.repository.dirty("f/*") == []


def test_dirty_names_edited_staged_and_new_files(workshop: Workshop) -> None:
    """Everything below the paths that a commit would miss, and nothing beside them."""
    workshop.write({"c/edited": "1", "c/staged": "1", "other": "1"}, "Files")
    for name in ("c/edited", "c/staged", "c/new", "other"):
        (workshop.root / name).write_text("2")
    workshop.git("add", "c/staged")
    assert workshop.repository.dirty("c") == ["c/edited", "c/new", "c/staged"]
    assert workshop.repository.dirty() == ["c/edited", "c/new", "c/staged", "other"]


def test_a_commit_is_made_beside_the_working_tree(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It carries the bot's name and the project's clock; index, files and branch stay as they were."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-04-05T06:07:08+02:00")
    (workshop.root / "staged").write_text("someone's work")
    workshop.git("add", "staged")
    before, status = workshop.repository.head(), workshop.git("status", "--porcelain")
    made = workshop.repository.commit(before, {"new/file": b"\x00\xff", "x": b"y"}, "Subject\n\nBody\n")
    assert workshop.git("status", "--porcelain") == status
    assert workshop.repository.head() == before
    assert workshop.repository.show(made, "new/file") == b"\x00\xff"
    assert workshop.changed(before, made) == ["new/file", "x"]
    (commit,) = workshop.repository.log(f"{before}..{made}")
    assert (commit.author, commit.subject, commit.parents) == (BOT.name, "Subject", (before,))
    assert commit.time.isoformat() == "2031-04-05T04:07:08+00:00"


def test_the_same_commit_made_twice_is_the_same(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal parent, content, message and clock give an equal id, so that a repeated run changes nothing."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-04-05T06:07:08Z")
    made = {workshop.repository.commit("main", {"x": b"y"}, "Same") for _ in range(2)}
    assert len(made) == 1


def test_an_empty_commit_is_refused(workshop: Workshop) -> None:
    """A commit that would change nothing is an error of the caller."""
    workshop.write({"x": "y"}, "X")
    with pytest.raises(GitError, match="nothing to commit"):
        workshop.repository.commit("main", {"x": b"y"}, "Again")


def test_a_branch_moves_only_from_where_it_was_seen(workshop: Workshop) -> None:
    """Whoever moved it in between is not overwritten, and the branch that is checked out is left alone."""
    repository, base = workshop.repository, workshop.repository.head()
    one, two = (repository.commit(base, {"x": text}, "X") for text in (b"1", b"2"))
    repository.move_branch("side", one, seen=None)
    with pytest.raises(GitError, match="moving branch side"):
        repository.move_branch("side", two, seen=None)
    with pytest.raises(GitError, match="moving branch side"):
        repository.move_branch("side", two, seen=base)
    repository.move_branch("side", two, seen=one)
    assert repository.resolve("side") == two
    with pytest.raises(GitError, match="checked out"):
        repository.move_branch("main", one, seen=base)


def test_a_merge_is_a_merge_commit_in_the_approvers_name(workshop: Workshop) -> None:
    """Also where a fast-forward would do: the merge is what approves, and says who."""
    repository, base = workshop.repository, workshop.repository.head()
    side = repository.commit(base, {"x": b"1"}, "X")
    repository.move_branch("side", side, seen=None)
    merged = repository.merge("side", "Merge side\n", author=PERSON)
    (commit, *_) = repository.log(merged)
    assert (commit.parents, commit.author, commit.subject) == ((base, side), PERSON.name, "Merge side")
    assert workshop.text("x") == "1"
    assert repository.dirty() == []


def test_a_merge_by_nobody_is_refused(workshop: Workshop) -> None:
    """Git would make a name up from the machine's; an approval needs a person's."""
    repository = workshop.repository
    repository.move_branch("side", repository.commit("main", {"x": b"1"}, "X"), seen=None)
    with pytest.raises(GitError, match=r"git config user\.name"):
        repository.merge("side", "Merge")
    assert repository.resolve("main") == repository.head()


def test_a_conflict_leaves_everything_as_it_was(workshop: Workshop) -> None:
    """No half-merged files, no merge under way."""
    base = workshop.repository.head()
    side = workshop.repository.commit(base, {"x": b"theirs"}, "X")
    workshop.repository.move_branch("side", side, seen=None)
    ours = workshop.write({"x": "ours"}, "X")
    with pytest.raises(GitError, match="nothing was merged"):
        workshop.repository.merge("side", "Merge", author=PERSON)
    assert workshop.repository.head() == ours
    assert workshop.git("status", "--porcelain") == ""


def test_a_merge_does_not_lose_an_edit(workshop: Workshop) -> None:
    """A file that is being edited stops the merge that would overwrite it."""
    workshop.write({"x": "1"}, "X")
    side = workshop.repository.commit("main", {"x": b"2"}, "X")
    workshop.repository.move_branch("side", side, seen=None)
    (workshop.root / "x").write_text("being edited")
    with pytest.raises(GitError, match="nothing was merged"):
        workshop.repository.merge("side", "Merge", author=PERSON)
    assert workshop.text("x") == "being edited"


def test_a_detached_head_has_no_branch(workshop: Workshop) -> None:
    """So that a verb can say that main is not checked out."""
    assert workshop.repository.branch() == "main"
    workshop.git("switch", "-q", "--detach")
    assert workshop.repository.branch() is None


def test_a_revision_cannot_be_an_option(workshop: Workshop) -> None:
    """What comes from a file or a person is never read as one of git's own options."""
    assert workshop.repository.resolve("--all") is None
    assert workshop.repository.resolve("0" * 40) is None


def test_a_shallow_clone_is_named_as_the_cause(workshop: Workshop, tmp_path: Path) -> None:
    """In a workflow the commit that is missing was often just not fetched."""
    first = workshop.repository.head()
    workshop.write({"x": "1"}, "X")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", workshop.root.as_uri(), str(clone)], check=True)
    with pytest.raises(GitError, match="fetch-depth: 0"):
        Repository(clone).commit_of(first)


def test_a_hooks_environment_leads_nowhere_else(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a Git hook GIT_DIR names another repository; the one asked for is read all the same."""
    head = workshop.repository.head()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert workshop.repository.head() == head
