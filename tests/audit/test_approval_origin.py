"""How an approval reached main: what Git and GitHub say about the same merge commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ml.audit import approval_origin
from ml.audit.approval_origin import Origin
from ml.gitops.merged_pulls import MergedPull
from ml.gitops.repository import Commit

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


PULL = MergedPull(
    number=7,
    url="https://github.com/acme/fraudops/pull/7",
    title="Serve approval 0001",
    branch="approve/0001",
    head_sha="b" * 40,
    author="a",
    merged_by="carol",
    merged_at=MOMENT,
    approved_by=("bob",),
)


def differences(pull: MergedPull | None, *parents: str, unread: str = "") -> list[str]:
    """Those of a merge commit and its pull request."""
    commit = Commit(sha="d" * 40, parents=parents, author="x", time=MOMENT, subject="Merge")
    origin = Origin(commit=commit.sha, author="x", time=MOMENT, subject="Merge", pull=pull, unread=unread)
    return approval_origin.differences(commit, origin)


@pytest.mark.parametrize(
    ("parents", "differ"), [(("a" * 40, "b" * 40), False), (("a" * 40, "c" * 40), True), (("a" * 40,), False)]
)
def test_head_of_the_pull_request_is_what_git_merged(parents: tuple[str, ...], differ: bool) -> None:
    """Another second parent is a difference; a squashed commit has no second parent."""
    expected = "#7 on GitHub merged bbbbbbbbbbbb, and its merge commit dddddddddddd has cccccccccccc"
    assert differences(PULL, *parents) == ([expected] if differ else [])


def test_merge_without_a_pull_request_is_a_difference() -> None:
    """It is one only if GitHub was asked."""
    expected = "commit dddddddddddd came to the branch without a pull request on GitHub"
    assert differences(None, "a" * 40) == [expected]
    assert differences(None, "a" * 40, unread="GITHUB_TOKEN must be set") == []


def test_merge_without_a_review_is_a_difference() -> None:
    """Who merged is not taken for a reviewer."""
    expected = "#7 was merged by carol without a review that approves bbbbbbbbbbbb"
    assert differences(replace(PULL, approved_by=()), "a" * 40, "b" * 40) == [expected]
