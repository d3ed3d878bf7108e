"""Deployments on GitHub: a re-run continues the latest one, and a success makes the former ones inactive."""

from __future__ import annotations

from ml.gitops import deployments
from tests.harness.github.emulator import Hub


def test_rerun_continues_its_deployment(hub: Hub) -> None:
    """One deployment per commit and environment; a success makes the one before inactive."""
    github, first = hub.client(), hub.workspace.repository.head()
    made = deployments.begin_deployment(
        github, first, environment="production", description="Approval 0007", payload={"approval": 7}
    )
    assert (made.sha, made.environment, made.state) == (first, "production", None)
    deployments.set_deployment(
        github, made, state="in_progress", description="waiting", log_url="https://git.invalid/runs/1"
    )
    again = deployments.begin_deployment(github, first, environment="production", description="Approval 0007")
    assert (again.id, again.state) == (made.id, "in_progress")
    deployments.set_deployment(github, again, state="success", description="serving")
    second = hub.branch("bot/next")
    following = deployments.begin_deployment(github, second, environment="production", description="Approval 0008")
    assert following.id != made.id
    deployments.set_deployment(github, following, state="success", description="serving")
    api = hub.person()
    assert next(each.state for each in api.get_deployment(made.id).get_statuses()) == "inactive"
    deployment = api.get_deployment(made.id)
    assert (deployment.task, deployment.payload, deployment.production_environment) == (
        "deploy:model",
        {"approval": 7},
        True,
    )
    back = deployments.begin_deployment(github, first, environment="production", description="Approval 0007 again")
    assert back.id not in (made.id, following.id)
    other = deployments.begin_deployment(github, second, environment="staging", description="x")
    assert other.id != following.id
