"""The IAM actions, resources and condition keys that each operation requires, one table per service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements import autoscaling, cloudformation, compute, iam, messaging, s3, sagemaker
from local_aws.authorization.requirements.base import Requirement, Rule

TABLES: Mapping[str, Mapping[str, Rule]] = {
    "application-autoscaling": autoscaling.RULES,
    "cloudformation": cloudformation.RULES,
    "cloudwatch": compute.CLOUDWATCH_RULES,
    "dynamodb": messaging.DYNAMODB_RULES,
    "events": compute.EVENTS_RULES,
    "iam": iam.RULES,
    "kms": messaging.KMS_RULES,
    "lambda": compute.LAMBDA_RULES,
    "logs": compute.LOGS_RULES,
    "s3": s3.RULES,
    "sagemaker": sagemaker.RULES,
    "sagemaker-runtime": sagemaker.RULES,
    "servicequotas": messaging.QUOTA_RULES,
    "sns": messaging.SNS_RULES,
    "sqs": messaging.SQS_RULES,
    "sts": iam.STS_RULES,
}


def find(call: Call) -> Sequence[Requirement] | None:
    """What the call requires, in AWS's order; empty if it needs no permission, None if no table has the operation."""
    rule = TABLES.get(call.service, {}).get(call.operation)
    return None if rule is None else tuple(rule(call))
