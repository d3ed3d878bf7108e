"""Canaries on the AWS emulator, with the real template, function and alarms: sound ones, and bad ones of each kind.

The clock of the emulator and of `deploy` is simulated: a sender of requests moves it on while `deploy` waits.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from ml import config
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.errors import DeploymentFailed
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform

pytestmark = pytest.mark.slow

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANARY = "rollout: {traffic: canary, canary: {instances: 1, bake_minutes: 10}, termination_wait_seconds: 0, "


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A platform whose repository asks for a canary of one of two instances; the first model serves."""
    workspace = served.repository(tmp_path / "repository")
    serving = workspace.text(config.SERVING).replace("count: 1", "count: 2")
    head = serving.partition("rollout:")[0]
    workspace.write({config.SERVING: f"{head}{CANARY}timeout_minutes: 30}}\n"}, "Ask for a canary")
    with LocalAws(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root, repository="acme/fraud").state == "created"
        platform = ServedPlatform(workspace=workspace, cloud=cloud)
        platform.serve(-1.0)
        yield platform


@dataclass
class Traffic:
    """What the requests of a deployment met: the versions that answered; `error` for requests without an answer."""

    met: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """What the emulator's clock advanced."""

    def share(self, version: str) -> float:
        """The share of the requests that a version answered."""
        return self.met[version] / self.met.total()


@contextmanager
def traffic(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, *, per_minute: int, until: Callable[[], bool] = lambda: True
) -> Iterator[Traffic]:
    """Sends requests in the background and moves the clock on by ten seconds after each of their parts."""
    assert env.cloud is not None
    found, stop = Traffic(), threading.Event()
    clock = env.cloud.clock

    def set_clock() -> None:
        clock.set(START + timedelta(seconds=found.seconds))
        monkeypatch.setenv("FRAUDOPS_NOW", clock.now().isoformat())

    def send() -> None:
        while not stop.is_set():
            if not baking(env):
                stop.wait(0.02)
                continue
            for _ in range(per_minute // 6):
                version = "error"
                with suppress(ClientError):
                    version = str(env.answers()["model_version"])
                found.met[version] += 1
            found.seconds += 10
            set_clock()

    set_clock()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield found
    finally:
        stop.set()
        sender.join()
        clock.set(None)


def baking(env: ServedPlatform) -> bool:
    """Whether a canary takes traffic."""
    described = client("sagemaker").describe_endpoint(EndpointName=env.endpoint_name)
    variants = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return any("VariantStatus" in variant for variant in variants)


def test_sound_canary_takes_half_and_then_everything(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """It bakes for ten minutes, meets half of the requests, and serves alone afterwards."""
    env.approve(env.register(-1.1))
    with traffic(env, monkeypatch, per_minute=30) as sent:
        result = deploy(env.root)
    assert (result.state, result.approval) == ("updated", 2)
    assert sent.seconds >= 600
    assert 0.35 <= sent.share("0002") <= 0.65
    assert env.answers()["model_version"] == "0002"


def test_function_may_read_the_alarms_that_it_names(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update of a canary needs the role's statement; the alarms are the stack's."""
    env.approve(env.register(-1.1))
    with traffic(env, monkeypatch, per_minute=6):
        deploy(env.root)
    assert env.cloud is not None
    deployed = client("sagemaker").describe_endpoint(EndpointName=env.endpoint_name)["LastDeploymentConfig"]
    named = {alarm["AlarmName"] for alarm in deployed["AutoRollbackConfiguration"]["Alarms"]}
    stack = client("cloudformation").describe_stack_resources(StackName="fraudops")["StackResources"]
    alarms = {each["PhysicalResourceId"] for each in stack if each["ResourceType"] == "AWS::CloudWatch::Alarm"}
    assert len(named) == 2
    assert named < alarms


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "def transform_fn(model, body, content_type, accept):\n    raise RuntimeError('cannot score')",
            "Invocation5XXErrors",
        ),
        (
            "def transform_fn(model, body, content_type, accept):\n    import os\n    os._exit(3)",
            "died twice|Invocation5XXErrors",
        ),
        (  # sleeps longer than the alarm's limit: that is its fault
            "_score = transform_fn\n\ndef transform_fn(model, body, content_type, accept):\n"
            "    import time\n    time.sleep(0.6)\n    return _score(model, body, content_type, accept)",
            "ModelLatency",
        ),
    ],
    ids=["crash", "death", "slow"],
)
def test_canary_that_fails_is_rolled_back(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    """It never takes more than its share; the deployment fails and says why; the former model serves."""
    env.approve(env.register(-1.1, more_code=code))
    with traffic(env, monkeypatch, per_minute=30) as sent, pytest.raises(DeploymentFailed, match=reason):
        deploy(env.root)
    assert sent.seconds <= 240
    assert sent.share("0002") + sent.share("error") <= 0.7
    assert {str(env.answers()["model_version"]) for _ in range(10)} == {"0001"}
