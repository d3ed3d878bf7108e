"""Cases of the rules of Application Auto Scaling; not a test itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_resources import create_endpoint, create_endpoint_config, unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import Case, refused

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def variant(endpoint: str, name: str = "AllTraffic") -> dict[str, Any]:
    """The parameters that name a variant."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{name}",
        "ScalableDimension": DIMENSION,
    }


def register(aws: LocalAws, endpoint: str, least: int = 1, most: int = 4) -> None:
    """Registers the variant of an endpoint."""
    aws.client("application-autoscaling").register_scalable_target(
        **variant(endpoint), MinCapacity=least, MaxCapacity=most
    )


def tracking(target: float, **more: Any) -> dict[str, Any]:
    """The configuration of a policy."""
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return {"TargetValue": target, "PredefinedMetricSpecification": metric, **more}


def put_policy(aws: LocalAws, endpoint: str, document: dict[str, Any], kind: str = "TargetTrackingScaling") -> Any:
    """Puts a policy of the endpoint's variant."""
    key = "TargetTrackingScalingPolicyConfiguration" if kind == "TargetTrackingScaling" else None
    more = {key: document} if key else {}
    return aws.client("application-autoscaling").put_scaling_policy(
        **variant(endpoint), PolicyName="p", PolicyType=kind, **more
    )


def unsupported(aws: LocalAws) -> None:
    scaling = aws.client("application-autoscaling")
    wrong = variant("x") | {"ResourceId": "endpoint/x"}
    refused(
        "application-autoscaling-unsupported",
        lambda: scaling.register_scalable_target(**wrong, MinCapacity=1, MaxCapacity=2),
    )


def capacities(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    refused("application-autoscaling-capacities", lambda: register(aws, name, 3, 2))


def capacities_missing(aws: LocalAws) -> None:
    name, scaling = create_endpoint(aws), aws.client("application-autoscaling")
    refused(
        "application-autoscaling-capacities-missing",
        lambda: scaling.register_scalable_target(**variant(name), MinCapacity=1),
    )


def variant_missing(aws: LocalAws) -> None:
    name, scaling = create_endpoint(aws), aws.client("application-autoscaling")
    for named in (variant(unique_name("gone")), variant(name, "Other")):
        request = {**named, "MinCapacity": 1, "MaxCapacity": 2}
        refused("application-autoscaling-variant-missing", partial(scaling.register_scalable_target, **request))


def target_missing(aws: LocalAws) -> None:
    named, scaling = variant(create_endpoint(aws)), aws.client("application-autoscaling")
    refused("application-autoscaling-target-missing", lambda: scaling.deregister_scalable_target(**named))
    refused("application-autoscaling-target-missing", lambda: scaling.delete_scaling_policy(**named, PolicyName="p"))


def target_not_registered(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    refused("application-autoscaling-target-not-registered", lambda: put_policy(aws, name, tracking(70)))


def policy_missing(aws: LocalAws) -> None:
    name, scaling = create_endpoint(aws), aws.client("application-autoscaling")
    register(aws, name)
    refused(
        "application-autoscaling-policy-missing",
        lambda: scaling.delete_scaling_policy(**variant(name), PolicyName="p"),
    )


def policy_type(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    register(aws, name)
    refused("application-autoscaling-policy-type", lambda: put_policy(aws, name, {}, "StepScaling"))


def metric(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    register(aws, name)
    other = {
        "TargetValue": 70,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
    }
    refused("application-autoscaling-metric", lambda: put_policy(aws, name, other))


def instance_type(aws: LocalAws) -> None:
    name, model = create_endpoint(aws), create_endpoint_config(aws)
    register(aws, name)
    sagemaker, other = aws.client("sagemaker"), unique_name("config")
    changed = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=other, ProductionVariants=[changed])
    refused(
        "sagemaker-autoscaled-instance-type",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
    )


CASES: dict[str, Case] = {
    "application-autoscaling-capacities": capacities,
    "application-autoscaling-capacities-missing": capacities_missing,
    "application-autoscaling-metric": metric,
    "application-autoscaling-policy-missing": policy_missing,
    "application-autoscaling-policy-type": policy_type,
    "application-autoscaling-target-missing": target_missing,
    "application-autoscaling-target-not-registered": target_not_registered,
    "application-autoscaling-unsupported": unsupported,
    "application-autoscaling-variant-missing": variant_missing,
    "sagemaker-autoscaled-instance-type": instance_type,
}
