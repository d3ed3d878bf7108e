"""CloudFormation resource types of policies: managed policies, and the policies of buckets, queues and topics.

Stores what a template says; `local_aws.authorization` evaluates it. moto ignores the policies of queues and topics, and
neither updates nor deletes managed policies.
"""

from __future__ import annotations

import json
from typing import Any

from local_aws.cloudformation.resource_base import Resource, ResourceType
from local_aws.errors import AwsError
from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation

_MOST_VERSIONS = 5  # of a managed policy, IAM's quota; CloudFormation deletes the oldest


class BucketPolicy(ResourceType):
    """AWS::S3::BucketPolicy."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Puts the policy."""
        from moto.s3.models import s3_backends

        s3_backends[account]["aws"].put_bucket_policy(properties["Bucket"], _text(properties).encode())
        return properties["Bucket"], {}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the policy."""
        from moto.s3.models import s3_backends

        s3_backends[account]["aws"].delete_bucket_policy(physical_id)


class _PolicyOfEach(ResourceType):
    """A policy of each resource that the property `each` lists."""

    each = ""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Sets the policy of each listed resource."""
        for identifier in properties[self.each]:
            self.set_policy(identifier, _text(properties), account, region)
        return name, {"Id": name, "Name": name}

    def update_from_cloudformation_json(
        self,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Resource:
        """Also resets the resources that are no longer listed."""
        kept = cloudformation_json["Properties"][self.each]
        left = [identifier for identifier in original_resource.properties[self.each] if identifier not in kept]
        for identifier in left:
            self.set_policy(identifier, None, account_id, region_name)
        return super().update_from_cloudformation_json(
            original_resource, new_resource_name, cloudformation_json, account_id, region_name
        )

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Resets the listed resources that still exist."""
        for identifier in properties[self.each]:
            self.set_policy(identifier, None, account, region)

    def set_policy(self, identifier: str, document: str | None, account: str, region: str) -> None:
        """Sets the policy of one resource; None resets it to the service's default."""
        raise NotImplementedError


class QueuePolicy(_PolicyOfEach):
    """AWS::SQS::QueuePolicy."""

    each = "Queues"

    def set_policy(self, identifier: str, document: str | None, account: str, region: str) -> None:
        """Sets the policy of the queue with this URL."""
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[account][region].queues.get(identifier.rpartition("/")[2])
        if queue is None and document is not None:
            raise AwsError("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        if queue is not None:
            queue.policy = document


class TopicPolicy(_PolicyOfEach):
    """AWS::SNS::TopicPolicy.

    Its deletion restores the default policy: DeleteHandler.java of AWS::SNS::TopicPolicy in
    aws-cloudformation/aws-cloudformation-resource-providers-sns.
    """

    each = "Topics"

    def set_policy(self, identifier: str, document: str | None, account: str, region: str) -> None:
        """Sets the policy of the topic with this ARN."""
        from moto.sns.models import sns_backends

        topic = sns_backends[account][region].topics.get(identifier)
        if topic is None and document is not None:
            raise AwsError("NotFound", "Topic does not exist", 404)
        if topic is not None:
            default = topic._create_default_topic_policy(region, account, topic.name)
            topic.policy = document if document is not None else json.dumps(default)


class ManagedPolicy(ResourceType):
    """AWS::IAM::ManagedPolicy; its physical id is the policy's ARN.

    On AWS another path or description replaces the policy; here the update ignores them.
    """

    name_property = "ManagedPolicyName"

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates the policy, or makes the document its new default version; attaches it to the listed entities."""
        backend = _iam(account)
        arn = f"arn:aws:iam::{account}:policy{properties.get('Path') or '/'}{name}"
        if arn not in backend.managed_policies:
            backend.create_policy(
                description=properties.get("Description"),
                path=properties.get("Path"),
                policy_document=_text(properties),
                policy_name=name,
                tags=properties.get("Tags", []),
            )
        policy = backend.managed_policies[arn]
        if next(each for each in policy.versions if each.is_default).document != _text(properties):
            while len(policy.versions) >= _MOST_VERSIONS:
                policy.versions.remove(next(each for each in policy.versions if not each.is_default))
            backend.create_policy_version(arn, _text(properties), set_as_default=True)
        wanted = _listed(properties, account)
        for entity in _attached(policy, account):
            if entity not in wanted and entity in getattr(policy, "stack_entities", []):
                policy.detach_from(entity)
        for entity in wanted:
            if policy not in entity.managed_policies.values():
                policy.attach_to(entity)
        policy.stack_entities = wanted
        return arn, {"PolicyArn": arn, "Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Detaches the policy from the listed entities, and deletes it.

        Raises:
            AwsError: DeleteConflict; another entity has the policy, or a role has it as its boundary.
        """
        backend = _iam(account)
        policy, listed = backend.managed_policies[physical_id], _listed(properties, account)
        if any(entity not in listed for entity in _attached(policy, account)):
            raise violation("iam-policy-in-use")
        for entity in listed:
            if policy.arn in entity.managed_policies:
                policy.detach_from(entity)
        if account_state.attached_entities(physical_id):  # as the boundary of a role
            raise violation("iam-policy-in-use")
        backend.delete_policy(physical_id)


def _listed(properties: dict[str, Any], account: str) -> list[Any]:
    """The roles, users and groups that the properties list and that exist."""
    backend = _iam(account)
    by_name = {
        "Roles": {role.name: role for role in backend.roles.values()},
        "Users": dict(backend.users),
        "Groups": dict(backend.groups),
    }
    return [found[name] for kind, found in by_name.items() for name in properties.get(kind, []) if name in found]


def _attached(policy: Any, account: str) -> list[Any]:
    """The roles, users and groups to which the policy is attached."""
    backend = _iam(account)
    entities = [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]
    return [entity for entity in entities if policy.arn in entity.managed_policies]


def _text(properties: dict[str, Any]) -> str:
    """The policy document as JSON."""
    document = properties["PolicyDocument"]
    return document if isinstance(document, str) else json.dumps(document)


def _iam(account: str) -> Any:
    from moto.iam.models import iam_backends

    return iam_backends[account]["aws"]
