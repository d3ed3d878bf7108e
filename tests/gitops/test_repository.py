"""Reading a Git repository at a commit, and committing without touching the working tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml.errors import GitError
from ml.gitops.repository import BOT, Repository
from tests.harness.git.repositories import PERSON, GitWorkspace


def test_repository_is_found_from_a_subfolder(workspace: GitWorkspace) -> None:
    """A command may be run from below the root."""
    inside = workspace.root / "model-config" / "serving"
    assert Repository.find(inside).root.resolve() == workspace.root.resolve()


def test_folder_outside_git_is_refused(tmp_path: Path) -> None:
    """The error names a folder outside of any repository, or one that does not exist."""
    with pytest.raises(GitError, match=r"looking for a Git repository.*; run this in a clone"):
        Repository.find(tmp_path)
    with pytest.raises(GitError, match="no such folder"):
        Repository.find(tmp_path / "absent")


def test_missing_branch_says_how_to_get_it(workspace: GitWorkspace) -> None:
    """A clone has the branches that were fetched alone."""
    with pytest.raises(GitError, match=r"no commit 'other'; if it is a branch, fetch it: git fetch origin other:other"):
        workspace.repository.commit_of("other")


def test_show_reads_the_commit_and_not_the_working_tree(workspace: GitWorkspace) -> None:
    """Content is that of the commit, byte for byte; a missing path gives None."""
    first = workspace.write({"a b/ü.txt": "one\r\n"}, "One")
    workspace.write({"a b/ü.txt": "two"}, "Two")
    (workspace.root / "a b/ü.txt").write_text("edited")
    repository = workspace.repository
    assert repository.show(first, "a b/ü.txt") == b"one\r\n"
    assert repository.show("main", "a b/ü.txt") == b"two"
    assert repository.show("main", "absent.txt") is None
    assert repository.show("main", "a b") is None
    assert repository.files("main", "a b") == ["a b/ü.txt"]


def test_show_asks_git_once_for_a_file_at_a_commit(
    workspace: GitWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id is looked up once and a file is read once, missing or not; a branch is looked up each time."""
    first, trace = workspace.write({"x": "1"}, "One"), tmp_path / "trace"
    repository = Repository(workspace.root)
    monkeypatch.setenv("GIT_TRACE", str(trace))
    assert [repository.show(first, name) for name in ("x", "x", "absent", "absent")] == [b"1", b"1", None, None]
    assert _commands(trace) == ["rev-parse", "cat-file", "cat-file", "ls-tree"]
    trace.unlink()
    assert repository.show("main", "x") == b"1"
    assert _commands(trace) == ["rev-parse"]
    workspace.write({"x": "2"}, "Two")
    assert repository.show("main", "x") == b"2"
    assert repository.show(first, "x") == b"1"


@pytest.mark.parametrize("path", ["./a.txt", "../a.txt", "b/../a.txt", "b/./c", "b//c", "b/c/", "/a.txt"])
def test_show_reads_plain_paths_only(workspace: GitWorkspace, path: str) -> None:
    """Git reads some of these as paths from the current folder: a commit has no file of such a name."""
    workspace.write({"a.txt": "1", "b/c": "2"}, "Files")
    assert workspace.repository.show("HEAD", path) is None


def _commands(trace: Path) -> list[str]:
    return [line.split()[5] for line in trace.read_text().splitlines() if "trace: built-in: git " in line]


def test_show_refuses_what_is_no_file(workspace: GitWorkspace) -> None:
    """A submodule has a path but no content, which is not the same as a missing file."""
    workspace.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    workspace.git("commit", "-qm", "Add a submodule")
    with pytest.raises(GitError, match="git cat-file in"):
        workspace.repository.show("HEAD", "module")


def test_export_writes_the_files_of_the_commit(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Edited and new files of the working tree are not those of the commit; other folders stay out."""
    commit = workspace.write({"c/file": "one", "c/d/deep": "1", "other": "1"}, "Files")
    (workspace.root / "c/file").write_text("edited")
    (workspace.root / "c/new").write_text("new")
    folder = tmp_path / "exported"
    folder.mkdir()
    workspace.repository.export(commit, folder, "c")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "c/d/deep",
        "c/file",
    ]
    assert (folder / "c/file").read_text() == "one"


def test_additions_are_those_of_the_branch_also_of_deleted_files(workspace: GitWorkspace) -> None:
    """A merge added what its side brought; a change and a deletion add nothing; names may have spaces."""
    first = workspace.write({"f/one file": "1"}, "One")
    workspace.git("checkout", "-qb", "side")
    workspace.write({"f/two": "2", "elsewhere": "3"}, "Two")
    workspace.git("checkout", "-q", "main")
    workspace.write({"f/one file": "changed"}, "Change")
    workspace.git("rm", "-q", "f/one file")
    workspace.git("commit", "-qm", "Delete")
    merged = workspace.repository.merge("side", "Merge side", author=PERSON)
    assert workspace.repository.additions("main", "f") == [(merged, "f/two"), (first, "f/one file")]


def test_path_is_not_a_pattern(workspace: GitWorkspace) -> None:
    """A file named `*` matches only itself."""
    workspace.write({"f/*": "star", "f/x": "x"}, "Star")
    assert workspace.repository.show("main", "f/*") == b"star"
    assert workspace.repository.dirty("f/*") == []


def test_dirty_names_edited_staged_and_new_files(workspace: GitWorkspace) -> None:
    """Uncommitted files below the given paths, and no others."""
    workspace.write({"c/edited": "1", "c/staged": "1", "other": "1"}, "Files")
    for name in ("c/edited", "c/staged", "c/new", "other"):
        (workspace.root / name).write_text("2")
    workspace.git("add", "c/staged")
    assert workspace.repository.dirty("c") == ["c/edited", "c/new", "c/staged"]
    assert workspace.repository.dirty() == ["c/edited", "c/new", "c/staged", "other"]


def test_commit_leaves_working_tree_and_index_unchanged(
    workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit has the bot's name and the project's clock; index, files and branch are unchanged."""
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


def test_equal_commits_have_equal_ids(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal parent, content, message and clock give an equal id."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-04-05T06:07:08Z")
    made = {workspace.repository.commit("main", {"x": b"y"}, "Same") for _ in range(2)}
    assert len(made) == 1


def test_empty_commit_is_refused(workspace: GitWorkspace) -> None:
    """Content equal to the parent's raises GitError."""
    workspace.write({"x": "y"}, "X")
    with pytest.raises(GitError, match="nothing to commit"):
        workspace.repository.commit("main", {"x": b"y"}, "Again")


def test_branch_is_moved_only_from_the_expected_commit(workspace: GitWorkspace) -> None:
    """A branch that moved in between, and the branch that is checked out, are not moved."""
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
    """A merge commit is made even if a fast-forward is possible, because it records who approved."""
    repository, base = workspace.repository, workspace.repository.head()
    side = repository.commit(base, {"x": b"1"}, "X")
    repository.move_branch("side", side, seen=None)
    merged = repository.merge("side", "Merge side\n", author=PERSON)
    (commit, *_) = repository.log(merged)
    assert (commit.parents, commit.author, commit.subject) == ((base, side), PERSON.name, "Merge side")
    assert workspace.text("x") == "1"
    assert repository.dirty() == []


def test_merge_without_an_identity_is_refused(workspace: GitWorkspace) -> None:
    """Git would derive a name from the machine; the error names `git config user.name`."""
    repository = workspace.repository
    repository.move_branch("side", repository.commit("main", {"x": b"1"}, "X"), seen=None)
    with pytest.raises(GitError, match=r"git config user\.name"):
        repository.merge("side", "Merge")
    assert repository.resolve("main") == repository.head()


def test_merge_conflict_changes_nothing(workspace: GitWorkspace) -> None:
    """HEAD and working tree are unchanged, and no merge is in progress."""
    base = workspace.repository.head()
    side = workspace.repository.commit(base, {"x": b"theirs"}, "X")
    workspace.repository.move_branch("side", side, seen=None)
    ours = workspace.write({"x": "ours"}, "X")
    with pytest.raises(GitError, match="nothing was merged"):
        workspace.repository.merge("side", "Merge", author=PERSON)
    assert workspace.repository.head() == ours
    assert workspace.git("status", "--porcelain") == ""


def test_merge_does_not_overwrite_an_uncommitted_edit(workspace: GitWorkspace) -> None:
    """The merge is refused and the edited file stays."""
    workspace.write({"x": "1"}, "X")
    side = workspace.repository.commit("main", {"x": b"2"}, "X")
    workspace.repository.move_branch("side", side, seen=None)
    (workspace.root / "x").write_text("being edited")
    with pytest.raises(GitError, match="nothing was merged"):
        workspace.repository.merge("side", "Merge", author=PERSON)
    assert workspace.text("x") == "being edited"


def test_detached_head_has_no_branch(workspace: GitWorkspace) -> None:
    """The branch is None."""
    assert workspace.repository.branch() == "main"
    workspace.git("switch", "-q", "--detach")
    assert workspace.repository.branch() is None


def test_revision_is_not_read_as_an_option(workspace: GitWorkspace) -> None:
    """A revision that begins with a dash is not passed to git as an option."""
    assert workspace.repository.resolve("--all") is None
    assert workspace.repository.resolve("0" * 40) is None


def test_missing_commit_in_a_shallow_clone_names_fetch_depth(workspace: GitWorkspace, tmp_path: Path) -> None:
    """The error says to fetch the whole history."""
    first = workspace.repository.head()
    workspace.write({"x": "1"}, "X")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", workspace.root.as_uri(), str(clone)], check=True)
    with pytest.raises(GitError, match="fetch-depth: 0"):
        Repository(clone).commit_of(first)


def test_git_variables_of_a_hook_are_ignored(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_DIR and GIT_INDEX_FILE, which Git sets in hooks, do not change which repository is read."""
    head = workspace.repository.head()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert workspace.repository.head() == head
