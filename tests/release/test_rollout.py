"""The end of the wait for an endpoint with a canary: a last look that failed is repeated, and is no failure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from moto import mock_aws

from ml import config
from ml.aws import cloudwatch_metrics
from ml.aws.capture.model_answers import NewAnswers
from ml.aws.session import client
from ml.errors import CloudError, DeploymentFailed
from ml.model.drift.reference import Summary
from ml.release import canary_watch, rollout
from ml.release.canary_watch import CanaryWatch

SETTINGS = config.Canary(
    instances=1, bake_minutes=10, false_alarm_rate=0.01, max_alert_rate_ratio=2.0, max_score_shift=0.1
)
SCORES = np.linspace(0, 1, 1_000)
DECISIONS = (SCORES > 0.98).astype(np.int8)
BASELINE = {"scores": Summary.reference(SCORES).to_dict(), "alerts": {"count": int(DECISIONS.sum()), "of": 1_000}}


class Capture:
    """Captured answers: a thousand at each look, unless reading fails."""

    def __init__(self, failures: int) -> None:
        self._failures = failures

    def new(self, _now: datetime) -> NewAnswers:
        """CloudError as often as asked for."""
        if self._failures:
            self._failures -= 1
            raise CloudError("S3 cannot be reached")
        return NewAnswers(scores=SCORES, decisions=DECISIONS, unreadable_lines=0)


@pytest.fixture(autouse=True)
def _endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The endpoint `live` is InService on `live-0002`."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("FRAUDOPS_NOW", datetime(2026, 3, 1, 12, tzinfo=UTC).isoformat())
    with mock_aws():
        sagemaker = client("sagemaker")
        sagemaker.create_model(ModelName="live-0002", ExecutionRoleArn="arn:aws:iam::123456789012:role/execution")
        variant = {"VariantName": "all", "ModelName": "live-0002", "InitialInstanceCount": 2}
        sagemaker.create_endpoint_config(
            EndpointConfigName="live-0002", ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}]
        )
        sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="live-0002")
        yield


def watch(failures: int) -> CanaryWatch:
    """A watch whose first look, while the canary baked, has failed if `failures` is at least 1."""
    made = CanaryWatch("live", SETTINGS, BASELINE, Capture(failures).new)
    made.look()
    return made


def published() -> float:
    """The largest number of compared answers that CloudWatch has."""
    points = client("cloudwatch").get_metric_statistics(
        Namespace=cloudwatch_metrics.ROLLOUT,
        MetricName=canary_watch.ANSWERS,
        Dimensions=[{"Name": "Endpoint", "Value": "live"}],
        StartTime=datetime(2026, 3, 1, tzinfo=UTC),
        EndTime=datetime(2026, 3, 2, tzinfo=UTC),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max(float(point["Maximum"]) for point in points)


def test_failed_last_look_is_repeated() -> None:
    """Within the same minute; if it succeeds, the deployment has nothing to warn of."""
    canary = watch(failures=1)
    assert canary.comparison.rows == 0
    rollout.wait("live", "live-0002", 10, canary)
    assert (canary.failure, canary.warning) == (None, None)
    assert (canary.comparison.rows, published()) == (1_000, 1_000)


def test_last_look_that_fails_twice_is_a_warning() -> None:
    """The model serves, so the deployment did not fail; the warning has the reason."""
    canary = watch(failures=2)
    rollout.wait("live", "live-0002", 10, canary)
    assert canary.warning == (
        "The last answers of the canary were not compared with its model's baseline: S3 cannot be reached"
    )


def test_successful_last_look_is_not_repeated() -> None:
    """Answers after the canary's are those of a model that serves alone."""
    canary = watch(failures=0)
    rollout.wait("live", "live-0002", 10, canary)
    assert (canary.comparison.rows, canary.warning) == (1_000, None)


def test_endpoint_on_another_configuration_is_a_failure() -> None:
    """The reason has the last comparison."""
    with pytest.raises(DeploymentFailed, match=r"did not take live-0003: .* When last compared, of 1,000 answers"):
        rollout.wait("live", "live-0003", 0, watch(failures=0))
