"""Canaries: traffic split, alarms at the emulator's clock, rollback and the rest of the switch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_resources import (
    create_endpoint,
    create_endpoint_config,
    endpoint_status,
    invoke_endpoint,
    unique_name,
    wait_until,
    wait_until_settled,
)
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

START = datetime(2026, 3, 1, tzinfo=UTC)
BAKE_SECONDS = 600


@pytest.fixture
def clock(aws: LocalAws) -> Iterator[Clock]:
    """The emulator's clock, simulated during the test."""
    simulated = Clock(aws)
    yield simulated
    aws.clock.set(None)


class Clock:
    """The emulator's simulated clock."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._now = aws, START
        aws.clock.set(START)

    def advance(self, seconds: float) -> None:
        """Moves the clock."""
        self._now += timedelta(seconds=seconds)
        self._aws.clock.set(self._now)


def put_alarm(aws: LocalAws, endpoint: str, metric: str, threshold: float, **options: Any) -> str:
    """A new alarm on a metric of an endpoint."""
    name = unique_name("alarm")
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}]
    options = {"Namespace": "AWS/SageMaker", "Dimensions": dimensions, "Period": 60, "EvaluationPeriods": 1, **options}
    if "ExtendedStatistic" not in options:
        options.setdefault("Statistic", "Sum")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        MetricName=metric,
        Threshold=threshold,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        **options,
    )
    return name


def start_canary(aws: LocalAws, name: str, config: str, *alarms: str, percent: int = 25, keep_seconds: int = 0) -> None:
    """Starts an update with a canary; returns when it bakes."""
    policy: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": BAKE_SECONDS,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent},
            },
            "TerminationWaitInSeconds": keep_seconds,
        }
    }
    if alarms:
        policy["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}
    sagemaker = aws.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=policy)
    wait_until(lambda: bakes(aws, name))


def bakes(aws: LocalAws, name: str) -> bool:
    """Whether the endpoint's new variant bakes."""
    described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    variants = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return any(status["Status"] == "Baking" for variant in variants for status in variant.get("VariantStatus", []))


def answered(aws: LocalAws, name: str, body: str, count: int) -> Counter[str]:
    """The versions that answered `count` requests; `error` counts requests that the model did not answer."""
    found: Counter[str] = Counter()
    for _ in range(count):
        version = "error"
        with suppress(ClientError):
            version = invoke_endpoint(aws, name, body).split(":")[0]
        found[version] += 1
    return found


@contextmanager
def baking(aws: LocalAws, metric: str, threshold: float, **options: Any) -> Iterator[tuple[str, str]]:
    """An endpoint whose canary of a quarter bakes with one alarm, and the alarm; the former model serves after it."""
    name = create_endpoint(aws, VERSION="old")
    alarm = put_alarm(aws, name, metric, threshold, **options)
    former = aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
    start_canary(aws, name, create_endpoint_config(aws, VERSION="new"), alarm)
    yield name, alarm
    assert wait_until_settled(aws, name) == "InService"
    described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == former
    assert alarm in described["FailureReason"]
    assert answered(aws, name, "1", 20) == {"old": 20}
    (state,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert state["StateValue"] == "ALARM"


def test_sound_canary_takes_its_share_and_then_everything(aws: LocalAws, clock: Clock) -> None:
    """A quarter of the requests meet it until the clock has advanced by the wait, then all of them."""
    name = create_endpoint(aws, VERSION="old")
    alarm = put_alarm(aws, name, "Invocation5XXErrors", 0)
    start_canary(aws, name, create_endpoint_config(aws, VERSION="new"), alarm)
    found = answered(aws, name, "1", 200)
    assert 30 <= found["new"] <= 70
    assert found["new"] + found["old"] == 200
    clock.advance(BAKE_SECONDS - 1)
    assert endpoint_status(aws, name) == "Updating"
    clock.advance(1)
    assert wait_until_settled(aws, name) == "InService"
    assert answered(aws, name, "1", 20) == {"new": 20}


def test_errors_of_the_canary_roll_it_back(aws: LocalAws, clock: Clock) -> None:
    """A 5xx raises the alarm; nothing else than the clock at rest passes until the former model serves all again."""
    with baking(aws, "Invocation5XXErrors", 0) as (name, _):
        answered(aws, name, "broken", 1)


def test_slow_canary_is_rolled_back(aws: LocalAws, clock: Clock) -> None:
    """The latency of the 99th percentile is measured in microseconds."""
    with baking(aws, "ModelLatency", 100_000, ExtendedStatistic="p99") as (name, _):
        answered(aws, name, "sleep 0.2", 1)


def test_metric_of_ones_own_rolls_a_canary_back(aws: LocalAws, clock: Clock) -> None:
    """A value of PutMetricData in the last of the alarm's periods counts, an older one does not."""
    own: dict[str, Any] = {"Namespace": "Own", "Dimensions": [], "Statistic": "Maximum"}
    with baking(aws, "Evidence", 10, **own) as (name, _):
        cloudwatch = aws.client("cloudwatch")
        for value, minutes in ((99.0, 5), (10.0, 0)):
            at = START - timedelta(minutes=minutes)
            cloudwatch.put_metric_data(
                Namespace="Own", MetricData=[{"MetricName": "Evidence", "Value": value, "Timestamp": at}]
            )
        assert bakes(aws, name)
        clock.advance(120)
        assert bakes(aws, name)
        at = START + timedelta(seconds=120)
        cloudwatch.put_metric_data(
            Namespace="Own", MetricData=[{"MetricName": "Evidence", "Value": 10.5, "Timestamp": at}]
        )


def test_canary_that_dies_is_rolled_back(aws: LocalAws, clock: Clock) -> None:
    """An instance that dies twice fails the deployment without an alarm; the former model serves everything."""
    name = create_endpoint(aws, VERSION="old")
    former = aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
    start_canary(aws, name, create_endpoint_config(aws, VERSION="new"), percent=50)
    wait_until(lambda: endpoint_status(aws, name) == "InService" or not answered(aws, name, "die new", 1))
    described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == former
    assert "died twice" in described["FailureReason"]
    assert answered(aws, name, "1", 20) == {"old": 20}


def test_old_fleet_is_kept_until_the_alarms_have_been_watched(aws: LocalAws, clock: Clock) -> None:
    """After the switch an alarm within the termination wait still brings the former model back."""
    name = create_endpoint(aws, VERSION="old")
    alarm = put_alarm(aws, name, "Invocation5XXErrors", 0)
    start_canary(aws, name, create_endpoint_config(aws, VERSION="new"), alarm, keep_seconds=300)
    clock.advance(BAKE_SECONDS)
    wait_until(lambda: answered(aws, name, "1", 5) == {"new": 5})
    assert endpoint_status(aws, name) == "Updating"
    answered(aws, name, "broken", 1)
    assert wait_until_settled(aws, name) == "InService"
    assert answered(aws, name, "1", 20) == {"old": 20}
