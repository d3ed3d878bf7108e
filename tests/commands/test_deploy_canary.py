"""Canaries on the AWS emulator, with the real template, function and alarms: sound ones, and bad ones of each kind.

The clock of the emulator and of `deploy` is simulated: a sender of requests advances it while `deploy` waits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml import config
from ml.aws import cloudwatch_metrics, deployment_records, session
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.errors import CloudError, DeploymentFailed, Refused
from ml.release import canary_watch
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.platform import canaries
from tests.harness.platform.canaries import SOUND, traffic
from tests.harness.platform.served import ServedPlatform

pytestmark = pytest.mark.slow


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A platform whose repository asks for a canary of one of two instances; the first model serves."""
    with canaries.platform(tmp_path, monkeypatch) as made:
        yield made


def test_sound_canary_takes_half_and_then_everything(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """It bakes for ten minutes, meets half of the requests, is compared every minute, and serves alone afterwards."""
    env.approve(env.register(SOUND))
    with traffic(env, monkeypatch) as sent:
        result = deploy(env.root)
    assert (result.state, result.approval) == ("updated", 2)
    assert sent.seconds >= 600
    assert 0.4 <= sent.share("0002") <= 0.6
    assert env.answers()["model_version"] == "0002"
    answers = canaries.published(env, canary_watch.ANSWERS, canaries.START)
    assert len(answers) >= 10
    assert answers == sorted(answers)
    assert answers[-1] > 5_000
    for metric in (canary_watch.ALERTS, canary_watch.SCORES):
        assert max(canaries.published(env, metric, canaries.START)) < 1
    assert re.search(r"of [\d,]+ answers of the new model [\d,]+ \(\d+\.\d\d%\) are alerts", result.canary or "")


def test_function_may_read_the_alarms_that_it_names(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update of a canary needs the role's statement; the alarms are the stack's."""
    env.approve(env.register(SOUND))
    with traffic(env, monkeypatch, per_minute=6):
        deploy(env.root)
    assert env.cloud is not None
    deployed = client("sagemaker").describe_endpoint(EndpointName=env.endpoint_name)["LastDeploymentConfig"]
    named = {alarm["AlarmName"] for alarm in deployed["AutoRollbackConfiguration"]["Alarms"]}
    stack = client("cloudformation").describe_stack_resources(StackName="fraudops")["StackResources"]
    alarms = {each["PhysicalResourceId"] for each in stack if each["ResourceType"] == "AWS::CloudWatch::Alarm"}
    assert len(named) == 4
    assert named < alarms


def test_deploy_role_may_compare_a_canary(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy.yml reads captured answers and publishes evidence with its role: no call is denied."""
    env.approve(env.register(SOUND))
    assert env.cloud is not None
    role = bootstrap(env.root, repository="acme/fraud").variables["FRAUDOPS_ROLE_DEPLOY"]
    WorkflowIdentity(env.cloud).assume(role, monkeypatch)
    session.renew()
    with traffic(env, monkeypatch, per_minute=30):
        assert deploy(env.root).state == "updated"
    assert canaries.published(env, canary_watch.ANSWERS, canaries.START)[-1] > 0
    env.cloud.flush()
    lines = map(json.loads, (env.cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
    decided = [line for line in lines if line["entity"] == role]
    assert [line["action"] for line in decided if line["decision"] != "allowed"] == []
    used = {sid for line in decided for _, sid in line["statements"]}
    assert {"ListOutcomesHistoryAndAnswers", "ReadOutcomesHistoryAndAnswers", "PublishCanaryMetrics"} <= used


def test_canary_that_could_not_be_compared_is_a_warning(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model serves: the smoke test runs, the record says succeeded, the summary and the run have the reason."""

    def refuse(*_: object, **__: object) -> int:
        raise CloudError("CloudWatch cannot be reached")

    monkeypatch.setattr(cloudwatch_metrics, "publish", refuse)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    env.approve(env.register(SOUND))
    with traffic(env, monkeypatch, per_minute=6, compares=False):
        result = deploy(env.root)
    warning = "The last answers of the canary were not compared with its model's baseline: CloudWatch cannot be reached"
    assert (result.state, result.canary_warning) == ("updated", warning)
    assert result.smoke is not None
    recorded = deployment_records.history(env.where.bucket)[-1]
    assert (recorded.approval, recorded.status, recorded.reason) == (2, "succeeded", "")
    assert recorded.smoke is not None
    assert warning in (tmp_path / "summary.md").read_text("utf-8")
    assert f"::warning::{warning}" in capsys.readouterr().err
    assert env.answers()["model_version"] == "0002"


def test_canary_of_the_same_approval_is_not_compared(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both fleets answer with its version; the result says so, and no evidence is published."""
    serving = env.workspace.text(config.SERVING).replace("count: 2", "count: 3")
    env.workspace.write({config.SERVING: serving}, "Serve with three instances")
    with traffic(env, monkeypatch, per_minute=6, compares=False) as sent:
        result = deploy(env.root)
    assert (result.state, result.approval, result.canary_warning) == ("updated", 1, None)
    assert result.canary == "not compared: approval 0001 served before, and its fleets' answers cannot be told apart"
    assert sent.seconds >= 600
    assert canaries.published(env, canary_watch.ANSWERS, canaries.START) == []


@pytest.mark.parametrize(
    ("bad", "reason", "seconds"),
    [
        ("crashes", "Invocation5XXErrors", 60),
        ("is slow", "ModelLatency", 240),
        ("alerts on everything", r"CanaryAlertRateAlarm.* \(100\.00%\) are alerts, of its baseline \d\.\d\d%", 180),
        ("alerts on nothing", r"CanaryAlertRateAlarm.* 0 \(0\.00%\) are alerts, of its baseline \d\.\d\d%", 240),
        ("scores shifted", r"CanaryScoreAlarm.*scores differ from the baseline's by up to 0\.\d\d", 180),
    ],
)
def test_bad_canary_is_rolled_back(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, bad: str, reason: str, seconds: float
) -> None:
    """It never takes more than its share; the deployment fails and says why with figures; the former model serves.

    The slow model gets fewer requests: each answer takes real time.
    """
    env.approve(env.register(SOUND, more_code=canaries.BAD[bad]))
    with (
        traffic(env, monkeypatch, per_minute=12 if bad == "is slow" else 60) as sent,
        pytest.raises(DeploymentFailed, match=reason),
    ):
        deploy(env.root)
    assert sent.seconds <= seconds
    assert sent.share("0002", "error") <= 0.65
    assert {str(env.answers()["model_version"]) for _ in range(10)} == {"0001"}


def test_canary_that_dies_is_rolled_back(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends at its first request; the former model serves."""
    env.approve(env.register(SOUND, more_code=canaries.DEATH))
    with (
        traffic(env, monkeypatch) as sent,
        pytest.raises(DeploymentFailed, match=r"died twice|Invocation5XXErrors"),
    ):
        deploy(env.root)
    assert sent.seconds <= 240
    assert {str(env.answers()["model_version"]) for _ in range(10)} == {"0001"}


def test_model_without_a_baseline_is_no_canary(env: ServedPlatform) -> None:
    """It is refused before anything changes: nothing could be compared."""
    env.approve(env.register(SOUND, baseline=b'{"fitted": []}'))
    with pytest.raises(Refused, match=r"baseline\.json cannot be compared .*all_at_once"):
        deploy(env.root)
    assert env.answers()["model_version"] == "0001"
