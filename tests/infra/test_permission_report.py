"""The report of `make permissions`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_aws.errors import EmulatorError
from local_aws.server import LocalAws

from tests.harness.platform import permission_report, permissions

TEMPLATE = """
Resources:
  Worker:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              # unused in the emulators: sns:Publish, because nothing is published.
              - {Sid: Tell, Effect: Allow, Action: ["sns:Publish", "sqs:SendMessage"], Resource: "*"}
"""


def test_report_has_roles_of_all_runs_and_the_tests_of_statements(tmp_path: Path) -> None:
    """The same role of two stacks is one; unused actions have their comment or are listed."""
    for stack in ("one", "two"):
        with LocalAws(tmp_path / stack / "cloud") as aws:
            aws.client("cloudformation").create_stack(
                StackName=stack, TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM"]
            )
    report = json.loads(permission_report.of_runs(tmp_path))
    [role] = report["roles"]
    assert (role["role"], report["runs"], role["denied"]) == ("Worker", 2, [])
    [statement] = role["statements"]
    assert statement["used"] == []
    assert [each["justification"] for each in statement["unused"]] == [
        "sns:Publish, because nothing is published.",
        None,
    ]
    assert role["never_used"] == ["own Tell sqs:SendMessage"]
    named = {(each["owner"], each["sid"]): each["test"] for each in report["fails_without"]}
    assert named.items() >= permissions.USED_BY.items()


def test_report_of_no_runs_is_an_error(tmp_path: Path) -> None:
    """An empty folder gives no report."""
    with pytest.raises(EmulatorError, match="no emulator has stopped below it"):
        permission_report.of_runs(tmp_path)
