"""Application Auto Scaling: a variant's instances follow its invocations, between the capacities and by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_resources import create_endpoint, create_endpoint_config, invoke_endpoint, wait_until_settled
from botocore.exceptions import ClientError
from local_aws.server import LocalAws
from rule_cases.autoscaling import put_policy, register, tracking, variant

START = datetime(2026, 3, 1, tzinfo=UTC)


class Minutes:
    """The emulator's simulated clock, moved by minutes with requests in each."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._now = aws, START
        aws.clock.set(START)

    def pass_by(self, minutes: int, endpoint: str = "", requests: int = 0) -> None:
        """Sends `requests` in each of the minutes."""
        for _ in range(minutes):
            for _ in range(requests):
                invoke_endpoint(self._aws, endpoint, "1")
            self._now += timedelta(minutes=1)
            self._aws.clock.set(self._now)


@pytest.fixture
def clock(aws: LocalAws) -> Iterator[Minutes]:
    """The emulator's clock, simulated during the test."""
    yield Minutes(aws)
    aws.clock.set(None)


def instances(aws: LocalAws, endpoint: str) -> int:
    """What DescribeEndpoint shows."""
    (found,) = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    assert found["CurrentInstanceCount"] == found["DesiredInstanceCount"]
    return int(found["DesiredInstanceCount"])


def test_invocations_above_the_target_add_instances(aws: LocalAws, clock: Minutes) -> None:
    """After three minutes, not two; as many as the target needs, and never more than the largest capacity."""
    name = create_endpoint(aws)
    register(aws, name, 1, 4)
    put_policy(aws, name, tracking(4))
    clock.pass_by(2, name, 10)
    assert instances(aws, name) == 1
    clock.pass_by(1, name, 10)
    assert instances(aws, name) == 3
    clock.pass_by(9, name, 30)
    assert instances(aws, name) == 4


def test_quiet_variant_loses_instances_after_fifteen_minutes(aws: LocalAws, clock: Minutes) -> None:
    """Down to the smallest capacity, and not below."""
    name = create_endpoint(aws)
    register(aws, name, 1, 4)
    put_policy(aws, name, tracking(4))
    clock.pass_by(3, name, 10)
    assert instances(aws, name) == 3
    clock.pass_by(14, name, 0)
    assert instances(aws, name) == 3
    clock.pass_by(3, name, 0)
    assert instances(aws, name) == 1


def test_cooldown_holds_the_next_step_back(aws: LocalAws, clock: Minutes) -> None:
    """The policy's own, 300 seconds without one."""
    name = create_endpoint(aws)
    register(aws, name, 1, 10)
    put_policy(aws, name, tracking(4, ScaleOutCooldown=600))
    clock.pass_by(3, name, 6)
    assert instances(aws, name) == 2
    clock.pass_by(4, name, 20)
    assert instances(aws, name) == 2
    clock.pass_by(7, name, 20)
    assert instances(aws, name) == 5


def test_registered_capacities_move_the_count_between_them(aws: LocalAws) -> None:
    """At once, also when they change; Describe shows them with the service-linked role."""
    name, scaling = create_endpoint(aws), aws.client("application-autoscaling")
    register(aws, name, 2, 4)
    assert instances(aws, name) == 2
    register(aws, name, 3, 3)
    assert instances(aws, name) == 3
    (found,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[variant(name)["ResourceId"]]
    )["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (3, 3)
    role = found["RoleARN"].rpartition("/")[2]
    assert aws.client("iam").get_role(RoleName=role)["Role"]["Arn"] == found["RoleARN"]


def test_policy_has_two_alarms_that_go_with_it(aws: LocalAws) -> None:
    """Above the target for three minutes, below nine tenths of it for fifteen; all go when the target goes."""
    name, scaling, cloudwatch = create_endpoint(aws), aws.client("application-autoscaling"), aws.client("cloudwatch")
    register(aws, name)
    names = [alarm["AlarmName"] for alarm in put_policy(aws, name, tracking(70))["Alarms"]]
    assert [alarm["AlarmName"] for alarm in put_policy(aws, name, tracking(50))["Alarms"]] == names
    found = {each["AlarmName"]: each for each in cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]}
    shown = [(found[each]["Threshold"], found[each]["EvaluationPeriods"]) for each in names]
    assert shown == [(50, 3), (45, 15)]
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=variant(name)["ResourceId"])[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50
    scaling.deregister_scalable_target(**variant(name))
    assert cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    assert policies(aws, name) == targets(aws, name) == []


def policies(aws: LocalAws, name: str) -> list[Any]:
    """The policies of the endpoint's variant."""
    scaling = aws.client("application-autoscaling")
    found = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=variant(name)["ResourceId"])
    return list(found["ScalingPolicies"])


def targets(aws: LocalAws, name: str) -> list[Any]:
    """The scalable targets of the endpoint."""
    scaling = aws.client("application-autoscaling")
    found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[variant(name)["ResourceId"]])
    return list(found["ScalableTargets"])


def test_update_keeps_the_scaled_count_only_if_it_retains_variants(aws: LocalAws) -> None:
    """RetainAllVariantProperties keeps it; without it the new configuration's count counts."""
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    register(aws, name, 3, 4)
    for retains, expected in ((True, 3), (False, 1)):
        if not retains:
            aws.client("application-autoscaling").deregister_scalable_target(**variant(name))
        sagemaker.update_endpoint(
            EndpointName=name,
            EndpointConfigName=create_endpoint_config(aws),
            RetainAllVariantProperties=retains,
        )
        wait_until_settled(aws, name)
        assert instances(aws, name) == expected


def test_deleted_endpoint_is_no_target_any_more(aws: LocalAws) -> None:
    """AWS deregisters it with the endpoint."""
    name = create_endpoint(aws)
    register(aws, name)
    put_policy(aws, name, tracking(70))
    aws.client("sagemaker").delete_endpoint(EndpointName=name)
    assert targets(aws, name) == policies(aws, name) == []


def test_other_namespaces_are_motos(aws: LocalAws) -> None:
    """moto stores a target of DynamoDB, which nothing scales, and refuses what it does not know."""
    scaling = aws.client("application-autoscaling")
    table = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    scaling.register_scalable_target(**table, MinCapacity=1, MaxCapacity=2)
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert found["ResourceId"] == "table/t"
    with pytest.raises(ClientError, match="No scalable target"):
        scaling.deregister_scalable_target(**table | {"ResourceId": "table/other"})
