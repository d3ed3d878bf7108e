"""The real drift.yml and deploy.yml on both emulators: what is changed by hand is put back once, and explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from github.Issue import Issue

from ml import config
from ml.aws import autoscaling
from ml.aws.session import client
from ml.gitops import environments
from ml.gitops.environments import PRODUCTION
from tests.harness.git import checkout
from tests.harness.platform import monitored, served
from tests.harness.platform.served import ENDPOINT
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CHECK, HEAL, DEPLOY = "Check traffic and labels for drift", "Put back what Git says", "Deploy"
RESOURCE = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{ENDPOINT}/variant/{autoscaling.VARIANT}"}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
BY_HAND = "by-hand"


def healing(root: Path) -> None:
    """The repository asks for self-healing, and lets AWS scale the endpoint."""
    text = (root / config.SERVING).read_text("utf-8")
    scaling = "autoscaling: {min: 1, max: 3, invocations_per_instance: 600}"
    (root / config.SERVING).write_text(f"{text}{scaling}\n", "utf-8")
    checkout.set_values(root, config.SERVING, {"self_heal": True})


def describe() -> dict[str, Any]:
    """The endpoint."""
    found: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return found


def move(name: str) -> None:
    """Moves the endpoint to a configuration by hand, and waits."""
    client("sagemaker").update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=name, RetainAllVariantProperties=True)
    waiter = client("sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def switch_capture_off() -> None:
    """Makes a configuration without data capture by hand, and moves the endpoint to it."""
    found = client("sagemaker").describe_endpoint_config(EndpointConfigName=describe()["EndpointConfigName"])
    client("sagemaker").create_endpoint_config(
        EndpointConfigName=BY_HAND, ProductionVariants=found["ProductionVariants"]
    )
    move(BY_HAND)


def scale_to(count: int) -> None:
    """What Application Auto Scaling does under load."""
    scaling, found = client("application-autoscaling"), autoscaling.read(ENDPOINT)
    assert found is not None
    scaling.register_scalable_target(**RESOURCE, ScalableDimension=DIMENSION, MinCapacity=count)
    scaling.register_scalable_target(**RESOURCE, ScalableDimension=DIMENSION, MinCapacity=found.least)
    assert describe()["ProductionVariants"][0]["DesiredInstanceCount"] == count


def issues(env: WorkflowEnvironment) -> list[Issue]:
    """Those of self-healing, oldest first."""
    found = env.bot.api.get_issues(state="all", labels=["self-heal"])
    return sorted(found, key=lambda issue: issue.number)


def comments(issue: Issue) -> list[str]:
    """The comments without their hidden line."""
    return [comment.body.partition("\n")[2] for comment in issue.get_comments()]


def check(env: WorkflowEnvironment) -> environment.Fired:
    """Starts the drift check; returns what ran."""
    env.dispatch("drift.yml")
    return env.fired()


def test_change_by_hand_is_put_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One deployment and one issue; a second sight asks a person; no deployment beside one that waits, nor against
    the instances that AWS chooses.
    """
    monkeypatch.setattr(served, "archive", lambda _, provenance, **__: monitored.archive(provenance=provenance))
    with environment.started(tmp_path, set_state=healing) as env:
        env.clouds.aws.quotas.set({"instances": {"ml.m5.large for endpoint usage": 8}})
        environment.equip(env)
        for file in ("ci.yml", "train.yml"):
            env.switch(file, on=False)
        env.push({config.DATA: monitored.with_four_inputs(env.workspace.text(config.DATA))}, "Train on four inputs")
        env.bot.env.approve(env.bot.register(0.0))
        env.bot.push()
        assert passed(env.fired()["deploy.yml"]) == {DEPLOY}
        wanted = describe()["EndpointConfigName"]

        # Nothing differs, also while AWS runs two instances: no third job, no issue.
        scale_to(2)
        (run,) = check(env).values()
        assert passed(run) == {CHECK}
        assert "### Nothing differs from Git" in run.summary
        assert issues(env) == []

        # Somebody switches capture off. The deployment keeps the instances that AWS has chosen.
        switch_capture_off()
        fired = check(env)
        assert passed(fired["drift.yml"]) == {CHECK, HEAL}
        assert "| endpoint | differs |" in fired["drift.yml"].summary
        assert passed(fired["deploy.yml"]) == {DEPLOY}
        assert describe()["EndpointConfigName"] == wanted
        assert describe()["ProductionVariants"][0]["DesiredInstanceCount"] == 2
        (issue,) = issues(env)
        assert f"endpoint {ENDPOINT} runs {BY_HAND}, and {wanted} was deployed" in issue.body
        assert "| configuration |" in issue.body
        assert fired["deploy.yml"].title.startswith(f"deploy: self-heal #{issue.number} ")
        assert fired["deploy.yml"].event == "workflow_dispatch"
        assert "was started" in comments(issue)[0]

        # It is switched off again before the next check: a person is asked, and nothing is started.
        move(BY_HAND)
        fired = check(env)
        assert set(fired) == {"drift.yml"}
        assert passed(fired["drift.yml"]) == {CHECK, HEAL}
        assert "deploy.yml is not started again" in fired["drift.yml"].log
        assert comments(issue)[-1].startswith("**This needs a person.**")
        assert describe()["EndpointConfigName"] == BY_HAND

        # The person puts it back: the issue is closed.
        move(wanted)
        assert passed(check(env)["drift.yml"]) == {CHECK, HEAL}
        (issue,) = issues(env)
        assert (issue.state, comments(issue)[-1]) == ("closed", "What `deploy.yml` deploys is what Git says again.")

        # A deployment waits for its reviewer: nothing is started beside it, and no issue is opened.
        github = env.bot.hub.client(env.clouds.github.token("acme"))
        env.clouds.github.state.user("bob")
        environments.ensure(github, [PRODUCTION])
        environments.set_reviewers(github, PRODUCTION, ["bob"])
        env.dispatch("deploy.yml", reason="try the reviewer")
        (waiting,) = env.runs()
        assert waiting.status == "waiting"
        move(BY_HAND)
        fired = check(env)
        assert set(fired) == {"drift.yml"}
        assert passed(fired["drift.yml"]) == {CHECK, HEAL}
        assert "Nothing is started now: a run of deploy.yml is waiting" in fired["drift.yml"].log
        assert [each.number for each in issues(env)] == [issue.number]
