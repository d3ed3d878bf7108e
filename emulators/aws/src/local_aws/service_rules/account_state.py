"""moto's records of the emulator's account, for checks that depend on what exists. Changes nothing."""

from __future__ import annotations

from typing import Any

from local_aws.clock import Clock

account = "123456789012"
"""The account of every caller in moto."""
region = "us-east-1"
"""The region of the emulator that runs in this process."""
clock = Clock()
"""The clock of the emulator that runs in this process."""


def roles() -> list[Any]:
    """The account's IAM roles."""
    from moto.iam.models import iam_backends

    return list(iam_backends[account]["aws"].roles.values())


def role(name_or_arn: str) -> Any | None:
    """The role with that name or ARN; None if there is none."""
    return next((item for item in roles() if name_or_arn in (item.name, item.arn)), None)


def attached_entities(policy_arn: str) -> list[Any]:
    """The roles, users and groups that have the managed policy, and the roles that have it as their boundary."""
    from moto.iam.models import iam_backends

    backend = iam_backends[account]["aws"]
    entities = [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]
    bounded = [each for each in roles() if each.permissions_boundary_arn == policy_arn]
    return [each for each in entities if policy_arn in each.managed_policies] + bounded


def identity_providers() -> list[str]:
    """The URLs of the account's identity providers, without the scheme."""
    from moto.iam.models import iam_backends

    arns = list(iam_backends[account]["aws"].open_id_providers)
    return [arn.partition(":oidc-provider/")[2] for arn in arns]


def function(name_or_arn: str) -> Any | None:
    """The Lambda function with that name or ARN; None if there is none."""
    from moto.awslambda.models import lambda_backends

    name = name_or_arn.rpartition(":function:")[2].partition(":")[0]
    functions = list(lambda_backends[account][region].list_functions())
    return next((each for each in functions if each.function_name == name), None)


def stack(name_or_id: str) -> Any | None:
    """The stack that exists with that name or id; None if there is none."""
    from moto.cloudformation.models import cloudformation_backends

    stacks = list(cloudformation_backends[account][region].stacks.values())
    return next((each for each in stacks if name_or_id in (each.name, each.stack_id)), None)


def bucket_region(name: str) -> str | None:
    """The region of the bucket; None if there is none."""
    from moto.s3.models import s3_backends

    bucket = s3_backends[account]["aws"].buckets.get(name)
    return bucket.region_name if bucket is not None else None


def sagemaker() -> Any:
    """SageMaker's backend."""
    from moto.sagemaker.models import sagemaker_backends

    return sagemaker_backends[account][region]


def rule_targets(name: str, bus: str) -> list[Any]:
    """The targets of an EventBridge rule; empty if there is no such rule."""
    from moto.events.models import events_backends

    found = events_backends[account][region].event_buses.get(bus)
    rule = found.rules.get(name) if found is not None else None
    return list(rule.targets) if rule is not None else []
