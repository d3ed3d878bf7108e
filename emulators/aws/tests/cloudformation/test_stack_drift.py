"""The drift of a stack: never detected, or as it was set; unknown stacks and states are refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import pytest
from aws_resources import unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

TEMPLATE = "Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {}}}"


def set_drift(aws: LocalAws, body: bytes) -> Any:
    """POST /local-aws/stack-drift."""
    request = urllib.request.Request(f"{aws.url}/local-aws/stack-drift", method="POST", data=body)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        return json.loads(response.read())


def drift(aws: LocalAws, name: str) -> dict[str, Any]:
    """DriftInformation of DescribeStacks."""
    found: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0][
        "DriftInformation"
    ]
    return found


def test_drift_is_what_was_set(aws: LocalAws, simulated_time: datetime) -> None:
    """A new stack was not checked; then the state and the emulator's time are returned, for this stack alone."""
    names = [unique_name("stack"), unique_name("stack")]
    for name in names:
        aws.client("cloudformation").create_stack(StackName=name, TemplateBody=TEMPLATE)
    assert drift(aws, names[0]) == {"StackDriftStatus": "NOT_CHECKED"}
    set_drift(aws, json.dumps({"stack": names[0], "status": "DRIFTED"}).encode())
    assert drift(aws, names[0]) == {"StackDriftStatus": "DRIFTED", "LastCheckTimestamp": simulated_time}
    assert drift(aws, names[1]) == {"StackDriftStatus": "NOT_CHECKED"}
    set_drift(aws, json.dumps({"stack": names[0], "status": "NOT_CHECKED"}).encode())
    assert drift(aws, names[0]) == {"StackDriftStatus": "NOT_CHECKED"}


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"x", "not JSON"), (b"[]", "no stack None"), (b'{"stack": "absent", "status": "DRIFTED"}', "no stack 'absent'")],
)
def test_wrong_request_is_refused(aws: LocalAws, body: bytes, said: str) -> None:
    """The error names the value."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        set_drift(aws, body)
    assert said in caught.value.read().decode()
    caught.value.close()


def test_unknown_status_is_refused(aws: LocalAws) -> None:
    """The error lists the states."""
    name = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=TEMPLATE)
    with pytest.raises(urllib.error.HTTPError) as caught:
        set_drift(aws, json.dumps({"stack": name, "status": "FINE"}).encode())
    assert "DRIFTED, IN_SYNC, UNKNOWN, NOT_CHECKED" in caught.value.read().decode()
    caught.value.close()


def test_detection_is_refused(aws: LocalAws) -> None:
    """The emulator compares no resources, so it invents no result."""
    name = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=TEMPLATE)
    with pytest.raises(ClientError):
        aws.client("cloudformation").detect_stack_drift(StackName=name)
