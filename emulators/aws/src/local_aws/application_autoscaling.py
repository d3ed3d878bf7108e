"""Application Auto Scaling of endpoint variants: scalable targets, target-tracking policies, and the scaling itself.

A policy holds the invocations of each instance a minute near its target, by the emulator's clock: out after three
minutes above the target, in after fifteen below nine tenths of it, never outside the target's capacities. Other
namespaces are moto's, which only stores what it is told.
"""

from __future__ import annotations

import json
import math
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from local_aws.clock import Clock
from local_aws.errors import NotHandled, OperationHandler
from local_aws.service_rules.catalog import violation

NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
ROLE_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_HIGH_MINUTES, _LOW_MINUTES, _LOW_SHARE = 3, 15, 0.9
_COOLDOWN_SECONDS = 300


class Counts(Protocol):
    """The instance counts of endpoints."""

    def instance_types(self, endpoint: str) -> Mapping[str, str] | None:
        """The instance type of each variant that serves; None if the endpoint does not exist."""

    def instance_count(self, endpoint: str, variant: str) -> int:
        """The instances of a variant that serves."""

    def set_instance_count(self, endpoint: str, variant: str, count: int) -> bool:
        """Changes it; False while the endpoint is being changed, when AWS does not scale it."""


@dataclass
class _Target:
    """A registered variant."""

    endpoint: str
    variant: str
    least: int
    most: int
    arn: str
    created: datetime
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    minutes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_LOW_MINUTES + 2))
    """Minute and invocations, oldest first; minutes without an invocation are absent."""
    acted: datetime | None = None

    @property
    def resource_id(self) -> str:
        """As AWS names the variant."""
        return f"endpoint/{self.endpoint}/variant/{self.variant}"


class ApplicationAutoScaling:
    """The scalable targets of one emulator. `client` makes clients for the emulator's own work."""

    def __init__(
        self, *, counts: Counts, client: Callable[[str], Any], clock: Clock, account: str, region: str
    ) -> None:
        self._counts, self._client, self._clock = counts, client, clock
        self._account, self._region = account, region
        self._lock = threading.RLock()
        self._targets: dict[tuple[str, str], _Target] = {}

    @property
    def operations(self) -> Mapping[str, OperationHandler]:
        """The handlers by operation."""
        return {
            "RegisterScalableTarget": self.register,
            "DeregisterScalableTarget": self.deregister,
            "DescribeScalableTargets": self.describe_targets,
            "PutScalingPolicy": self.put_policy,
            "DeleteScalingPolicy": self.delete_policy,
            "DescribeScalingPolicies": self.describe_policies,
        }

    def register(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """RegisterScalableTarget: registers a variant or changes its capacities, and moves its count between them."""
        endpoint, variant = _resource(parameters)
        with self._lock:
            known = self._targets.get((endpoint, variant))
            least = parameters.get("MinCapacity", known.least if known else None)
            most = parameters.get("MaxCapacity", known.most if known else None)
            if least is None or most is None:
                raise violation("application-autoscaling-capacities-missing")
            if most < least:
                raise violation("application-autoscaling-capacities")
            types = self._counts.instance_types(endpoint)
            if types is None or variant not in types:
                raise violation("application-autoscaling-variant-missing", resource=parameters["ResourceId"])
            if known is None:
                self._create_role()
                arn = (
                    f"arn:aws:application-autoscaling:{self._region}:{self._account}:scalable-target/{uuid.uuid4().hex}"
                )
                known = _Target(endpoint, variant, least, most, arn, self._clock.now())
                self._targets[endpoint, variant] = known
            known.least, known.most = least, most
            self._scale(known)
            return {"ScalableTargetARN": known.arn}

    def deregister(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeregisterScalableTarget: its policies and their alarms go with it."""
        with self._lock:
            self._forget(self._find(parameters, "application-autoscaling-target-missing"))
        return {}

    def describe_targets(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DescribeScalableTargets, in one page."""
        _refuse_other(parameters)
        wanted = parameters.get("ResourceIds")
        with self._lock:
            found = [
                {
                    "ServiceNamespace": NAMESPACE,
                    "ResourceId": target.resource_id,
                    "ScalableDimension": DIMENSION,
                    "MinCapacity": target.least,
                    "MaxCapacity": target.most,
                    "RoleARN": f"arn:aws:iam::{self._account}:role/aws-service-role/{ROLE_SERVICE}/{ROLE}",
                    "CreationTime": target.created,
                    "SuspendedState": {
                        "DynamicScalingInSuspended": False,
                        "DynamicScalingOutSuspended": False,
                        "ScheduledScalingSuspended": False,
                    },
                    "ScalableTargetARN": target.arn,
                }
                for target in self._targets.values()
                if not wanted or target.resource_id in wanted
            ]
        return {"ScalableTargets": found}

    def put_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """PutScalingPolicy: a target-tracking policy on the invocations of each instance, with its two alarms."""
        with self._lock:
            target = self._find(parameters, "application-autoscaling-target-not-registered")
            if parameters.get("PolicyType") != "TargetTrackingScaling":
                raise violation("application-autoscaling-policy-type")
            document = parameters.get("TargetTrackingScalingPolicyConfiguration") or {}
            metric = (document.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
            if metric != _METRIC:
                raise violation("application-autoscaling-metric", dimension=DIMENSION, metric=_METRIC)
            name = parameters["PolicyName"]
            former = target.policies.get(name)
            policy = {
                "PolicyARN": former["PolicyARN"] if former else self._policy_arn(target, name),
                "PolicyName": name,
                "ServiceNamespace": NAMESPACE,
                "ResourceId": target.resource_id,
                "ScalableDimension": DIMENSION,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": document,
                "Alarms": former["Alarms"] if former else self._names(target),
                "CreationTime": former["CreationTime"] if former else self._clock.now(),
            }
            self._put_alarms(target, policy)
            target.policies[name] = policy
            return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}

    def delete_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeleteScalingPolicy."""
        with self._lock:
            target, name = self._find(parameters, "application-autoscaling-target-missing"), parameters["PolicyName"]
            if name not in target.policies:
                raise violation(
                    "application-autoscaling-policy-missing",
                    resource=target.resource_id,
                    dimension=DIMENSION,
                    name=name,
                )
            self._delete_alarms(target.policies.pop(name))
        return {}

    def describe_policies(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DescribeScalingPolicies, in one page."""
        _refuse_other(parameters)
        wanted = parameters.get("ResourceId")
        with self._lock:
            targets = [each for each in self._targets.values() if wanted in (None, each.resource_id)]
            return {"ScalingPolicies": [policy for target in targets for policy in target.policies.values()]}

    def invoked(self, endpoint: str, variant: str) -> None:
        """Counts an invocation, and scales the variant if its policy says so."""
        if (endpoint, variant) not in self._targets:
            return
        with self._lock:
            target, minute = self._targets.get((endpoint, variant)), self._minute()
            if target is None:
                return
            if target.minutes and target.minutes[-1][0] == minute:
                target.minutes.append((minute, target.minutes.pop()[1] + 1))
            else:
                target.minutes.append((minute, 1))
            self._scale(target)

    def evaluate(self, endpoint: str) -> None:
        """Scales the endpoint's variants as their policies say at the clock's time."""
        with self._lock:
            for target in [each for each in self._targets.values() if each.endpoint == endpoint]:
                self._scale(target)

    def refuse_type_change(self, endpoint: str, types: Mapping[str, str]) -> None:
        """AwsError if a registered variant would get another of the instance types `types`, or would be removed."""
        now = self._counts.instance_types(endpoint) or {}
        with self._lock:
            for name, variant in self._targets:
                if name == endpoint and variant in now and types.get(variant) != now[variant]:
                    raise violation("sagemaker-autoscaled-instance-type", variant=variant)

    def endpoint_deleted(self, endpoint: str) -> None:
        """Deregisters the endpoint's variants, as AWS does for a caller who may."""
        with self._lock:
            for target in [each for each in self._targets.values() if each.endpoint == endpoint]:
                self._forget(target)

    def _find(self, parameters: dict[str, Any], rule: str) -> _Target:
        target = self._targets.get(_resource(parameters))
        if target is None:
            raise violation(rule, resource=parameters["ResourceId"], dimension=DIMENSION)
        return target

    def _forget(self, target: _Target) -> None:
        for policy in target.policies.values():
            self._delete_alarms(policy)
        del self._targets[target.endpoint, target.variant]

    def _minute(self) -> int:
        return int(self._clock.now().timestamp() // 60)

    def _scale(self, target: _Target) -> None:
        if target.variant not in (self._counts.instance_types(target.endpoint) or {}):
            return  # the endpoint is being deleted
        count = self._counts.instance_count(target.endpoint, target.variant)
        wanted = min(max(self._tracked(target, count), target.least), target.most)
        if wanted != count and self._counts.set_instance_count(target.endpoint, target.variant, wanted):
            target.acted = self._clock.now()

    def _tracked(self, target: _Target, count: int) -> int:
        """The count that the policies ask for: the largest of theirs, as AWS takes it."""
        wanted = [self._by_policy(target, policy, count) for policy in target.policies.values()]
        return max(wanted, default=count)

    def _by_policy(self, target: _Target, policy: Mapping[str, Any], count: int) -> int:
        document = policy["TargetTrackingScalingPolicyConfiguration"]
        goal, minute, by_minute = float(document["TargetValue"]), self._minute(), dict(target.minutes)
        recent = [by_minute.get(minute - back, 0) for back in range(1, _LOW_MINUTES + 1)]
        if min(recent[:_HIGH_MINUTES]) > goal * count:
            waits, wanted = document.get("ScaleOutCooldown", _COOLDOWN_SECONDS), math.ceil(recent[0] / goal)
        elif max(recent) < goal * count * _LOW_SHARE and self._observed(target, policy):
            waits, wanted = document.get("ScaleInCooldown", _COOLDOWN_SECONDS), math.ceil(max(recent) / goal)
            wanted = count if document.get("DisableScaleIn") else wanted
        else:
            return count
        cools = target.acted is not None and self._clock.now() < target.acted + timedelta(seconds=waits)
        return count if cools else wanted

    def _observed(self, target: _Target, policy: Mapping[str, Any]) -> bool:
        """Whether the variant has been watched for as long as a scale-in needs, and has had traffic at all."""
        since = policy["CreationTime"] + timedelta(minutes=_LOW_MINUTES + 1)
        return bool(target.minutes) and self._clock.now() >= since

    def _create_role(self) -> None:
        """The service-linked role, which moto would give another name."""
        from moto.iam.models import iam_backends

        backend = iam_backends[self._account]["aws"]
        if ROLE in (role.name for role in list(backend.roles.values())):
            return
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ROLE_SERVICE}}
        backend.create_role(
            ROLE,
            json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            f"/aws-service-role/{ROLE_SERVICE}/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
            linked_service=ROLE_SERVICE,
        )

    def _policy_arn(self, target: _Target, name: str) -> str:
        where = f"{self._region}:{self._account}:scalingPolicy:{uuid.uuid4()}"
        return f"arn:aws:autoscaling:{where}:resource/{NAMESPACE}/{target.resource_id}:policyName/{name}"

    def _names(self, target: _Target) -> list[dict[str, str]]:
        names = (f"TargetTracking-{target.resource_id}-Alarm{end}-{uuid.uuid4()}" for end in ("High", "Low"))
        where = f"arn:aws:cloudwatch:{self._region}:{self._account}:alarm"
        return [{"AlarmName": name, "AlarmARN": f"{where}:{name}"} for name in names]

    def _put_alarms(self, target: _Target, policy: Mapping[str, Any]) -> None:
        goal = float(policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"])
        for alarm, periods, operator, threshold in (
            (policy["Alarms"][0], _HIGH_MINUTES, "GreaterThanThreshold", goal),
            (policy["Alarms"][1], _LOW_MINUTES, "LessThanThreshold", goal * _LOW_SHARE),
        ):
            self._client("cloudwatch").put_metric_alarm(
                AlarmName=alarm["AlarmName"],
                AlarmDescription=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
                AlarmActions=[policy["PolicyARN"]],
                Namespace="AWS/SageMaker",
                MetricName="InvocationsPerInstance",
                Dimensions=[
                    {"Name": "EndpointName", "Value": target.endpoint},
                    {"Name": "VariantName", "Value": target.variant},
                ],
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=periods,
                Threshold=threshold,
                ComparisonOperator=operator,
            )

    def _delete_alarms(self, policy: Mapping[str, Any]) -> None:
        self._client("cloudwatch").delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in policy["Alarms"]])


def _refuse_other(parameters: Mapping[str, Any]) -> None:
    if parameters.get("ServiceNamespace") != NAMESPACE:
        raise NotHandled


def _resource(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The endpoint and the variant that ResourceId names."""
    _refuse_other(parameters)
    parts = str(parameters.get("ResourceId")).split("/")
    if (
        parameters.get("ScalableDimension") != DIMENSION
        or len(parts) != 4
        or (parts[0], parts[2]) != ("endpoint", "variant")
    ):
        raise violation("application-autoscaling-unsupported")
    return parts[1], parts[3]
