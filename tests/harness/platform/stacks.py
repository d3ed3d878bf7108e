"""Stacks of infra/platform.yaml on the AWS emulator; not a test itself."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from local_aws.server import LocalAws


def _zip(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()


CODE = _zip("def handler(event, context):\n    return None")
CODE_PARAMETERS = {"CodeBucket": "code", "CodeKey": "platform.zip"}


def store_code(aws: LocalAws) -> None:
    """Puts the function's code where the parameters say."""
    place = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.client("s3").create_bucket(Bucket="code", **place)
    aws.client("s3").put_object(Bucket="code", Key="platform.zip", Body=CODE)


def request(root: Path, name: str, **parameters: str) -> dict[str, Any]:
    """A request that creates or updates the stack `name`."""
    given = CODE_PARAMETERS | parameters
    return {
        "StackName": name,
        "TemplateBody": (root / "infra/platform.yaml").read_text(),
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    }


def describe(aws: LocalAws, name: str) -> dict[str, Any]:
    """The stack's description."""
    stack: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return stack


def create(aws: LocalAws, root: Path, name: str, **parameters: str) -> dict[str, str]:
    """Creates the stack and returns its outputs."""
    aws.client("cloudformation").create_stack(**request(root, name, **parameters))
    found = describe(aws, name)
    assert found["StackStatus"] == "CREATE_COMPLETE", found.get("StackStatusReason")
    return {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}


def physical(aws: LocalAws, name: str) -> dict[str, str]:
    """The physical id of each resource by its logical id."""
    resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}
