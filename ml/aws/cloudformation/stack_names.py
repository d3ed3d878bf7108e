"""Finds stacks whose names overlap with the platform's: one is the other, a dash and more. Changes no stack.

An infrastructure role may change every resource whose name begins with its stack's name and a dash, and with it those
of a stack with such a name: infra/github-oidc.yaml.
"""

from __future__ import annotations

from ml.aws import session
from ml.aws.cloudformation import stack, workflow_roles
from ml.aws.platform_stack import stack_name

_NO_RESOURCES = ("DELETE_COMPLETE", stack.UNUSED)


def overlap() -> str | None:
    """Why the name of the platform's stack does not fit beside the stacks of this account and region; None if it does.

    Any stack whose name extends the platform's is named, because the platform's infrastructure role would reach it. A
    shorter name counts only with its stack of the workflows' roles, which has the role that would reach the platform.

    Raises:
        CloudError: the stacks cannot be listed.
    """
    name, roles = stack_name(), workflow_roles.stack_name()
    names = _existing()
    longer = [other for other in names if other.startswith(f"{name}-") and other != roles]
    shorter = [other for other in names if name.startswith(f"{other}-") and workflow_roles.stack_name(other) in names]
    pairs = [(name, other) for other in longer] + [(other, name) for other in shorter]
    if not pairs:
        return None
    short, long = pairs[0]
    return (
        f"stack {long} of this account and region begins with the name of stack {short} and a dash, so the "
        f"infrastructure role of {short} may change resources of {long}; set FRAUDOPS_STACK to another name"
    )


def _existing() -> list[str]:
    with session.explained("listing the stacks"):
        pages = session.client("cloudformation").get_paginator("list_stacks").paginate()
        found = [item for page in pages for item in page["StackSummaries"]]
    return sorted({str(item["StackName"]) for item in found if item["StackStatus"] not in _NO_RESOURCES})
