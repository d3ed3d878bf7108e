"""A stack for the folder's tests."""

from __future__ import annotations

import pytest
from aws_resources import unique_name
from cloudformation_stacks import FUNCTION_STACK, stack_parameters, stack_status, upload_code
from local_aws.server import LocalAws


@pytest.fixture
def stack(aws: LocalAws) -> tuple[str, str, str]:
    """A stack of FUNCTION_STACK: its name, and the location of its code."""
    name = unique_name("stack")
    bucket, key = upload_code(aws, "first")
    aws.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=FUNCTION_STACK,
        Parameters=stack_parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert stack_status(aws, name) == "CREATE_COMPLETE"
    return name, bucket, key
