"""Rules of SQS and SNS: limits of queues, subjects and messages, and what a topic's policy may name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check
from local_aws.service_rules.identity_checks import check_grammar

_QUEUE_LIMITS = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
_SUBJECT = re.compile(r"[!-~][ -~]{0,99}")


def _queue(parameters: Mapping[str, Any]) -> None:
    attributes = parameters.get("Attributes") or {}
    check_queue(attributes)
    if attributes.get("Policy"):  # an empty one removes the policy
        check_grammar(attributes["Policy"], "sqs-policy")


def check_queue(attributes: Mapping[str, Any]) -> None:
    """Refuses times and sizes of a queue that SQS does not have."""
    for name, (least, most) in _QUEUE_LIMITS.items():
        value = str(attributes.get(name, least))
        if not re.fullmatch(r"\d+", value) or not least <= int(value) <= most:
            raise violation("sqs-attribute-range", name=name)


def _publish(parameters: Mapping[str, Any]) -> None:
    subject = parameters.get("Subject")
    if subject is not None and not _SUBJECT.fullmatch(subject):
        raise violation("sns-subject")
    if not parameters.get("Message"):
        raise violation("sns-empty-message")


def _topic_attribute(parameters: Mapping[str, Any]) -> None:
    if parameters.get("AttributeName") != "Policy":
        return
    document = parameters.get("AttributeValue") or ""
    check_grammar(document, "sns-policy")
    check_topic_policy(json.loads(document))


def check_topic_policy(document: Any) -> None:
    """Refuses a topic's policy that names an action of another service."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in [statements] if isinstance(statements, dict) else statements:
        actions = statement.get("Action", []) if isinstance(statement, dict) else []
        for action in [actions] if isinstance(actions, str) else actions:
            if not str(action).lower().startswith("sns:"):
                raise violation("sns-policy-action")


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("sqs", "CreateQueue"): (_queue,),
    ("sqs", "SetQueueAttributes"): (_queue,),
    ("sns", "Publish"): (_publish,),
    ("sns", "SetTopicAttributes"): (_topic_attribute,),
}
"""By service and operation."""
