"""Requirements of Application Auto Scaling's operations on endpoint variants.

Beside its own actions, a caller needs those that Application Auto Scaling performs for it: on the endpoint, and on the
alarms of a policy (SageMaker Developer Guide, "Auto scaling prerequisites"; Application Auto Scaling User Guide,
"Identity-based policy examples"). Source of the actions: Service Authorization Reference, "AWS Application Auto
Scaling".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local_aws.application_autoscaling import ROLE, ROLE_SERVICE
from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, arn, on_everything
from local_aws.service_rules import account_state

_SERVICE = "application-autoscaling"


def _on_target(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        context = {
            f"{_SERVICE}:service-namespace": call.text("ServiceNamespace"),
            f"{_SERVICE}:scalable-dimension": call.text("ScalableDimension"),
        }
        # The target's id is not known to the caller, and not before it exists.
        yield Requirement(f"{_SERVICE}:{operation}", arn(call, _SERVICE, "scalable-target/new"), context)
        if call.text("ServiceNamespace") == "sagemaker":
            yield from _OTHERS[operation](call)

    return rule


def _of_endpoint(call: Call) -> Iterable[Requirement]:
    name = call.text("ResourceId").split("/")[1:2]
    endpoint = (name[0] if name else "").lower()
    for action in ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"):
        yield Requirement(f"sagemaker:{action}", arn(call, "sagemaker", f"endpoint/{endpoint}"))
    found = account_state.sagemaker().endpoints.get(name[0] if name else "")
    if found is not None:
        configuration = found.endpoint_config_name.lower()
        resource = arn(call, "sagemaker", f"endpoint-config/{configuration}")
        yield Requirement("sagemaker:DescribeEndpointConfig", resource)
    role = f"arn:aws:iam::{call.account}:role/aws-service-role/{ROLE_SERVICE}/{ROLE}"
    if account_state.role(role) is None:
        yield Requirement("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": ROLE_SERVICE})


def _of_alarms(*actions: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        for end in ("High", "Low"):
            alarm = arn(call, "cloudwatch", f"alarm:TargetTracking-{call.text('ResourceId')}-Alarm{end}-new")
            yield from (Requirement(f"cloudwatch:{action}", alarm) for action in actions)

    return rule


_OTHERS: Mapping[str, Rule] = {
    "DeleteScalingPolicy": _of_alarms("DeleteAlarms"),
    "DeregisterScalableTarget": _of_alarms("DeleteAlarms"),
    "PutScalingPolicy": _of_alarms("DescribeAlarms", "PutMetricAlarm"),
    "RegisterScalableTarget": _of_endpoint,
}
RULES: Mapping[str, Rule] = {
    **{operation: _on_target(operation) for operation in _OTHERS},
    "DescribeScalableTargets": on_everything(f"{_SERVICE}:DescribeScalableTargets"),
    "DescribeScalingPolicies": on_everything(f"{_SERVICE}:DescribeScalingPolicies"),
}
