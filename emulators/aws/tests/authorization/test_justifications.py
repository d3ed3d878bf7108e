"""Comments of a template that justify unused statements and actions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_aws.authorization import justifications, usage
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
        Statement:
          # unused in the emulators: no function runs.
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}
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
  Bucket: {Type: AWS::S3::Bucket}
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # unused in the emulators: no log is delivered.
          - Sid: Deliver
            Effect: Allow
            Principal: {Service: logging.s3.amazonaws.com}
            Action: "s3:*"
            Resource: !Sub "${Bucket.Arn}/*"
  Queue: {Type: AWS::SQS::Queue}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # unused in the emulators: no message is sent.
          - {Sid: Send, Effect: Allow, Principal: "*", Action: "sqs:SendMessage", Resource: "*"}
  Topic: {Type: AWS::SNS::Topic}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # unused in the emulators: no alarm fires.
          - {Sid: Alarms, Effect: Allow, Principal: "*", Action: "sns:Publish", Resource: "*"}
  Key:
    Type: AWS::KMS::Key
    Properties:
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - {Sid: Account, Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: "kms:*", Resource: "*"}
          # unused in the emulators: nothing is encrypted.
          - {Sid: Encrypt, Effect: Allow, Principal: "*", Action: "kms:Encrypt", Resource: "*"}
"""
PULL = "no image is pulled. AWS documents it."
STATEMENT = """
# A note.
# unused in the emulators: s3:PutObject, because nothing
# is written.
# unused in the emulators: s3:Delete*, because nothing is deleted.
- Sid: Change
""".splitlines()


def test_comment_directly_above_a_statement_is_its_reason() -> None:
    """Further comment lines continue it; a comment without the mark, or apart from the statement, is none."""
    found = {
        (place.resource, place.type, place.policy, place.sid): reason
        for place, (reason,) in justifications.of_template(TEMPLATE).items()
    }
    assert found == {
        ("Shared", "AWS::IAM::ManagedPolicy", "", "Pull"): PULL,
        ("Worker", "AWS::IAM::Role", "", "#0"): "no function runs.",
        ("Worker", "AWS::IAM::Role", "own", "#2"): "it has no Sid.",
        ("Attached", "AWS::IAM::Policy", "attached", "Publish"): "nothing is published.",
        ("BucketPolicy", "AWS::S3::BucketPolicy", "", "Deliver"): "no log is delivered.",
        ("QueuePolicy", "AWS::SQS::QueuePolicy", "", "Send"): "no message is sent.",
        ("TopicPolicy", "AWS::SNS::TopicPolicy", "", "Alarms"): "no alarm fires.",
        ("Key", "AWS::KMS::Key", "", "Encrypt"): "nothing is encrypted.",
    }


def test_each_mark_above_a_statement_starts_a_reason() -> None:
    """In their order; lines above the first mark belong to none."""
    assert justifications.above(STATEMENT, len(STATEMENT) - 1) == (
        "s3:PutObject, because nothing is written.",
        "s3:Delete*, because nothing is deleted.",
    )


@pytest.mark.parametrize("used", [True, False])
def test_reason_that_names_actions_covers_these(used: bool) -> None:
    """An action is named as it is written, and is no part of a longer one."""
    reasons = justifications.above(STATEMENT, len(STATEMENT) - 1)
    actions = ["s3:PutObject", "s3:Put", "s3:Delete*", "s3:Delete", "s3:GetObject"]
    found = justifications.by_action(actions, reasons, used=used)
    assert found == {"s3:PutObject": reasons[0], "s3:Delete*": reasons[1]}


def test_reason_without_actions_covers_an_unused_statement() -> None:
    """And nothing of a used one, which it would say wrongly to be unused."""
    actions = ["s3:GetObject", "s3:PutObject"]
    assert justifications.by_action(actions, ["no job runs."], used=False) == dict.fromkeys(actions, "no job runs.")
    assert justifications.by_action(actions, ["no job runs."], used=True) == {}


@pytest.mark.parametrize("text", ["", "a: [b]", '{"Resources": {"A": {"Type": "AWS::SQS::Queue"}}}'])
def test_template_without_policies_has_no_reasons(text: str) -> None:
    """Neither an empty document nor JSON is an error."""
    assert justifications.of_template(text) == {}


def test_report_quotes_the_reasons_of_deployed_templates(tmp_path: Path) -> None:
    """Those of a role's own policies, of managed and attached ones, and of shared policies; the others are listed."""
    with LocalAws(tmp_path) as aws:
        aws.client("cloudformation").create_stack(
            StackName="s", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
    found = usage.report(tmp_path)
    [role] = found.roles
    assert {each.sid: dict(each.justified) for each in role.statements} == {
        "Pull": {"ecr:GetAuthorizationToken": PULL}, "Never": {}, "Apart": {},
        "#2": {"sqs:SendMessage": "it has no Sid."}, "Publish": {"sns:Publish": "nothing is published."},
    }  # fmt: skip
    assert [each.sid for each in role.unjustified] == ["Never", "Apart"]
    assert json.loads(found.as_json())["roles"][0]["never_used"] == [
        "own Never s3:GetObject",
        "own Apart s3:PutObject",
    ]
    shared = {each.sid: list(each.justified.values()) for policy in found.shared for each in policy.statements}
    assert shared == {
        "#0": ["no function runs."], "Deliver": ["no log is delivered."], "Send": ["no message is sent."],
        "Alarms": ["no alarm fires."], "Account": [], "Encrypt": ["nothing is encrypted."],
    }  # fmt: skip
