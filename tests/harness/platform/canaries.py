"""A platform that deploys canaries under traffic, with a simulated clock, and bad models; not a test itself.

The clock of the emulator and of `deploy` is the sender's: it advances by ten seconds after each part of a minute's
requests, and waits after each minute until `deploy` has compared the answers of that minute.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from ml import config
from ml.aws import cloudwatch_metrics, endpoint
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.release import canary_watch
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = "{instances: 1, bake_minutes: 10, false_alarm_rate: 0.01, max_alert_rate_ratio: 2, max_score_shift: 0.1}"
ROLLOUT = f"rollout: {{traffic: canary, canary: {SETTINGS}, termination_wait_seconds: 0, timeout_minutes: 30}}\n"
SOUND = -2.6
"""The intercept of a model that alerts on five rows of a hundred."""
BATCH_ROWS = 25
_POLLS = 500  # for the comparison of one minute, which takes at most some hundred
_WRAP = "_score = transform_fn\n\ndef transform_fn(model, body, content_type, accept):\n"
_EDIT = f"""{_WRAP}    import json
    data, kind = _score(model, body, content_type, 'application/json')
    answer = json.loads(data)
    for row in answer['predictions']:
        %s
    return json.dumps(answer).encode(), kind
"""
BAD: dict[str, str] = {
    "crashes": f"{_WRAP}    raise RuntimeError('cannot score')\n",
    # The sleep is the fault: longer than the latency that the alarm allows.
    "is slow": f"{_WRAP}    import time\n    time.sleep(0.6)\n    return _score(model, body, content_type, accept)\n",
    "alerts on everything": _EDIT % "row['decision'] = 1",
    "alerts on nothing": _EDIT % "row['decision'] = 0",
    "scores shifted": _EDIT % "row['score'] = row['score'] ** 0.5",
}
"""Code that is appended to a model's handler, by what the model then does."""
DEATH = f"{_WRAP}    import os\n    os._exit(3)\n"


@contextmanager
def platform(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A platform whose repository asks for a canary of one of two instances; approval 0001 serves."""
    # A minute of the simulated clock takes less time than between two looks of `deploy`, for which its sender waits.
    monkeypatch.setattr(endpoint, "LONGEST_WATCHED_POLL_SECONDS", 0.05)
    workspace = served.repository(folder / "repository")
    serving = workspace.text(config.SERVING).replace("count: 1", "count: 2")
    workspace.write({config.SERVING: serving.partition("rollout:")[0] + ROLLOUT}, "Ask for a canary")
    with LocalAws(folder / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root, repository="acme/fraud").state == "created"
        env = ServedPlatform(workspace=workspace, cloud=cloud)
        env.serve(SOUND + 0.1)
        yield env


@dataclass
class Traffic:
    """What the requests of a deployment met: the versions that answered; `error` for requests without an answer."""

    met: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """What the emulator's clock advanced."""

    def share(self, *versions: str) -> float:
        """The share of the requests that these versions answered."""
        return sum(self.met[version] for version in versions) / self.met.total()


class Sender:
    """Sends requests while a canary bakes."""

    def __init__(
        self, env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, per_minute: int, seed: int, *, compares: bool
    ) -> None:
        assert env.cloud is not None
        self.traffic, self.stop = Traffic(), threading.Event()
        self._env, self._cloud, self._patch, self._parts = env, env.cloud, monkeypatch, per_minute // 6
        self._seed, self._compares = seed * 100_000, compares

    def set_clock(self) -> datetime:
        """Sets the emulator's clock and that of `deploy`, and returns their time."""
        now = START + timedelta(seconds=self.traffic.seconds)
        self._cloud.clock.set(now)
        self._patch.setenv("FRAUDOPS_NOW", now.isoformat())
        return now

    def run(self) -> None:
        """Sends a minute after the other, until told to stop."""
        while not self.stop.is_set():
            if not baking(self._env):
                self.stop.wait(0.02)
                continue
            self._send_part()
            whole_minute = self.traffic.seconds % 60 == 50
            if whole_minute:
                self._cloud.flush()  # captured answers, before the look at them
            self.traffic.seconds += 10
            now = self.set_clock()
            if whole_minute:
                self._await_comparison(now)

    def _await_comparison(self, at: datetime) -> None:
        """Waits until the minute's answers have been compared; not again where `deploy` did not compare a minute's."""
        for _ in range(_POLLS if self._compares else 0):
            if self.stop.is_set() or not baking(self._env) or compared(self._env, at):
                return
            self.stop.wait(0.02)
        self._compares = False

    def _send_part(self) -> None:
        for _ in range(self._parts):
            self._seed += 1
            rows = served.transactions(self._seed, BATCH_ROWS)
            body = "\n".join(",".join(map(str, row)) for row in rows.tolist())
            try:
                answer = client("sagemaker-runtime").invoke_endpoint(
                    EndpointName=self._env.endpoint_name,
                    ContentType="text/csv; header=absent",
                    Accept="application/json",
                    Body=body.encode(),
                )
                version = str(json.loads(answer["Body"].read())["predictions"][0]["model_version"])
            except ClientError:
                version = "error"
            self.traffic.met[version] += 1


@contextmanager
def traffic(
    env: ServedPlatform,
    monkeypatch: pytest.MonkeyPatch,
    *,
    per_minute: int = 60,
    seed: int = 0,
    compares: bool = True,
) -> Iterator[Traffic]:
    """Sends `per_minute` requests of 25 rows in the background, in six parts, while a canary bakes.

    Without `compares`, it waits for no comparison: `deploy` publishes none.
    """
    sender = Sender(env, monkeypatch, per_minute, seed, compares=compares)
    sender.set_clock()
    thread = threading.Thread(target=sender.run)
    thread.start()
    try:
        yield sender.traffic
    finally:
        sender.stop.set()
        thread.join()
        assert env.cloud is not None
        env.cloud.clock.set(None)


def baking(env: ServedPlatform) -> bool:
    """Whether a canary takes traffic."""
    assert env.cloud is not None
    described = env.cloud.client("sagemaker").describe_endpoint(EndpointName=env.endpoint_name)
    variants = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return any("VariantStatus" in variant for variant in variants)


def compared(env: ServedPlatform, at: datetime) -> bool:
    """Whether `deploy` has published a comparison of the minute that begins at `at`."""
    return bool(published(env, canary_watch.ANSWERS, at))


def published(env: ServedPlatform, metric: str, since: datetime) -> list[Any]:
    """The published values of a metric of the canary since a time, minute by minute."""
    assert env.cloud is not None
    found = env.cloud.client("cloudwatch").get_metric_statistics(
        Namespace=cloudwatch_metrics.ROLLOUT,
        MetricName=metric,
        Dimensions=[{"Name": "Endpoint", "Value": env.endpoint_name}],
        StartTime=since,
        EndTime=START + timedelta(days=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return [point["Maximum"] for point in sorted(found, key=lambda point: point["Timestamp"])]
