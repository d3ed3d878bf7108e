"""Commit statuses and deployments on the GitHub emulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import GitHubError
from ml.gitops import statuses
from tests.harness.github.emulator import Hub


def test_latest_status_of_a_context_is_returned(hub: Hub) -> None:
    """Contexts are independent; a commit without a status of a context has none."""
    github, sha = hub.client(), hub.workspace.repository.head()
    assert statuses.status(github, sha, statuses.CI) is None
    statuses.set_status(github, sha, context=statuses.CI, state="pending", description="running")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/abcdefghijkl"
    statuses.set_status(github, sha, context=statuses.TRAINING, state="pending", description=arn)
    statuses.set_status(
        github, sha, context=statuses.CI, state="success", description="all green", target_url="https://git.invalid/1"
    )
    found = statuses.status(github, sha, statuses.CI)
    assert found is not None
    assert (found.state, found.description, found.target_url) == ("success", "all green", "https://git.invalid/1")
    training = statuses.status(github, sha, statuses.TRAINING)
    assert training is not None
    assert (training.description, training.target_url) == (arn, None)


def test_long_description_is_shortened(hub: Hub) -> None:
    """GitHub accepts at most 140 characters."""
    github, sha = hub.client(), hub.workspace.repository.head()
    statuses.set_status(github, sha, context=statuses.CI, state="failure", description="a\n long " * 40)
    found = statuses.status(github, sha, statuses.CI)
    assert found is not None
    assert len(found.description) <= 140
    assert found.description.endswith("…")


@given(st.text(max_size=400))
def test_shortened_text_is_one_line_with_the_same_beginning(text: str) -> None:
    """At most 140 characters; text that fits is unchanged."""
    short, line = statuses.shorten(text), " ".join(text.split())
    assert len(short) <= 140
    assert "\n" not in short
    assert short == line if len(line) <= 140 else line.startswith(short[:-1]) and short[-1] == "…"


def test_status_on_an_unknown_commit_is_an_error(hub: Hub) -> None:
    """The error names the commit."""
    with pytest.raises(GitHubError, match="posting fraudops/ci on ffffffffffff"):
        statuses.set_status(hub.client(), "f" * 40, context=statuses.CI, state="success", description="x")


def test_rerun_continues_its_deployment(hub: Hub) -> None:
    """One deployment per commit and environment; a success makes the one before inactive."""
    github, first = hub.client(), hub.workspace.repository.head()
    made = statuses.begin_deployment(
        github, first, environment="production", description="Approval 0007", payload={"approval": 7}
    )
    assert (made.sha, made.environment, made.state) == (first, "production", None)
    statuses.set_deployment(
        github, made, state="in_progress", description="waiting", log_url="https://git.invalid/runs/1"
    )
    again = statuses.begin_deployment(github, first, environment="production", description="Approval 0007")
    assert (again.id, again.state) == (made.id, "in_progress")
    statuses.set_deployment(github, again, state="success", description="serving")
    second = hub.branch("bot/next")
    following = statuses.begin_deployment(github, second, environment="production", description="Approval 0008")
    assert following.id != made.id
    statuses.set_deployment(github, following, state="success", description="serving")
    api = hub.person()
    assert next(each.state for each in api.get_deployment(made.id).get_statuses()) == "inactive"
    deployment = api.get_deployment(made.id)
    assert (deployment.task, deployment.payload, deployment.production_environment) == (
        "deploy:model",
        {"approval": 7},
        True,
    )
    back = statuses.begin_deployment(github, first, environment="production", description="Approval 0007 again")
    assert back.id not in (made.id, following.id)
    other = statuses.begin_deployment(github, second, environment="staging", description="x")
    assert other.id != following.id
