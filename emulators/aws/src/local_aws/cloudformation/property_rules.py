"""Checks the properties of a stack's resource against the rules of its service, which its API would enforce.

moto's resources bypass the APIs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.cloudformation.bucket_settings import lifecycle_rules
from local_aws.service_rules import (
    events_checks,
    identity_checks,
    messaging_checks,
    monitoring_checks,
    storage_checks,
)
from local_aws.service_rules.catalog import violation

_TARGETS_PER_RULE = 5


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _role(properties: Mapping[str, Any]) -> None:
    identity_checks.check_trust(_text(properties.get("AssumeRolePolicyDocument") or {}))
    documents = [_text(policy.get("PolicyDocument") or {}) for policy in properties.get("Policies") or []]
    identity_checks.check_inline(str(properties.get("RoleName") or "of the stack"), documents)
    identity_checks.check_attached(set(properties.get("ManagedPolicyArns") or []))


def _managed_policy(properties: Mapping[str, Any]) -> None:
    identity_checks.check_managed(_text(properties.get("PolicyDocument") or {}))


def _rule(properties: Mapping[str, Any]) -> None:
    if properties.get("EventPattern"):
        events_checks.check_pattern(_text(properties["EventPattern"]))
    targets = properties.get("Targets") or []
    if len(targets) > _TARGETS_PER_RULE:
        raise violation("events-targets-per-rule")
    events_checks.check_targets(targets)


def _bucket(properties: Mapping[str, Any]) -> None:
    for rule in lifecycle_rules(properties):
        transition = rule.get("Transition", [])
        for each in transition if isinstance(transition, list) else [transition]:
            storage_checks.check_transition(each.get("StorageClass"), each.get("Days"))


def _log_group(properties: Mapping[str, Any]) -> None:
    if "RetentionInDays" in properties:
        storage_checks.check_retention(int(properties["RetentionInDays"]))


def _dashboard(properties: Mapping[str, Any]) -> None:
    monitoring_checks.check_dashboard(properties.get("DashboardName") or "generated", properties["DashboardBody"])


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "AWS::CloudWatch::Alarm": monitoring_checks.check_alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": lambda properties: identity_checks.check_key_policy(properties["KeyPolicy"]),
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": lambda properties: storage_checks.check_bucket_policy(
        properties["Bucket"], properties["PolicyDocument"]
    ),
    "AWS::SNS::TopicPolicy": lambda properties: messaging_checks.check_topic_policy(properties["PolicyDocument"]),
    "AWS::SQS::Queue": messaging_checks.check_queue,
}


def check_properties(type_name: str, properties: Mapping[str, Any]) -> None:
    """Returns if no rule of the type's service refuses the properties.

    Raises:
        AwsError: in the service's words.
    """
    check = _CHECKS.get(type_name)
    if check is not None:
        check(properties)
