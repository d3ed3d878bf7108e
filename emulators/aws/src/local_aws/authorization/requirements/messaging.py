"""Requirements of Amazon SNS's, Amazon SQS's, AWS KMS's, Amazon DynamoDB's and Service Quotas' operations.

Source: Service Authorization Reference, the pages of these services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, arn, on_everything, tags, values

_TOPIC_OPERATIONS = (
    "AddPermission", "ConfirmSubscription", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic",
    "ListTagsForResource", "Publish", "RemovePermission", "SetTopicAttributes", "Subscribe",
)  # fmt: skip
_SUBSCRIPTION_OPERATIONS = ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe")
_QUEUE_ACTIONS = {
    "AddPermission": "AddPermission", "ChangeMessageVisibility": "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility", "DeleteMessage": "DeleteMessage",
    "DeleteMessageBatch": "DeleteMessage", "DeleteQueue": "DeleteQueue", "GetQueueAttributes": "GetQueueAttributes",
    "ListDeadLetterSourceQueues": "ListDeadLetterSourceQueues", "ListQueueTags": "ListQueueTags",
    "PurgeQueue": "PurgeQueue", "ReceiveMessage": "ReceiveMessage", "RemovePermission": "RemovePermission",
    "SendMessage": "SendMessage", "SendMessageBatch": "SendMessage", "SetQueueAttributes": "SetQueueAttributes",
    "TagQueue": "TagQueue", "UntagQueue": "UntagQueue", "GetQueueUrl": "GetQueueUrl", "CreateQueue": "CreateQueue",
}  # fmt: skip
_KEY_OPERATIONS = (
    "CreateGrant", "Decrypt", "DescribeKey", "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation",
    "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GetKeyPolicy", "GetKeyRotationStatus",
    "GetPublicKey", "ListGrants", "ListResourceTags", "PutKeyPolicy", "RevokeGrant", "ScheduleKeyDeletion", "Sign",
    "TagResource", "UntagResource", "UpdateKeyDescription", "Verify",
)  # fmt: skip
_TABLE_OPERATIONS = (
    "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeTable", "GetItem", "PutItem", "Query",
    "Scan", "UpdateItem",
)  # fmt: skip


def topic_arn(call: Call, name: str) -> str:
    """The ARN of a topic, given by name or ARN."""
    return name if name.startswith("arn:") else arn(call, "sns", name)


def _on_topic(action: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        given = ("TopicArn", "TargetArn", "ResourceArn", "PhoneNumber", "Name")
        name = next((call.text(member) for member in given if call.text(member)), "*")
        context = tags(call) | values(sns_Protocol=call.text("Protocol"), sns_Endpoint=call.text("Endpoint"))
        yield Requirement(f"sns:{action}", topic_arn(call, name), context)

    return rule


def _on_subscription(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        # A subscription is judged by its topic, whose ARN its own begins with.
        yield Requirement(f"sns:{operation}", call.text("SubscriptionArn").rpartition(":")[0])

    return rule


SNS_RULES: Mapping[str, Rule] = {
    **{operation: _on_topic(operation) for operation in (*_TOPIC_OPERATIONS, "CreateTopic")},
    **{operation: _on_subscription(operation) for operation in _SUBSCRIPTION_OPERATIONS},
    "PublishBatch": _on_topic("Publish"),
    "ListSubscriptions": on_everything("sns:ListSubscriptions"),
    "ListTopics": on_everything("sns:ListTopics"),
}


def queue_arn(call: Call) -> str:
    """The ARN of the queue in a call, given by URL or name."""
    name = urlsplit(call.text("QueueUrl")).path.rpartition("/")[2] or call.text("QueueName")
    return arn(call, "sqs", name)


def _on_queue(action: str) -> Rule:
    return lambda call: [Requirement(f"sqs:{action}", queue_arn(call), tags(call, "tags"))]


SQS_RULES: Mapping[str, Rule] = {
    **{operation: _on_queue(action) for operation, action in _QUEUE_ACTIONS.items()},
    "ListQueues": on_everything("sqs:ListQueues"),
}


def key_arn(call: Call, member: str = "KeyId") -> str:
    """The ARN of a key, given in the parameter `member` by id, ARN, alias or the alias's ARN."""
    from moto.kms.models import kms_backends

    name = call.text(member)
    if "alias/" in name:
        alias = f"alias/{name.partition('alias/')[2]}"
        name = str(kms_backends[call.account][call.region].get_key_id_from_alias(alias) or name)
    return name if name.startswith("arn:") else arn(call, "kms", f"key/{name}")


def _on_key(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        context = _encryption_context(call) | tags(call)
        if operation == "CreateGrant":
            context |= _grant_context(call)
        if operation in ("Sign", "Verify"):
            given_type = call.text("MessageType") or "RAW"
            context |= values(kms_SigningAlgorithm=call.text("SigningAlgorithm"), kms_MessageType=given_type)
        context["kms:CallerAccount"] = call.account
        given = tags(call, "ResourceTags")  # of a key that CloudFormation creates, which the store does not have yet
        context |= {name.replace("RequestTag", "ResourceTag"): value for name, value in given.items()}
        yield Requirement(f"kms:{operation}", key_arn(call), context)

    return rule


def _encryption_context(call: Call) -> dict[str, str | Sequence[str]]:
    """The encryption context of a call; for CreateGrant, of the grant's constraint."""
    constraints: Mapping[str, Mapping[str, str]] = call.parameters.get("Constraints") or {}
    encryption: Mapping[str, str] = call.parameters.get("EncryptionContext") or next(iter(constraints.values()), {})
    found: dict[str, str | Sequence[str]] = {
        f"kms:EncryptionContext:{name}": str(value) for name, value in encryption.items()
    }
    if encryption:
        found["kms:EncryptionContextKeys"] = tuple(encryption)
    return found


def _grant_context(call: Call) -> dict[str, str | Sequence[str]]:
    """What a new grant is for."""
    found = values(
        kms_GrantIsForAWSResource=call.text("GrantIsForAWSResource"),
        kms_GranteePrincipal=call.text("GranteePrincipal"),
        kms_RetiringPrincipal=call.text("RetiringPrincipal"),
        kms_GrantConstraintType=next(iter(call.parameters.get("Constraints") or {}), ""),
    )
    if operations := call.parameters.get("Operations"):
        found["kms:GrantOperations"] = tuple(map(str, operations))
    return found


def _on_alias(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name = call.text("AliasName").removeprefix("alias/")
        yield Requirement(f"kms:{operation}", arn(call, "kms", f"alias/{name}"))
        if call.text("TargetKeyId"):
            yield Requirement(f"kms:{operation}", key_arn(call, "TargetKeyId"))

    return rule


KMS_RULES: Mapping[str, Rule] = {
    **{operation: _on_key(operation) for operation in _KEY_OPERATIONS},
    **{operation: _on_alias(operation) for operation in ("CreateAlias", "DeleteAlias", "UpdateAlias")},
    "CreateKey": lambda call: [Requirement("kms:CreateKey", "*", tags(call))],
    "ListAliases": on_everything("kms:ListAliases"),
    "ListKeys": on_everything("kms:ListKeys"),
}


def _on_table(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        names = list(call.parameters.get("RequestItems") or []) or [call.text("TableName")]
        for name in names:
            resource = name if name.startswith("arn:") else arn(call, "dynamodb", f"table/{name}")
            yield Requirement(f"dynamodb:{operation}", resource)

    return rule


DYNAMODB_RULES: Mapping[str, Rule] = {
    **{operation: _on_table(operation) for operation in _TABLE_OPERATIONS},
    "ListTables": on_everything("dynamodb:ListTables"),
}


def _get_quota(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        service, code = call.text("ServiceCode"), call.text("QuotaCode")
        context = {"servicequotas:service": service}
        yield Requirement(f"servicequotas:{operation}", arn(call, "servicequotas", f"{service}/{code}"), context)

    return rule


QUOTA_RULES: Mapping[str, Rule] = {
    "GetServiceQuota": _get_quota("GetServiceQuota"),
    **{
        operation: on_everything(f"servicequotas:{operation}")
        for operation in (
            "GetAWSDefaultServiceQuota",
            "ListAWSDefaultServiceQuotas",
            "ListServiceQuotas",
            "ListServices",
        )
    },
}
