"""Comments of a template that justify unused statements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_aws.authorization import justifications, usage
from local_aws.authorization.justifications import StatementPlace
from local_aws.server import LocalAws

TEMPLATE = """
Resources:
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # unused in the emulators: no image is pulled.
          # AWS documents it.
          - Sid: Pull
            Effect: Allow
            Action: ecr:GetAuthorizationToken
            Resource: "*"
  Worker:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Shared]
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              # Not a justification.
              - {Sid: Never, Effect: Allow, Action: "s3:GetObject", Resource: "*"}
              # unused in the emulators: no alarm is sent.

              - {Sid: Apart, Effect: Allow, Action: "s3:PutObject", Resource: "*"}
              # unused in the emulators: it has no Sid.
              - Effect: Allow
                Action: sqs:SendMessage
                Resource: "*"
  Attached:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: attached
      Roles: [!Ref Worker]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # unused in the emulators: nothing is published.
          - {Sid: Publish, Effect: Allow, Action: "sns:Publish", Resource: "*"}
"""
PULL = "no image is pulled. AWS documents it."


def test_comment_directly_above_a_statement_is_its_reason() -> None:
    """Further comment lines continue it; a comment without the mark, or apart from the statement, is none."""
    assert justifications.of_template(TEMPLATE) == {
        StatementPlace(resource="Shared", type="AWS::IAM::ManagedPolicy", policy="", sid="Pull"): PULL,
        StatementPlace(resource="Worker", type="AWS::IAM::Role", policy="own", sid="#2"): "it has no Sid.",
        StatementPlace(
            resource="Attached", type="AWS::IAM::Policy", policy="attached", sid="Publish"
        ): "nothing is published.",
    }


@pytest.mark.parametrize("text", ["", "a: [b]", '{"Resources": {"A": {"Type": "AWS::SQS::Queue"}}}'])
def test_template_without_policies_has_no_reasons(text: str) -> None:
    """Neither an empty document nor JSON is an error."""
    assert justifications.of_template(text) == {}


def test_report_quotes_the_reasons_of_deployed_templates(tmp_path: Path) -> None:
    """Those of a role's own policies, of a managed policy and of an attached one; the others are listed."""
    with LocalAws(tmp_path) as aws:
        aws.client("cloudformation").create_stack(
            StackName="s", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
    [role] = usage.report(tmp_path)
    assert {each.sid: each.justification for each in role.statements} == {
        "Pull": PULL, "Never": "", "Apart": "", "#2": "it has no Sid.", "Publish": "nothing is published.",
    }  # fmt: skip
    assert [each.sid for each in role.unjustified] == ["Never", "Apart"]
    assert json.loads(usage.as_json([role]))[0]["never_used"] == ["own Never", "own Apart"]
