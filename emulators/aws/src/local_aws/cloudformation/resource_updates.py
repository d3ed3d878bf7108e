"""In-place updates of stack resources that moto ignores, applies partly, or replaces.

Each update takes moto's resource, the new properties, account and region, and returns the updated resource.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_aws.authorization import managed_policies
from local_aws.cloudformation.bucket_settings import apply_bucket_settings
from local_aws.service_rules.catalog import violation

Update = Callable[[Any, dict[str, Any], str, str], Any]


def _update_role(role: Any, properties: dict[str, Any], account: str, region: str) -> Any:
    role.description = properties.get("Description", "")
    role.permissions_boundary_arn = properties.get("PermissionsBoundary")
    role.max_session_duration = properties.get("MaxSessionDuration", 3600)
    role.permissions_boundary_arn = properties.get("PermissionsBoundary", "")
    document = properties["AssumeRolePolicyDocument"]
    role.assume_role_policy_document = document if isinstance(document, str) else json.dumps(document)
    wanted = {policy["PolicyName"] for policy in properties.get("Policies", [])}
    for name in list(getattr(role, "stack_policies", [])):
        if name not in wanted:
            role.policies.pop(name, None)
    return role


def apply_role_policies(role: Any, properties: dict[str, Any], account: str, region: str) -> None:
    """Sets inline and managed policies of the role as in the template; moto ignores managed ones."""
    from moto.iam.models import iam_backends

    backend = iam_backends[account]["aws"]
    wanted = set(properties.get("ManagedPolicyArns", []))
    for arn in set(getattr(role, "stack_managed_policies", [])) - wanted:
        backend.detach_role_policy(arn, role.name)
    for arn in wanted - set(role.managed_policies):
        managed_policies.load(account, arn)
        backend.attach_role_policy(arn, role.name)
    role.stack_managed_policies = wanted
    for policy in properties.get("Policies", []):  # moto returns a policy as it was stored
        role.put_policy(policy["PolicyName"], json.dumps(policy["PolicyDocument"]))
    role.stack_policies = [policy["PolicyName"] for policy in properties.get("Policies", [])]


def _update_log_group(group: Any, properties: dict[str, Any], account: str, region: str) -> Any:
    group.retention_in_days = properties.get("RetentionInDays")
    return group


def _update_topic(topic: Any, properties: dict[str, Any], account: str, region: str) -> Any:
    topic.display_name = properties.get("DisplayName", "")
    topic.kms_master_key_id = properties.get("KmsMasterKeyId", "")
    return topic


def _update_rule(rule: Any, properties: dict[str, Any], account: str, region: str) -> Any:
    from moto.events.models import EventPattern

    pattern = properties.get("EventPattern")
    rule.event_pattern = EventPattern.load(json.dumps(pattern) if pattern is not None else None)
    rule.scheduled_expression = properties.get("ScheduleExpression")
    rule.description = properties.get("Description")
    rule.state = properties.get("State", "ENABLED")
    rule.targets = list(properties.get("Targets", []))
    return rule


IN_PLACE_UPDATES: dict[str, tuple[str, Update]] = {
    "AWS::IAM::Role": ("RoleName", _update_role),
    "AWS::Logs::LogGroup": ("LogGroupName", _update_log_group),
    "AWS::SNS::Topic": ("TopicName", _update_topic),
    "AWS::Events::Rule": ("Name", _update_rule),
}
"""By type: the property whose change replaces the resource, and the function for every other change."""


def _apply_log_group_key(group: Any, properties: dict[str, Any], account: str, region: str) -> None:
    group.kms_key_id = properties.get("KmsKeyId")


def _apply_queue_encryption(queue: Any, properties: dict[str, Any], account: str, region: str) -> None:
    """Sets the key, which moto's stacks leave unchanged in an update."""
    queue.kms_master_key_id = properties.get("KmsMasterKeyId")


FOLLOW_UPS: dict[str, Callable[[Any, dict[str, Any], str, str], None]] = {
    "AWS::IAM::Role": apply_role_policies,
    "AWS::S3::Bucket": apply_bucket_settings,
    "AWS::Logs::LogGroup": _apply_log_group_key,
    "AWS::SQS::Queue": _apply_queue_encryption,
}
"""By type: the function to call after moto has created or updated the resource."""


def prepare_deletion(resource: Any, type_name: str, account: str) -> None:
    """Removes what prevents moto from deleting a resource of a stack: the policies of a role.

    Raises:
        AwsError: BucketNotEmpty, since moto reports such a bucket as deleted and keeps it.
    """
    if type_name == "AWS::S3::Bucket":
        _refuse_full_bucket(resource)
    if type_name != "AWS::IAM::Role":
        return
    from moto.iam.models import iam_backends

    for arn in list(resource.managed_policies):
        iam_backends[account]["aws"].detach_role_policy(arn, resource.name)
    resource.policies.clear()


def _refuse_full_bucket(bucket: Any) -> None:
    if list(bucket.keys.values()):
        raise violation("s3-bucket-not-empty")
