"""moto's records of the emulator's account, for checks that depend on what exists. Changes nothing."""

from __future__ import annotations

from typing import Any

account = "123456789012"
"""The account of every caller in moto."""
region = "us-east-1"
"""The region of the emulator that runs in this process."""


def roles() -> list[Any]:
    """The account's IAM roles."""
    from moto.iam.models import iam_backends

    return list(iam_backends[account]["aws"].roles.values())


def role(name_or_arn: str) -> Any | None:
    """The role with that name or ARN; None if there is none."""
    return next((item for item in roles() if name_or_arn in (item.name, item.arn)), None)


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
