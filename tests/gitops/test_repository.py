"""A repository is read at a commit and extended by commits, beside whatever someone is editing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml.errors import GitError
from ml.gitops.repository import BOT, Repository
from tests.harness.git.repositories import PERSON, GitWorkspace


def test_it_is_found_from_any_folder_inside(workspace: GitWorkspace) -> None:
    """A verb may be run from below the root."""
    inside = workspace.root / "model-config" / "serving"
    assert Repository.find(inside).root.resolve() == workspace.root.resolve()


def test_folder_outside_git_is_refused(tmp_path: Path) -> None:
    """The error names the folder that lies in no repository, or is not there at all."""
    with pytest.raises(GitError, match="looking for a Git repository"):
        Repository.find(tmp_path)
    with pytest.raises(GitError, match="no such folder"):
        Repository.find(tmp_path / "absent")


def test_it_reads_a_commit_and_not_the_working_tree(workspace: GitWorkspace) -> None:
    """Content comes from the commit that was asked for, byte for byte; what is not in it is None."""
    first = workspace.write({"a b/ü.txt": "one\r\n"}, "One")
    workspace.write({"a b/ü.txt": "two"}, "Two")
    (workspace.root / "a b/ü.txt").write_text("edited")
    repository = workspace.repository
    assert repository.show(first, "a b/ü.txt") == b"one\r\n"
    assert repository.show("main", "a b/ü.txt") == b"two"
    assert repository.show("main", "absent.txt") is None
    assert repository.show("main", "a b") is None
    assert repository.files("main", "a b") == ["a b/ü.txt"]


def test_path_is_a_name_and_never_a_pattern(workspace: GitWorkspace) -> None:
    """A file called `*` does not stand for all others."""
    workspace.write({"f/*": "star", "f/x": "x"}, "Star")
    assert workspace.repository.show("main", "f/*") == b"star"
    assert workspace.repository.dirty("f/*") == []


def test_dirty_names_edited_staged_and_new_files(workspace: GitWorkspace) -> None:
    """Everything below the paths that a commit would miss, and nothing beside them."""
    workspace.write({"c/edited": "1", "c/staged": "1", "other": "1"}, "Files")
    for name in ("c/edited", "c/staged", "c/new", "other"):
        (workspace.root / name).write_text("2")
    workspace.git("add", "c/staged")
    assert workspace.repository.dirty("c") == ["c/edited", "c/new", "c/staged"]
    assert workspace.repository.dirty() == ["c/edited", "c/new", "c/staged", "other"]


def test_commit_is_made_beside_the_working_tree(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It carries the bot's name and the project's clock; index, files and branch stay as they were."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-04-05T06:07:08+02:00")
    (workspace.root / "staged").write_text("someone's work")
    workspace.git("add", "staged")
    before, status = workspace.repository.head(), workspace.git("status", "--porcelain")
    made = workspace.repository.commit(before, {"new/file": b"\x00\xff", "x": b"y"}, "Subject\n\nBody\n")
    assert workspace.git("status", "--porcelain") == status
    assert workspace.repository.head() == before
    assert workspace.repository.show(made, "new/file") == b"\x00\xff"
    assert workspace.changed(before, made) == ["new/file", "x"]
    (commit,) = workspace.repository.log(f"{before}..{made}")
    assert (commit.author, commit.subject, commit.parents) == (BOT.name, "Subject", (before,))
    assert commit.time.isoformat() == "2031-04-05T04:07:08+00:00"


def test_same_commit_made_twice_is_the_same(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal parent, content, message and clock give an equal id, so that a repeated run changes nothing."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-04-05T06:07:08Z")
    made = {workspace.repository.commit("main", {"x": b"y"}, "Same") for _ in range(2)}
    assert len(made) == 1


def test_empty_commit_is_refused(workspace: GitWorkspace) -> None:
    """A commit that would change nothing is an error of the caller."""
    workspace.write({"x": "y"}, "X")
    with pytest.raises(GitError, match="nothing to commit"):
        workspace.repository.commit("main", {"x": b"y"}, "Again")


def test_branch_moves_only_from_where_it_was_seen(workspace: GitWorkspace) -> None:
    """Whoever moved it in between is not overwritten, and the branch that is checked out is left alone."""
    repository, base = workspace.repository, workspace.repository.head()
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


def test_merge_is_a_merge_commit_in_the_approvers_name(workspace: GitWorkspace) -> None:
    """Also where a fast-forward would do: the merge is what approves, and says who."""
    repository, base = workspace.repository, workspace.repository.head()
    side = repository.commit(base, {"x": b"1"}, "X")
    repository.move_branch("side", side, seen=None)
    merged = repository.merge("side", "Merge side\n", author=PERSON)
    (commit, *_) = repository.log(merged)
    assert (commit.parents, commit.author, commit.subject) == ((base, side), PERSON.name, "Merge side")
    assert workspace.text("x") == "1"
    assert repository.dirty() == []


def test_merge_by_nobody_is_refused(workspace: GitWorkspace) -> None:
    """Git would make a name up from the machine's; an approval needs a person's."""
    repository = workspace.repository
    repository.move_branch("side", repository.commit("main", {"x": b"1"}, "X"), seen=None)
    with pytest.raises(GitError, match=r"git config user\.name"):
        repository.merge("side", "Merge")
    assert repository.resolve("main") == repository.head()


def test_conflict_leaves_everything_as_it_was(workspace: GitWorkspace) -> None:
    """No half-merged files, no merge under way."""
    base = workspace.repository.head()
    side = workspace.repository.commit(base, {"x": b"theirs"}, "X")
    workspace.repository.move_branch("side", side, seen=None)
    ours = workspace.write({"x": "ours"}, "X")
    with pytest.raises(GitError, match="nothing was merged"):
        workspace.repository.merge("side", "Merge", author=PERSON)
    assert workspace.repository.head() == ours
    assert workspace.git("status", "--porcelain") == ""


def test_merge_does_not_lose_an_edit(workspace: GitWorkspace) -> None:
    """A file that is being edited stops the merge that would overwrite it."""
    workspace.write({"x": "1"}, "X")
    side = workspace.repository.commit("main", {"x": b"2"}, "X")
    workspace.repository.move_branch("side", side, seen=None)
    (workspace.root / "x").write_text("being edited")
    with pytest.raises(GitError, match="nothing was merged"):
        workspace.repository.merge("side", "Merge", author=PERSON)
    assert workspace.text("x") == "being edited"


def test_detached_head_has_no_branch(workspace: GitWorkspace) -> None:
    """So that a verb can say that main is not checked out."""
    assert workspace.repository.branch() == "main"
    workspace.git("switch", "-q", "--detach")
    assert workspace.repository.branch() is None


def test_revision_cannot_be_an_option(workspace: GitWorkspace) -> None:
    """What comes from a file or a person is never read as one of git's own options."""
    assert workspace.repository.resolve("--all") is None
    assert workspace.repository.resolve("0" * 40) is None


def test_shallow_clone_is_named_as_the_cause(workspace: GitWorkspace, tmp_path: Path) -> None:
    """In a workflow the commit that is missing was often just not fetched."""
    first = workspace.repository.head()
    workspace.write({"x": "1"}, "X")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", workspace.root.as_uri(), str(clone)], check=True)
    with pytest.raises(GitError, match="fetch-depth: 0"):
        Repository(clone).commit_of(first)


def test_hooks_environment_leads_nowhere_else(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a Git hook GIT_DIR names another repository; the one asked for is read all the same."""
    head = workspace.repository.head()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert workspace.repository.head() == head
