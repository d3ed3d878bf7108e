"""AssumeRoleWithWebIdentity: token verification, trust policies and AWS's errors."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import jwt
import pytest
from aws_resources import allow, unique_name
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from callers import client, document, refused
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from local_aws.errors import AwsError
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.server import LocalAws

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
HOST = ISSUER.removeprefix("https://")
SUBJECT = "repo:acme/model:ref:refs/heads/main"
Assume = Callable[..., dict[str, Any]]


class Issuer:
    """Signs tokens with its own RSA key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = uuid.uuid4().hex

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims."""
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set of its public key."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "use": "sig", "alg": "RS256"}]}


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """An issuer with a key of its own."""
    return Issuer()


@pytest.fixture(scope="module")
def federated(aws: LocalAws, issuer: Issuer) -> Iterator[LocalAws]:
    """The emulator with the issuer, its identity provider and a role that trusts main of acme/model."""
    aws.federation.trust_issuer(ISSUER, issuer.jwks)
    iam = aws.client("iam")
    provider = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE], ThumbprintList=["a" * 40])
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider["OpenIDConnectProviderArn"]},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{HOST}:aud": AUDIENCE},
                    "StringLike": {f"{HOST}:sub": [SUBJECT, "repo:acme@*/model@*:environment:production"]},
                },
            }
        ],
    }
    iam.create_role(RoleName="train", AssumeRolePolicyDocument=json.dumps(document), MaxSessionDuration=7200)
    yield aws


@pytest.fixture
def assume(federated: LocalAws, issuer: Issuer) -> Assume:
    """Calls AssumeRoleWithWebIdentity without credentials, with valid claims unless others are given."""
    client = boto3.client(
        "sts", region_name="us-east-1", endpoint_url=federated.url, config=Config(signature_version=UNSIGNED)
    )

    def call(
        token: str | None = None,
        *,
        duration: int = 3600,
        role: str = "train",
        members: dict[str, Any] | None = None,
        **claims: Any,
    ) -> dict[str, Any]:
        now = int(time.time())
        good = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 300}
        result: dict[str, Any] = client.assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{federated.account}:role/{role}",
            RoleSessionName="run-7",
            WebIdentityToken=token or issuer.sign(good | claims),
            DurationSeconds=duration,
            **(members or {}),
        )
        return result

    return call


def test_trusted_token_becomes_a_role_session(assume: Assume, federated: LocalAws) -> None:
    """The credentials have the role and the session's name."""
    answer = assume()
    keys = answer["Credentials"]
    session = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=federated.url,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert session.get_caller_identity()["Arn"] == f"arn:aws:sts::{federated.account}:assumed-role/train/run-7"
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["Audience"] == AUDIENCE
    assert 3500 < keys["Expiration"].timestamp() - time.time() <= 3600


def test_session_may_do_what_role_and_session_policy_allow(assume: Assume, federated: LocalAws) -> None:
    """The intersection: neither an action of the role alone nor one of the policy alone is allowed."""
    bucket = unique_name("bucket")
    federated.client("s3").create_bucket(Bucket=bucket)
    granted = document(allow("s3:GetObject"), allow("s3:PutObject"))
    federated.client("iam").put_role_policy(RoleName="train", PolicyName="objects", PolicyDocument=granted)
    whole = client(federated, "s3", assume()["Credentials"])
    whole.put_object(Bucket=bucket, Key="a/session", Body=b"1")
    limited = assume(members={"Policy": document(allow("s3:GetObject"), allow("s3:ListBucket"))})
    s3 = client(federated, "s3", limited["Credentials"])
    assert s3.get_object(Bucket=bucket, Key="a/session")["Body"].read() == b"1"
    assert "session policy" in refused(s3.put_object, Bucket=bucket, Key="a/session", Body=b"2")[2]
    assert refused(s3.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"


def test_session_policy_is_not_ignored(assume: Assume) -> None:
    """What would be ignored or is no policy is refused, and so is one beyond AWS's length."""
    for members, code in (
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}, "ValidationError"),
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
        ({"Policy": document(allow([f"s3:Get{number}" for number in range(300)]))}, "ValidationError"),
    ):
        with pytest.raises(ClientError) as refusal:
            assume(members=members)
        assert refusal.value.response["Error"]["Code"] == code


def test_subject_with_ids_matches_a_pattern(assume: Assume) -> None:
    """StringLike's wildcards match the ids of new repositories."""
    assert assume(sub="repo:acme@17/model@4711:environment:production")["Credentials"]["AccessKeyId"]


@pytest.mark.parametrize(
    "subject",
    [
        "repo:acme/model:ref:refs/heads/other",
        "repo:acme/model:pull_request",
        "repo:acme/model:environment:production",
        "repo:mallory/model:ref:refs/heads/main",
        "repo:acme@17/model@4711:environment:production-2",
    ],
)
def test_other_subjects_are_denied(assume: Assume, subject: str) -> None:
    """Only the subjects of the trust policy are allowed."""
    with pytest.raises(ClientError, match=r"AccessDenied.*Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        assume(sub=subject)


def test_missing_role_is_denied(assume: Assume) -> None:
    """AWS does not reveal which roles exist."""
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(role="absent")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "https://github.com/acme"}, "InvalidIdentityToken.*Incorrect token audience"),
        ({"iss": "https://example.com"}, "InvalidIdentityToken.*No OpenIDConnect provider"),
        ({"exp": int(time.time()) - 1}, "ExpiredTokenException.*Token expired"),
        ({"nbf": int(time.time()) + 600}, "InvalidIdentityToken.*could not be verified"),
    ],
)
def test_token_with_wrong_audience_issuer_or_time_is_refused(assume: Assume, claims: dict[str, Any], code: str) -> None:
    """Each has AWS's error code."""
    with pytest.raises(ClientError, match=code):
        assume(**claims)


def test_token_with_invalid_signature_is_refused(assume: Assume, issuer: Issuer) -> None:
    """The same claims with another signature are refused."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 300}
    with pytest.raises(ClientError, match=r"InvalidIdentityToken.*verification key"):
        assume(Issuer().sign(claims))
    head, body, signature = issuer.sign(claims).split(".")
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        assume(f"{head}.{body}.{signature[:-8]}AAAAAAAA")
    with pytest.raises(ClientError, match=r"InvalidIdentityToken.*not a valid JWT"):
        assume("no-token-at-all")


def test_session_duration_is_limited_by_the_role(assume: Assume) -> None:
    """The maximum is the role's MaxSessionDuration; botocore checks the minimum of 15 minutes."""
    assert assume(duration=7200)["Credentials"]
    with pytest.raises(ClientError, match="MaxSessionDuration"):
        assume(duration=7201)


def test_token_times_are_compared_with_real_time(assume: Assume, federated: LocalAws) -> None:
    """The emulator's clock does not change whether a token is expired."""
    federated.clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    try:
        assert assume()["Credentials"]
    finally:
        federated.clock.set(None)


# --- the evaluation of conditions

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/idp"


def decides(condition: dict[str, Any], context: dict[str, list[str]], **statement: Any) -> bool:
    """Whether one Allow statement with `condition` allows the caller."""
    whole = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        **({} if "NotAction" in statement else {"Action": "sts:AssumeRoleWithWebIdentity"}),
        "Condition": condition,
        **statement,
    }
    return allows([whole], context)


def allows(statements: list[dict[str, Any]], context: dict[str, list[str]]) -> bool:
    """Whether a trust policy lets a caller from PROVIDER in."""
    keys = {name: found[0] if len(found) == 1 else found for name, found in context.items()}
    request = AccessRequest(PROVIDER, "sts:AssumeRoleWithWebIdentity", "arn:aws:iam::123456789012:role/r", keys)
    policy = NamedPolicy("trust", {"Version": "2012-10-17", "Statement": statements})
    return evaluate(request, Policies(resource=policy)).allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "present", "holds"),
    [
        ("StringEquals", "a", ["a"], True),
        ("StringEquals", ["b", "a"], ["a"], True),
        ("StringEquals", "a", ["A"], False),
        ("StringEquals", "a*", ["ab"], False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", ["b"], False),
        ("StringEqualsIgnoreCase", "a", ["A"], True),
        ("StringNotEquals", "a", ["b"], True),
        ("StringNotEquals", "a", ["a"], False),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "a?c*", ["abcd"], True),
        ("StringLike", "a?c*", ["acd"], False),
        ("StringLike", "a.c", ["abc"], False),
        ("StringNotLike", "a*", ["abc"], False),
        ("ForAnyValue:StringLike", ["x*", "a*"], ["q", "ab"], True),
        ("ForAnyValue:StringLike", "a*", None, False),
        ("ForAllValues:StringLike", "a*", ["ab", "q"], False),
        ("ForAllValues:StringLike", "a*", ["ab", "ac"], True),
        ("ForAllValues:StringLike", "a*", None, True),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
    ],
)
def test_condition_operators_match_iams_reference(
    operator: str, wanted: Any, present: list[str] | None, holds: bool
) -> None:
    """The table of IAM's reference, including absent keys, which ForAllValues allows."""
    context = {} if present is None else {"idp:k": present}
    assert decides({operator: {"idp:k": wanted}}, context) is holds


def test_conditions_are_joined_by_and() -> None:
    """Operators and keys are joined by and; values by or."""
    condition = {"StringEquals": {"idp:aud": "x", "idp:sub": ["a", "b"]}}
    assert decides(condition, {"idp:aud": ["x"], "idp:sub": ["b"]})
    assert not decides(condition, {"idp:aud": ["y"], "idp:sub": ["b"]})


def test_other_providers_principals_and_actions_are_not_allowed() -> None:
    """A statement applies only to its federated principals and actions, including wildcards."""
    assert decides({}, {})
    assert decides({}, {}, Action=["sts:TagSession", "sts:AssumeRole*"])
    assert not decides({}, {}, Action="sts:AssumeRole")
    assert not decides({}, {}, Principal={"Federated": f"{PROVIDER}-other"})
    assert not decides({}, {}, Principal={"AWS": "*"})


def test_deny_overrides_allow() -> None:
    """In any order of the statements."""
    base = {"Principal": {"Federated": PROVIDER}, "Action": "sts:*"}
    deny = {**base, "Effect": "Deny", "Condition": {"StringLike": {"idp:sub": "*:pull_request"}}}
    for statements in ([{**base, "Effect": "Allow"}, deny], [deny, {**base, "Effect": "Allow"}]):
        assert not allows(statements, {"idp:sub": ["repo:a/b:pull_request"]})
        assert allows(statements, {"idp:sub": ["repo:a/b:ref:x"]})


def test_unknown_condition_operator_is_an_error() -> None:
    """An operator that IAM does not have raises an error, so that no policy is misread."""
    with pytest.raises(AwsError, match="StringMatches"):
        decides({"StringMatches": {"idp:k": "a"}}, {"idp:k": ["a"]})


def test_not_action_covers_every_other_action() -> None:
    """A statement with NotAction is about the actions that it does not name."""
    assert decides({}, {}, NotAction="sts:AssumeRole")
    assert not decides({}, {}, NotAction="sts:AssumeRole*")


@given(value=st.text(max_size=12), other=st.text(max_size=12))
def test_string_like_interprets_only_wildcards(value: str, other: str) -> None:
    """Only * and ? are wildcards in a pattern."""
    plain = value.replace("*", "").replace("?", "")
    assert decides({"StringLike": {"idp:k": plain}}, {"idp:k": [other]}) == (plain == other)
    assert decides({"StringLike": {"idp:k": f"{plain}*"}}, {"idp:k": [plain + other]})
