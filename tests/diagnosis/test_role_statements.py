"""What a role of a template is meant to be allowed, as requests for the policy simulator."""

from __future__ import annotations

import textwrap

import pytest

from ml.diagnosis.role_statements import Request, requests
from ml.diagnosis.template_values import StackValues, Template
from ml.errors import ConfigError

VALUES = StackValues(
    region="eu-west-1",
    account="123456789012",
    partition="aws",
    name="plat",
    parameters={"Lake": "lake", "Key": ""},
    resources={"Role": ("AWS::IAM::Role", "plat-Role-1"), "Queue": ("AWS::SQS::Queue", "https://sqs/1/queue-2")},
)


def template(statements: str, more: str = "") -> Template:
    """A template with a role of these statements, and further resources."""
    text = """
Conditions: {Keyed: !Not [!Equals [!Ref Key, ""]]}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Path: /own/
      Policies:
        - PolicyDocument:
            Statement:
"""
    return Template(text + textwrap.indent(textwrap.dedent(statements), " " * 14) + more, VALUES)


def test_references_and_wildcards_become_concrete() -> None:
    """`!Sub`, `!GetAtt` and `!Ref` are resolved; a wildcard is a sample, in the account field the account itself."""
    made = template(
        """
        - {Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}
        - Sid: Read
          Effect: Allow
          Action: [s3:GetObject, s3:PutObject]
          Resource: [!Sub "arn:${AWS::Partition}:s3:::${Lake}/raw/*", !Sub "arn:aws:ecr:${AWS::Region}:*:repository/r"]
        """
    )
    first, second = requests(made, "Role")
    assert first == Request(
        statement="statement 1",
        actions=("sqs:SendMessage",),
        resources=("arn:aws:sqs:eu-west-1:123456789012:queue-2",),
        context={},
    )
    assert (second.statement, second.actions) == ("Read", ("s3:GetObject", "s3:PutObject"))
    assert second.resources == ("arn:aws:s3:::lake/raw/x", "arn:aws:ecr:eu-west-1:123456789012:repository/r")
    assert made.arn("Role") == "arn:aws:iam::123456789012:role/own/plat-Role-1"
    assert made.value({"Fn::GetAtt": "Queue.QueueName"}) == "queue-2"


def test_each_accepted_value_of_a_condition_is_a_request() -> None:
    """A key of ForAnyValue has a tuple, and several keys are combined."""
    made = template(
        """
        - Effect: Allow
          Action: s3:ListBucket
          Resource: "*"
          Condition:
            StringLike: {"s3:prefix": [raw/*, code/*]}
            "ForAnyValue:StringEquals": {"aws:CalledVia": cloudformation.amazonaws.com}
        """
    )
    called = ("cloudformation.amazonaws.com",)
    assert [request.context for request in requests(made, "Role")] == [
        {"s3:prefix": "raw/x", "aws:CalledVia": called},
        {"s3:prefix": "code/x", "aws:CalledVia": called},
    ]
    assert {request.resources for request in requests(made, "Role")} == {("*",)}


def test_denied_actions_are_not_expected() -> None:
    """A Deny removes its action on its resource, and no other."""
    made = template(
        """
        - Effect: Allow
          Action: [s3:PutObject, s3:DeleteObject]
          Resource: ["arn:aws:s3:::a", "arn:aws:s3:::b"]
        - {Effect: Deny, Action: "s3:Delete*", Resource: "arn:aws:s3:::a"}
        """
    )
    expected = {(action, part) for item in requests(made, "Role") for action in item.actions for part in item.resources}
    assert expected == {
        ("s3:PutObject", "arn:aws:s3:::a"),
        ("s3:PutObject", "arn:aws:s3:::b"),
        ("s3:DeleteObject", "arn:aws:s3:::b"),
    }


def test_policies_of_their_own_belong_to_their_roles() -> None:
    """A policy that names the role counts; one that names another does not."""
    more = """
  Own:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: {Statement: [{Sid: Own, Effect: Allow, Action: iam:PassRole, Resource: !GetAtt Role.Arn}]}
  Other:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Queue]
      PolicyDocument: {Statement: [{Sid: Other, Effect: Allow, Action: iam:GetRole, Resource: "*"}]}
"""
    made = template('- {Sid: First, Effect: Allow, Action: s3:GetObject, Resource: "*"}\n', more)
    assert [item.statement for item in requests(made, "Role")] == ["First", "Own"]


def test_policies_whose_condition_fails_are_not_expected() -> None:
    """Neither a policy of its own nor a statement that `!If` replaces by AWS::NoValue."""
    more = """
  Own:
    Type: AWS::IAM::Policy
    Condition: Keyed
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: {Statement: [{Sid: Own, Effect: Allow, Action: kms:Decrypt, Resource: !Ref Key}]}
"""
    made = template(
        """
        - {Sid: First, Effect: Allow, Action: s3:GetObject, Resource: "*"}
        - !If [Keyed, {Sid: Second, Effect: Allow, Action: kms:Decrypt, Resource: "*"}, !Ref "AWS::NoValue"]
        """,
        more,
    )
    assert [item.statement for item in requests(made, "Role")] == ["First"]


def test_conditions_of_the_template_choose() -> None:
    """`!If` takes the branch of the deployed parameters."""
    made = template('- {Effect: Allow, Action: kms:Decrypt, Resource: !If [Keyed, "arn:yes", "arn:no"]}\n')
    assert requests(made, "Role")[0].resources == ("arn:no",)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("- {Effect: Allow, Action: a:B, Resource: !Ref Absent}", "no parameter or resource Absent"),
        ("- {Effect: Allow, Action: a:B, Resource: !GetAtt Queue.Name}", "Queue.Name cannot be resolved"),
        ("- {Effect: Allow, Action: a:B, Resource: !ImportValue x}", "Fn::ImportValue in a form"),
        (
            "- {Effect: Allow, Action: a:B, Resource: '*', Condition: {StringNotEquals: {k: v}}}",
            "operator StringNotEquals is not supported",
        ),
    ],
)
def test_what_cannot_be_resolved_is_an_error(statement: str, said: str) -> None:
    """It names the reference, function or operator; nothing is guessed."""
    with pytest.raises(ConfigError, match=said):
        requests(template(f"{statement}\n"), "Role")


@pytest.mark.parametrize("text", ["Resources: [", "x: 1", ""])
def test_text_that_is_no_template_is_an_error(text: str) -> None:
    """The error says so."""
    with pytest.raises(ConfigError, match="the template"):
        Template(text, VALUES)
