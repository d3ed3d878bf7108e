"""Finds stacks that would meet the platform's: by an overlapping name, or by the same endpoint. Changes no stack.

Names overlap if one is the other, a dash and more. An infrastructure role may change every resource whose name begins
with its stack's name and a dash, and with it those of a stack with such a name: infra/github-oidc.yaml. Two platforms
with one endpoint would replace each other's models, and read each other's captured traffic as their own.
"""

from __future__ import annotations

from ml import config
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


def same_endpoint(endpoint: str) -> str | None:
    """Why `endpoint` does not fit beside the platforms of this account and region; None if no other one has it.

    Raises:
        CloudError: the stacks cannot be described.
    """
    with session.explained("describing the stacks"):
        pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
        found = [item for page in pages for item in page["Stacks"] if item["StackStatus"] not in _NO_RESOURCES]
    for item in found:
        given = {each["ParameterKey"]: each["ParameterValue"] for each in item.get("Parameters", [])}
        # Only a platform's stack has both; the roles' stack of each platform has the endpoint without the key.
        if given.get("EndpointName") == endpoint and "CodeKey" in given and item["StackName"] != stack_name():
            return (
                f"stack {item['StackName']} of this account and region has the endpoint {endpoint} already, and both "
                f"would deploy to it; set `endpoint` in {config.SERVING} to another name"
            )
    return None


def _existing() -> list[str]:
    with session.explained("listing the stacks"):
        pages = session.client("cloudformation").get_paginator("list_stacks").paginate()
        found = [item for page in pages for item in page["StackSummaries"]]
    return sorted({str(item["StackName"]) for item in found if item["StackStatus"] not in _NO_RESOURCES})
