"""Commit statuses and deployments on the GitHub emulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import GitHubError
from ml.gitops import commit_statuses
from tests.harness.github.emulator import Hub


def test_latest_status_of_a_context_is_returned(hub: Hub) -> None:
    """Contexts are independent; a commit without a status of a context has none."""
    github, sha = hub.client(), hub.workspace.repository.head()
    assert commit_statuses.status(github, sha, commit_statuses.CI) is None
    commit_statuses.set_status(github, sha, context=commit_statuses.CI, state="pending", description="running")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/abcdefghijkl"
    commit_statuses.set_status(github, sha, context=commit_statuses.TRAINING, state="pending", description=arn)
    commit_statuses.set_status(
        github,
        sha,
        context=commit_statuses.CI,
        state="success",
        description="all green",
        target_url="https://git.invalid/1",
    )
    found = commit_statuses.status(github, sha, commit_statuses.CI)
    assert found is not None
    assert (found.state, found.description, found.target_url) == ("success", "all green", "https://git.invalid/1")
    training = commit_statuses.status(github, sha, commit_statuses.TRAINING)
    assert training is not None
    assert (training.description, training.target_url) == (arn, None)


def test_long_description_is_shortened(hub: Hub) -> None:
    """GitHub accepts at most 140 characters."""
    github, sha = hub.client(), hub.workspace.repository.head()
    commit_statuses.set_status(github, sha, context=commit_statuses.CI, state="failure", description="a\n long " * 40)
    found = commit_statuses.status(github, sha, commit_statuses.CI)
    assert found is not None
    assert len(found.description) <= 140
    assert found.description.endswith("…")


@given(st.text(max_size=400))
def test_shortened_text_is_one_line_with_the_same_beginning(text: str) -> None:
    """At most 140 characters; text that fits is unchanged."""
    short, line = commit_statuses.shorten(text), " ".join(text.split())
    assert len(short) <= 140
    assert "\n" not in short
    assert short == line if len(line) <= 140 else line.startswith(short[:-1]) and short[-1] == "…"


def test_status_on_an_unknown_commit_is_an_error(hub: Hub) -> None:
    """The error names the commit."""
    with pytest.raises(GitHubError, match="posting fraudops/ci on ffffffffffff"):
        commit_statuses.set_status(hub.client(), "f" * 40, context=commit_statuses.CI, state="success", description="x")
