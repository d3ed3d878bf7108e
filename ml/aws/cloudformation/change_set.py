"""Previews what a template would change in a stack, with a change set that is never executed.

The change set is deleted after it has been read.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml.aws import session
from ml.aws.cloudformation import stack
from ml.aws.platform_stack import describe_stack
from ml.errors import CloudError

_TIMEOUT_SECONDS = 300
_EMPTY = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A planned change of one resource, and the properties that cause it."""

    action: Literal["Remove", "Modify", "Add", "Import", "Dynamic"]
    resource: str
    type: str
    physical_id: str
    replacement: Literal["True", "False", "Conditional", ""]
    """Whether CloudFormation would replace the resource and lose its content; '' if not known."""
    because: tuple[str, ...]

    @property
    def loses(self) -> bool:
        """Whether the present resource would or could be deleted."""
        return self.action == "Remove" or self.replacement in ("True", "Conditional")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The planned changes of one stack: deletions and replacements first, then modifications, then additions."""

    stack: str
    exists: bool
    changes: tuple[Change, ...]


def preview(name: str, template: str, parameters: Mapping[str, str]) -> Preview:
    """The changes that applying `template` with `parameters` to the stack `name` would make; applies none.

    Raises:
        CloudError: the template is refused, or the change set is not ready in time.
    """
    before = describe_stack(name)
    if before is None:
        return Preview(stack=name, exists=False, changes=())
    cloudformation = session.client("cloudformation")
    label = f"fraudops-{os.environ.get('GITHUB_RUN_ID', 'laptop')}-{secrets.token_hex(4)}"
    with session.explained(f"previewing changes of the stack {name}"):
        request = stack.request_of(name, template, parameters, before)
        made = cloudformation.create_change_set(ChangeSetName=label, ChangeSetType="UPDATE", **request)
        try:
            found = _settled(name, made["Id"])
            items = list(found.get("Changes", []))
            while found.get("NextToken"):
                found = cloudformation.describe_change_set(
                    StackName=name, ChangeSetName=made["Id"], NextToken=found["NextToken"]
                )
                items += found.get("Changes", [])
        finally:
            cloudformation.delete_change_set(StackName=name, ChangeSetName=made["Id"])
    changes = [_change(item["ResourceChange"]) for item in items if "ResourceChange" in item]
    order = {"Remove": 0, "Modify": 2, "Dynamic": 2, "Import": 3, "Add": 3}
    changes.sort(
        key=lambda change: (1 if change.loses and order[change.action] else order[change.action], change.resource)
    )
    return Preview(stack=name, exists=True, changes=tuple(changes))


def _settled(name: str, identifier: str) -> dict[str, Any]:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

    def look() -> dict[str, Any]:
        found: dict[str, Any] = session.client("cloudformation").describe_change_set(
            StackName=name, ChangeSetName=identifier
        )
        return found

    patient = Retrying(
        retry=retry_if_result(lambda found: found["Status"].endswith(("_PENDING", "_IN_PROGRESS"))),
        stop=stop_after_delay(_TIMEOUT_SECONDS),
        wait=wait_exponential(multiplier=0.2, max=5),
    )
    try:
        found: dict[str, Any] = patient(look)
    except RetryError as error:
        raise CloudError(f"the change set of the stack {name} was not ready in {_TIMEOUT_SECONDS} s") from error
    reason = str(found.get("StatusReason") or "")
    # CloudFormation reports an empty change set as failed, without an error code of its own.
    if found["Status"] == "FAILED" and not _EMPTY.search(reason):
        raise CloudError(f"the change set of the stack {name} failed: {reason or 'no reason given'}")
    return found


def _change(item: Mapping[str, Any]) -> Change:
    because = {
        str(target.get("Name") or target.get("Attribute"))
        for target in (detail.get("Target", {}) for detail in item.get("Details", []))
        if target.get("Name") or target.get("Attribute")
    }
    return Change(
        action=item["Action"],
        resource=item["LogicalResourceId"],
        type=item["ResourceType"],
        physical_id=item.get("PhysicalResourceId") or "",
        replacement=item.get("Replacement") or "",
        because=tuple(sorted(because)),
    )
