"""Reads what a stack consists of, also after it was deleted: its parameters and its resources. Deletes nothing.

CloudFormation keeps deleted stacks for 90 days under their id. Resources with a retain policy outlive their stack, and
only its history names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml.aws import session
from ml.aws.platform_stack import describe_stack


@dataclass(frozen=True, kw_only=True)
class StackContent:
    """A stack that exists or was deleted within 90 days. `resources` are (type, physical id), without deleted ones."""

    exists: bool
    parameters: Mapping[str, str]
    resources: tuple[tuple[str, str], ...]


def contents(name: str) -> list[StackContent]:
    """The stacks of that name, the present one first; empty if there never was one."""
    cloudformation, found = session.client("cloudformation"), []
    present = describe_stack(name)
    with session.explained(f"reading the resources of the stack {name}"):
        pages = cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
        deleted = [item["StackId"] for page in pages for item in page["StackSummaries"] if item["StackName"] == name]
        for identifier in [*([present["StackId"]] if present else []), *deleted]:
            described = cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]
            listed = cloudformation.get_paginator("list_stack_resources").paginate(StackName=identifier)
            resources = [item for page in listed for item in page["StackResourceSummaries"]]
            found.append(
                StackContent(
                    exists=present is not None and identifier == present["StackId"],
                    parameters={
                        item["ParameterKey"]: str(item.get("ParameterValue", ""))
                        for item in described.get("Parameters", [])
                    },
                    resources=tuple(
                        (item["ResourceType"], item["PhysicalResourceId"])
                        for item in resources
                        if item["ResourceStatus"] != "DELETE_COMPLETE" and item.get("PhysicalResourceId")
                    ),
                )
            )
    return found
