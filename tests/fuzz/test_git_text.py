"""Commits of others: subjects, authors, dates and file names of any bytes are read, and shown as what they are."""

from __future__ import annotations

import subprocess
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import GitError
from ml.gitops.repository import Repository
from tests.fuzz.untrusted import COMMANDS, MARKUP
from tests.harness.fuzzing import examples
from tests.harness.git.repositories import GitWorkspace

_WORDS = st.sampled_from([*(text.encode() for text in (*COMMANDS, *MARKUP)), b"\x1f", b"\x1e", b"\xff\xfe", b"\x1b[2J"])
_BYTES = st.one_of(st.binary(max_size=20), st.lists(_WORDS, min_size=1, max_size=3).map(b" ".join))
MESSAGES = _BYTES.map(lambda content: content.replace(b"\0", b""))
AUTHORS = MESSAGES.map(lambda content: content.translate(None, b"<>\n") or b"a")
DATES = st.sampled_from(
    [b"1770000000 +0100", b"0 +0000", b"253402300799 +1400", b"999999999999 +0000", b"-1 +0000", b"1 +9999", b"x"]
)
FILES = st.lists(
    MESSAGES.map(lambda content: content.replace(b"/", b"|")).filter(
        lambda name: name not in (b"", b".", b"..", b".git")
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> GitWorkspace:
    """A repository with one commit."""
    return GitWorkspace.make(tmp_path_factory.mktemp("git") / "repository")


def git(root: Path, *arguments: str, stdin: bytes) -> str:
    """What git prints for `stdin`."""
    done = subprocess.run(["git", *arguments], cwd=root, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


@given(message=MESSAGES, author=AUTHORS, date=DATES, names=FILES)
@examples(25)
def test_any_commit_is_read(
    workspace: GitWorkspace, message: bytes, author: bytes, date: bytes, names: list[bytes]
) -> None:
    """One commit stays one commit with its own fields, and every file that it added is found under its name."""
    root = workspace.root
    base = workspace.repository.head()
    blob = git(root, "hash-object", "-w", "--stdin", stdin=b"x")
    entries = [b"100644 blob %s\t%s\0" % (blob.encode(), name) for name in names]
    folder = git(root, "mktree", "-z", stdin=b"".join(entries))
    tree = git(root, "mktree", "-z", stdin=b"040000 tree %s\tmodel-config\0" % folder.encode())
    raw = b"tree %s\nparent %s\nauthor %s <a@b.invalid> %s\ncommitter C <c@d.invalid> 1770000000 +0000\n\n%s" % (
        tree.encode(), base.encode(), author, date, message
    )  # fmt: skip
    sha = git(root, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw)
    repository = Repository(root)
    newest, *before = repository.log(sha)
    assert (newest.sha, newest.parents, [commit.sha for commit in before]) == (sha, (base,), [base])
    assert newest.time.astimezone(UTC).year <= 9999
    assert (newest.subject + newest.author).encode("utf-8").count(b"\n") == 0  # and no half of a surrogate pair
    paths = sorted(f"model-config/{name.decode('utf-8', 'surrogateescape')}" for name in names)
    assert sorted(path for found, path in repository.additions(sha, "model-config") if found == sha) == paths
    assert sorted(repository.files(sha, "model-config")) == paths
    changed = repository.changes(base, sha, "model-config")
    assert {path for path, kind in changed.items() if kind == "A"} == set(paths)


@given(
    st.one_of(
        st.sampled_from([*COMMANDS, "--output=harm", "-n1", "HEAD:harm", "@{-1}", "main..main"]), st.text(max_size=20)
    )
)
@examples(25)
def test_any_revision_is_a_commit_or_a_git_error(workspace: GitWorkspace, revision: str) -> None:
    """A name that looks like an option is a name; nothing is written beside the repository."""
    before = sorted(path.name for path in workspace.root.parent.iterdir())
    for read in (workspace.repository.commit_of, workspace.repository.log):
        call: Any = read
        try:
            call(revision)
        except GitError as error:
            assert str(error)
    assert not (workspace.root / "harm").exists()
    assert sorted(path.name for path in workspace.root.parent.iterdir()) == before
