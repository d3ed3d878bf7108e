"""Reads and changes the automatic scaling of the endpoint's variant: its scalable target and target-tracking policy.

Application Auto Scaling changes the number of instances itself; this module never does. Source: SageMaker Developer
Guide, "Automatic scaling" and "Update endpoints that use auto scaling".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.aws import session

VARIANT = "AllTraffic"
"""The variant of the deploy function's endpoint configurations."""
POLICY = "fraudops-invocations"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_NAMESPACE, _DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """What is registered: the capacities, and the target value of each policy by its name.

    A value is None for a policy that is not a target-tracking policy on the invocations of an instance a minute.
    """

    least: int
    most: int
    policies: dict[str, float | None]


def read(endpoint: str) -> Scaling | None:
    """The scaling of the endpoint's variant; None if it is no scalable target. Raises CloudError."""
    client, resource = session.client("application-autoscaling"), _resource(endpoint)
    with session.explained(f"reading the automatic scaling of endpoint {endpoint}"):
        targets = client.describe_scalable_targets(
            ServiceNamespace=_NAMESPACE, ResourceIds=[resource], ScalableDimension=_DIMENSION
        )["ScalableTargets"]
        policies = client.describe_scaling_policies(
            ServiceNamespace=_NAMESPACE, ResourceId=resource, ScalableDimension=_DIMENSION
        )["ScalingPolicies"]
    if not targets:
        return None
    return Scaling(
        least=int(targets[0]["MinCapacity"]),
        most=int(targets[0]["MaxCapacity"]),
        policies={policy["PolicyName"]: _target_value(policy) for policy in policies},
    )


def put(endpoint: str, *, least: int, most: int, invocations: float) -> None:
    """Registers the variant and puts the one policy that scales it; another policy of it is deleted.

    Application Auto Scaling then moves the number of instances between `least` and `most` by itself. Raises CloudError.
    """
    client, named = session.client("application-autoscaling"), _named(endpoint)
    found = read(endpoint)
    with session.explained(f"scaling endpoint {endpoint} automatically"):
        client.register_scalable_target(**named, MinCapacity=least, MaxCapacity=most)
        client.put_scaling_policy(
            **named,
            PolicyName=POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": float(invocations),
                "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            },
        )
        for name in sorted((found.policies if found else {}).keys() - {POLICY}):
            client.delete_scaling_policy(**named, PolicyName=name)


def remove(endpoint: str) -> None:
    """Deregisters the variant, which deletes its policies and their alarms; nothing if it is no target."""
    if read(endpoint) is None:
        return
    with session.explained(f"removing the automatic scaling of endpoint {endpoint}"):
        session.client("application-autoscaling").deregister_scalable_target(**_named(endpoint))


def _named(endpoint: str) -> dict[str, str]:
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": _resource(endpoint),
        "ScalableDimension": _DIMENSION,
    }


def _resource(endpoint: str) -> str:
    return f"endpoint/{endpoint}/variant/{VARIANT}"


def _target_value(policy: dict[str, Any]) -> float | None:
    document = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    metric = (document.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    other = document.get("DisableScaleIn") or metric != _METRIC
    return None if other else float(document["TargetValue"])
