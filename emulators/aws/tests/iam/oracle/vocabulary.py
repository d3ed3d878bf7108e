"""What the generated pairs are made of: real actions with resources and context keys, values, operators.

The simulator checks every action, resource and key against the data of the services, so nothing here is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/job"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
USER, SESSION, FEDERATED = (
    f"arn:aws:iam::{ACCOUNT}:user/ana",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/job/run-7",
    f"arn:aws:sts::{ACCOUNT}:federated-user/ana",
)
STRANGER = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/visitor/v1"
SERVICES = ("sagemaker.amazonaws.com", "events.amazonaws.com")

VALUES: dict[str, tuple[str, ...]] = {
    "String": ("blue", "Blue", "team-7", "home/ana/x.csv", "a*b", "aXb", "price $5", "us-east-1", "ana", "ümlaut.x"),
    "Numeric": ("0", "5", "10", "10.0", "10.5", "-3", "3600", "86400"),
    "Date": ("2026-03-01T00:00:00Z", "2026-03-01", "2026-03-01T01:00:00+01:00", "2025-12-31T23:59:59Z"),
    "Epoch": ("1772323200", "1767225599", "0"),
    "Bool": ("true", "false"),
    "IPAddress": ("203.0.113.7", "203.0.113.200", "198.51.100.1", "2001:db8:1234:5678::1", "2001:db8:ffff::1"),
    "ARN": (
        SESSION,
        ROLE,
        USER,
        f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts",
        f"arn:aws:sns:eu-west-1:{OTHER_ACCOUNT}:alerts",
        f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/fraud",
        "arn:aws:s3:::lake",
    ),
    "Binary": ("Ymx1ZQ==", "cmVk", "AAECAw=="),
}
"""Values of context keys by type. Epoch is a Date in seconds."""

PATTERNS: dict[str, tuple[str, ...]] = {
    "String": (
        *VALUES["String"],
        "b*",
        "*",
        "team-?",
        "home/${aws:username}/*",
        "${aws:username}",
        "${aws:PrincipalTag/team}",
        "${aws:PrincipalTag/team, 'blue'}",
        "${AWS:username, 'nobody'}",
        "a${*}b",
        "price ${$}5",
        "a${?}b",
        "*.x",
    ),
    "Numeric": VALUES["Numeric"],
    "Date": (*VALUES["Date"], VALUES["Epoch"][0]),
    "Epoch": (*VALUES["Epoch"], VALUES["Date"][0]),
    "Bool": ("true", "false", "True"),
    "IPAddress": (
        "203.0.113.0/24",
        "203.0.113.7",
        "198.51.100.1/32",
        "0.0.0.0/0",
        "2001:db8:1234:5678::/64",
        "2001:db8::/32",
        "2001:db8:ffff::1",
    ),
    "ARN": (
        *VALUES["ARN"],
        f"arn:aws:sns:*:{ACCOUNT}:*",
        f"arn:aws:iam::{ACCOUNT}:role/*",
        f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}",
        "arn:aws:*:us-????-1:*:*",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/*/run-?",
        "arn:aws:sns:us-east-1:${aws:PrincipalAccount}:alerts",
        f"arn:aws:sns:*:${{aws:PrincipalAccount, '{OTHER_ACCOUNT}'}}:al*",
    ),
    "Binary": VALUES["Binary"],
}
"""Values of policies by type: exact, with wildcards, with variables."""

OPERATORS: dict[str, tuple[str, ...]] = {
    "String": (
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ),
    "Numeric": tuple(
        f"Numeric{each}"
        for each in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ),
    "Date": tuple(
        f"Date{each}"
        for each in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ),
    "Bool": ("Bool",),
    "IPAddress": ("IpAddress", "NotIpAddress"),
    "ARN": ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
    "Binary": ("BinaryEquals",),
}
OPERATORS["Epoch"] = OPERATORS["Date"]

GLOBAL_KEYS = {
    "aws:PrincipalTag/team": "String",
    "aws:PrincipalTag/Key": "Binary",
    "aws:username": "String",
    "aws:PrincipalAccount": "String",
    "aws:RequestedRegion": "String",
    "aws:SourceIp": "IPAddress",
    "aws:CurrentTime": "Date",
    "aws:EpochTime": "Epoch",
    "aws:SecureTransport": "Bool",
    "aws:MultiFactorAuthAge": "Numeric",
    "aws:PrincipalArn": "ARN",
    "aws:SourceArn": "ARN",
    "aws:CalledVia": "ArrayOfString",
}
"""Condition keys that every request may have."""


@dataclass(frozen=True)
class Action:
    """An action, the resources that it is tried on, patterns that may name them, and its own context keys."""

    name: str
    resources: tuple[str, ...]
    patterns: tuple[str, ...]
    keys: dict[str, str]
    variants: tuple[str, ...] = ("*",)
    """Patterns of Action that match it, beside its name; some by case alone."""


ACTIONS = (
    Action(
        "s3:GetObject",
        ("arn:aws:s3:::lake/home/ana/x.csv", "arn:aws:s3:::lake/raw/2026/a b.csv"),
        ("arn:aws:s3:::lake/*", "arn:aws:s3:::l?ke/home/${aws:username}/*", "arn:aws:s3:::*", "arn:aws:s3:::lake"),
        {"s3:ExistingObjectTag/team": "String", "s3:signatureAge": "Numeric", "s3:authType": "String"},
        ("s3:*", "s3:Get*", "S3:getobject", "s3:*Object", "s3:G?tObject"),
    ),
    Action(
        "s3:ListBucket",
        ("arn:aws:s3:::lake",),
        ("arn:aws:s3:::l*", "arn:aws:s3:::lake", "arn:aws:s3:::lake/*", "arn:aws:s3:::${aws:PrincipalTag/team}"),
        {"s3:prefix": "String", "s3:max-keys": "Numeric", "s3:delimiter": "String"},
        ("s3:List*", "s3:*"),
    ),
    Action(
        "s3:PutObject",
        ("arn:aws:s3:::lake/team-7/y",),
        ("arn:aws:s3:::lake/${aws:PrincipalTag/team, 'blue'}/*", "arn:aws:s3:::lake/team-?/*", "arn:aws:s3:*"),
        {"s3:RequestObjectTagKeys": "ArrayOfString", "s3:object-lock-retain-until-date": "Date"},
        ("s3:Put*", "s3:*"),
    ),
    Action("s3:ListAllMyBuckets", ("*",), ("arn:aws:s3:::*",), {"s3:authType": "String"}, ("s3:List*",)),
    Action(
        "sagemaker:CreateTrainingJob",
        (f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/fraud-1",),
        (f"arn:aws:sagemaker:*:{ACCOUNT}:training-job/fraud-*", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:*/fraud-1"),
        {
            "sagemaker:InstanceTypes": "ArrayOfString",
            "sagemaker:NetworkIsolation": "Bool",
            "sagemaker:MaxRuntimeInSeconds": "Numeric",
            "sagemaker:VolumeKmsKeyArn": "ARN",
            "aws:TagKeys": "ArrayOfString",
            "aws:RequestTag/team": "String",
        },
        ("sagemaker:Create*", "sagemaker:*Job"),
    ),
    Action(
        "sqs:SendMessage",
        (f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs", f"arn:aws:sqs:us-east-1:{ACCOUNT}:ana-queue"),
        ("arn:aws:sqs:*:*:${aws:username}-queue", f"arn:aws:sqs:us-east-1:{ACCOUNT}:*", "arn:aws:sqs:*:*:jobs"),
        {},
        ("sqs:Send*", "SQS:SendMessage"),
    ),
    Action(
        "dynamodb:PutItem",
        (f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/scores",),
        (f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/*", f"arn:aws:dynamodb:*:{OTHER_ACCOUNT}:table/scores"),
        {"dynamodb:LeadingKeys": "ArrayOfString", "dynamodb:Attributes": "ArrayOfString"},
        ("dynamodb:*Item",),
    ),
    Action(
        "iam:PassRole",
        (ROLE,),
        (f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:role/service/j?b", "arn:aws:iam::*:role/job"),
        {"iam:PassedToService": "String", "iam:AssociatedResourceArn": "ARN"},
        ("iam:Pass*",),
    ),
    Action(
        "kms:Decrypt",
        (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",),
        (f"arn:aws:kms:*:{ACCOUNT}:key/*",),
        {"kms:ViaService": "String", "kms:EncryptionContextKeys": "ArrayOfString"},
        ("kms:*", "kms:D*"),
    ),
    Action("sts:AssumeRole", (ROLE,), (f"arn:aws:iam::{ACCOUNT}:role/*",), {"sts:ExternalId": "String"}, ("sts:*",)),
    Action(
        "sts:AssumeRoleWithWebIdentity",
        (ROLE,),
        (ROLE,),
        {
            "token.actions.githubusercontent.com:repository": "String",
            "token.actions.githubusercontent.com:ref": "String",
        },
        ("sts:AssumeRole*",),
    ),
)
