"""Documents that IAM refuses, with its words, the statement and the element; and documents that it accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_aws.errors import AwsError
from local_aws.iam.policy_documents import DocumentKind, parse
from moto.iam.aws_managed_policies import aws_managed_policies_data

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
SYNTAX = "Syntax errors in policy."
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."


def document(*statements: Any, **top: Any) -> str:
    """A document of the current version."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **top})


def without(statement: dict[str, Any], element: str, **more: Any) -> dict[str, Any]:
    """The statement without an element."""
    return {name: value for name, value in statement.items() if name != element} | more


MALFORMED = [
    ("{", SYNTAX, "Expecting property name"),
    ("[]", SYNTAX, "the document must be an object"),
    (json.dumps({"Version": "2012-10-17"}), SYNTAX, "Statement is missing"),
    (document(), SYNTAX, "Statement: must contain a statement"),
    (document(ALLOW, Statements=[]), SYNTAX, "unknown element Statements"),
    (document(ALLOW, Version="2017-10-17"), "The policy must contain a valid version string", "got '2017-10-17'"),
    (document(ALLOW, "Allow"), SYNTAX, "statement 2: must be an object"),
    (document({**ALLOW, "Effects": "Deny"}), SYNTAX, "statement 1, Effects: is no element"),
    (
        document(ALLOW, {**ALLOW, "Sid": "Read", "Effect": "Permit"}),
        SYNTAX,
        "statement 2 (Read), Effect: must be Allow",
    ),
    (document({**ALLOW, "Sid": 7}), SYNTAX, "statement 1, Sid: must be a string, got 7"),
    (
        document({**ALLOW, "Sid": "A"}, {**ALLOW, "Sid": "A"}),
        "Statement IDs (SID) in a single policy must be unique.",
        "Sid: 'A' occurs twice",
    ),
    (document({**ALLOW, "NotAction": "s3:*"}), SYNTAX, "statement 1, NotAction: excludes Action"),
    (document(without(ALLOW, "Action")), "Policy statement must contain actions.", "statement 1, Action: is missing"),
    (document({**ALLOW, "Action": []}), "Policy statement must contain actions.", "Action: is missing or empty"),
    (document({**ALLOW, "Action": ["s3:GetObject", 3]}), SYNTAX, "Action: must be strings, got 3"),
    (document({**ALLOW, "Action": "GetObject"}), VENDOR, "'GetObject' is no action"),
    (document({**ALLOW, "Action": "s3:Get Object"}), VENDOR, "'s3:Get Object' is no action"),
    (document({**ALLOW, "Action": "s*:GetObject"}), VENDOR, "'s*:GetObject' is no action"),
    (document(without(ALLOW, "Resource")), "Policy statement must contain resources.", "Resource: is missing"),
    (document({**ALLOW, "Resource": "lake"}), 'Resource lake must be in ARN format or "*".', "statement 1, Resource"),
    (document({**ALLOW, "Resource": "arn:aws:s3:lake"}), "The policy failed legacy parsing", "fewer than six parts"),
    (
        document({**ALLOW, "Resource": "arn:aws:*:::lake"}),
        "Resource vendor must be fully qualified and cannot contain regexes.",
        "has a wildcard for the service",
    ),
    (
        document({**ALLOW, "Resource": "arn:aws:iam::123456789012:u*"}),
        'IAM resource path must either be "*" or start with user/',
        "has a wildcard in the resource type",
    ),
    (document({**ALLOW, "Principal": "*"}), "Policy document should not specify a principal.", "Principal: is not"),
    (document({**ALLOW, "Condition": "x"}), SYNTAX, "statement 1, Condition: must be an object of operators"),
    (document({**ALLOW, "Condition": {"Bool": "x"}}), SYNTAX, "Condition, Bool: must be an object"),
    (
        document({**ALLOW, "Condition": {"Bool": {"SecureTransport": "true"}}}),
        VENDOR,
        "'SecureTransport' is no context",
    ),
    (document({**ALLOW, "Condition": {"Boolean": {"aws:X": "true"}}}), SYNTAX, "'Boolean' is no condition operator"),
    (document({**ALLOW, "Condition": {"Bool": {"aws:X": [None]}}}), SYNTAX, "Condition, Bool, aws:X: must be strings"),
]


@pytest.mark.parametrize(("text", "words", "problem"), MALFORMED)
def test_parse_refuses_a_malformed_identity_policy(text: str, words: str, problem: str) -> None:
    """The message begins with AWS's words and names the statement, the element and the value."""
    with pytest.raises(AwsError) as refused:
        parse(text, DocumentKind.IDENTITY)
    assert refused.value.code == "MalformedPolicyDocument"
    assert refused.value.message.startswith(words)
    assert problem in refused.value.message


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (without(TRUST, "Principal"), "Missing required field Principal"),
        ({**TRUST, "Resource": "*"}, "Has prohibited field Resource"),
        ({**TRUST, "Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({**TRUST, "Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        (
            without(TRUST, "Principal", NotPrincipal={"AWS": "123456789012"}),
            "AssumeRole policy must not contain NotPrincipal field.",
        ),
        ({**TRUST, "Principal": "123456789012"}, "Invalid principal in policy"),
        ({**TRUST, "Principal": {"User": "ana"}}, "Invalid principal in policy"),
        (
            {**TRUST, "Principal": {"AWS": "arn:aws:iam::123456789012:role/*"}},
            'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/*"',
        ),
    ],
)
def test_parse_refuses_a_malformed_trust_policy(statement: dict[str, Any], words: str) -> None:
    """A trust policy has a Principal, names no resource and allows no action but STS's."""
    with pytest.raises(AwsError) as refused:
        parse(document(statement), DocumentKind.TRUST)
    assert refused.value.message.startswith(words)
    assert "statement 1, " in refused.value.message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps({"Statement": ALLOW}), DocumentKind.IDENTITY),
        (document(ALLOW, Id="an-id"), DocumentKind.IDENTITY),
        (document({**ALLOW, "Resource": "arn:aws:s3:*"}), DocumentKind.IDENTITY),
        (document({**ALLOW, "Condition": {"Bool": {"aws:SecureTransport": False}}}), DocumentKind.IDENTITY),
        (document({**ALLOW, "Condition": {"NumericLessThan": {"s3:max-keys": 10}}}), DocumentKind.IDENTITY),
        (document(without(ALLOW, "Resource", Principal="*")), DocumentKind.RESOURCE),
        (document({**ALLOW, "Principal": {"AWS": "*", "CanonicalUser": "79a59df900b949e5"}}), DocumentKind.RESOURCE),
        (document(TRUST), DocumentKind.TRUST),
    ],
)
def test_parse_accepts(text: str, kind: DocumentKind) -> None:
    """One statement without a list, no version, an Id, an ARN that ends early, values that are no strings."""
    assert len(parse(text, kind).statements) == 1


def test_parse_keeps_documents() -> None:
    """The same text is parsed once."""
    assert parse(document(ALLOW), DocumentKind.IDENTITY) is parse(document(ALLOW), DocumentKind.IDENTITY)


def test_parse_accepts_every_managed_policy_of_aws() -> None:
    """AWS published these documents, so a refusal is an error of the parser. moto carries their text."""
    published = json.loads(aws_managed_policies_data)
    assert len(published) > 1000
    for name, policy in published.items():
        assert parse(policy["Document"], DocumentKind.IDENTITY).statements, name
