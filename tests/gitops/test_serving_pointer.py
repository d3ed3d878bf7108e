"""Setting the serving pointer without changing the rest of the file, and its history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.errors import ConfigError
from ml.gitops import serving_pointer
from tests.harness.git.repositories import PERSON, SERVING, GitWorkspace


def test_only_the_value_changes() -> None:
    """Comments, order, spacing and all other keys are unchanged, byte for byte."""
    moved = serving_pointer.set_approval(SERVING, 7)
    assert moved == SERVING.replace("approval: null", "approval: 7")
    assert serving_pointer.set_approval(moved, 12) == SERVING.replace("approval: null", "approval: 12")


comments = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=20)


@given(
    before=st.sampled_from(["null", "~", "", "1", "907", "Null"]),
    gap=st.sampled_from([" ", "   "]),
    comment=st.one_of(st.none(), comments),
    order=st.permutations(["approval", "endpoint", "instance", "capture", "rollout"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    after=st.integers(1, 99_999),
)
def test_any_layout_is_kept(
    *, before: str, gap: str, comment: str | None, order: list[str], newline: str, after: int
) -> None:
    """Whatever the order, line ends and comments, only the approval changes."""
    rest = {line.split(":")[0]: line for line in SERVING.splitlines()[2:]}
    pointer = f"approval:{gap}{before}{f'  # {comment}' if comment is not None else ''}"
    lines = [pointer if key == "approval" else rest[key] for key in order]
    text = "# approval: 3 is what a comment says" + newline + newline.join(lines) + newline
    moved = serving_pointer.set_approval(text, after)
    parsed = config.parse(moved, config.SERVING, config.ServingFile)
    assert parsed == config.parse(text, config.SERVING, config.ServingFile).model_copy(update={"approval": after})
    kept = [line for line in text.split(newline) if not line.startswith("approval:")]
    assert [line for line in moved.split(newline) if not line.startswith("approval:")] == kept
    if comment is not None:
        assert f"# {comment}" in moved


def test_invalid_file_is_refused() -> None:
    """A serving file with a missing key raises ConfigError."""
    with pytest.raises(ConfigError, match="endpoint is missing"):
        serving_pointer.set_approval("approval: 1\n", 2)


def merged(workspace: GitWorkspace, approval: int) -> tuple[str, str]:
    """Moves the pointer on a branch and merges it, as a pull request does; the pointer's commit and the merge."""
    text = serving_pointer.set_approval(serving_pointer.read_text(workspace.repository, "main"), approval)
    pointer = workspace.repository.commit("main", {config.SERVING: text.encode()}, f"Serve approval {approval:04d}")
    workspace.repository.move_branch(f"approve/{approval:04d}-{pointer[:7]}", pointer, seen=None)
    return pointer, workspace.repository.merge(pointer, "Merge", author=PERSON)


def test_move_has_the_pointers_commit_and_the_merge(workspace: GitWorkspace) -> None:
    """A rollback reverts the first; the second has the time and the approver."""
    first, first_merge = merged(workspace, 1)
    text = workspace.text(config.SERVING)
    workspace.write({config.SERVING: text.replace("ml.m5.large", "ml.m5.xlarge")}, "A larger instance")
    second, second_merge = merged(workspace, 2)
    found = serving_pointer.moves(workspace.repository, "main")
    assert [(move.before, move.after) for move in found] == [(None, 1), (1, 2)]
    assert [move.pointer.sha for move in found] == [first, second]
    assert [move.landed.sha for move in found] == [first_merge, second_merge]


def test_move_committed_on_main_has_one_commit(workspace: GitWorkspace) -> None:
    """Without a pull request both are the same commit."""
    sha = workspace.write({config.SERVING: SERVING.replace("null", "1")}, "Serve 1")
    (move,) = serving_pointer.moves(workspace.repository, "main")
    assert (move.pointer.sha, move.landed.sha) == (sha, sha)


def test_commit_with_an_unreadable_file_is_no_move(workspace: GitWorkspace) -> None:
    """Nothing was deployed from it, so the history skips it."""
    for text in (SERVING.replace("null", "1"), "approval: [", SERVING.replace("null", "2")):
        workspace.write({config.SERVING: text}, "Edit")
    assert [(move.before, move.after) for move in serving_pointer.moves(workspace.repository, "main")] == [
        (None, 1),
        (1, 2),
    ]


@pytest.mark.parametrize(
    ("pointed", "former"),
    [
        ([], []),
        ([1], []),
        ([1, 2], [1]),
        ([1, 2, 3], [2, 1]),
        ([1, 2, 1], []),
        ([1, 2, 3, 2], [1]),
        ([1, 2, 3, 1], []),
        ([1, 2, 1, 3], [1]),
        ([1, 2, 1, 2], [1]),
        ([1, None], [1]),
        ([1, 2, None], [2, 1]),
    ],
)
def test_second_rollback_goes_further_back(
    workspace: GitWorkspace, pointed: list[int | None], former: list[int]
) -> None:
    """An approval that was rolled back is not a rollback target again."""
    for approval in pointed:
        value = "null" if approval is None else str(approval)
        workspace.write({config.SERVING: SERVING.replace("null ", f"{value} ")}, f"Point at {value}")
    assert serving_pointer.rollback_targets(serving_pointer.moves(workspace.repository, "main")) == former
