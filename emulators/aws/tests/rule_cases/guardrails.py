"""Cases of the rules of SageMaker's deployment guardrails; not a test itself."""

from __future__ import annotations

from typing import Any

from aws_resources import create_endpoint, create_endpoint_config, unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import Case, refused


def guardrail_variants(aws: LocalAws) -> None:
    name, sagemaker, other = create_endpoint(aws), aws.client("sagemaker"), unique_name("config")
    model = create_endpoint_config(aws)
    variant = {"VariantName": "Other", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=other, ProductionVariants=[variant])
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    refused(
        "sagemaker-guardrail-variants",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other, DeploymentConfig=policy),
    )


def _refused_policy(
    aws: LocalAws, rule: str, *, alarms: tuple[str, ...] = (), timeout: int = 600, **routing: Any
) -> None:
    name, config = create_endpoint(aws), create_endpoint_config(aws)
    policy = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 300,
            "MaximumExecutionTimeoutInSeconds": timeout,
        }
    }
    if alarms:
        policy["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}
    refused(
        rule,
        lambda: aws.client("sagemaker").update_endpoint(
            EndpointName=name, EndpointConfigName=config, DeploymentConfig=policy
        ),
    )


def canary_size(aws: LocalAws) -> None:
    sizes = ({"Type": "INSTANCE_COUNT", "Value": 1}, {"Type": "CAPACITY_PERCENT", "Value": 51}, None)
    for size in sizes:  # the configuration has one instance
        more: dict[str, Any] = {"CanarySize": size} if size else {}
        _refused_policy(aws, "sagemaker-canary-size", Type="CANARY", WaitIntervalInSeconds=60, **more)


def guardrail_timeout(aws: LocalAws) -> None:
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    _refused_policy(
        aws, "sagemaker-guardrail-timeout", Type="CANARY", WaitIntervalInSeconds=300, CanarySize=size, timeout=600
    )


def rollback_alarm_missing(aws: LocalAws) -> None:
    _refused_policy(
        aws, "sagemaker-rollback-alarm-missing", alarms=("gone",), Type="ALL_AT_ONCE", WaitIntervalInSeconds=0
    )


CASES: dict[str, Case] = {
    "sagemaker-canary-size": canary_size,
    "sagemaker-guardrail-timeout": guardrail_timeout,
    "sagemaker-guardrail-variants": guardrail_variants,
    "sagemaker-rollback-alarm-missing": rollback_alarm_missing,
}
