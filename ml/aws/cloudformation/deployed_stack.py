"""Reads a stack as it is deployed: its template, its resources and the result of its last drift detection.

Starts no drift detection: that is a job in the account, and a person starts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.aws import session


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The result of a stack's last drift detection: DRIFTED, IN_SYNC, UNKNOWN or NOT_CHECKED, and its time."""

    status: str
    checked: datetime | None


def template(name: str) -> str:
    """The stack's template as it was submitted. CloudError if the stack cannot be read."""
    with session.explained(f"reading the template of the stack {name}"):
        response = session.client("cloudformation").get_template(StackName=name, TemplateStage="Original")
    body = response["TemplateBody"]
    return body if isinstance(body, str) else json.dumps(body)  # botocore parses a JSON template


def resources(name: str) -> dict[str, tuple[str, str]]:
    """Type and physical id of each resource of the stack, by its logical id."""
    with session.explained(f"listing the resources of the stack {name}"):
        pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            item["LogicalResourceId"]: (item["ResourceType"], item["PhysicalResourceId"])
            for page in pages
            for item in page["StackResourceSummaries"]
            if "PhysicalResourceId" in item
        }


def drift(stack: Mapping[str, Any]) -> Drift:
    """The result of the last drift detection, from the description of a stack."""
    found = stack.get("DriftInformation") or {}
    return Drift(status=found.get("StackDriftStatus", "NOT_CHECKED"), checked=found.get("LastCheckTimestamp"))


def parameters(stack: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a stack, from its description."""
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}


def outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a stack, from its description."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
