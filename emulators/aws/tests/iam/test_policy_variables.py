"""Policy variables: where they are replaced, defaults, escapes, and values that contain wildcards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.iam.policy_variables import RequestContext, pattern, plain, template

CONTEXT = RequestContext(
    {"aws:username": "ana", "aws:PrincipalTag/team": "re*d", "aws:TagKeys": ["a"], "aws:empty": ""}
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("home/${aws:username}/x", "home/ana/x"),
        ("${AWS:UserName}", "ana"),
        ("${ aws:username }", "ana"),
        ("${aws:username, 'nobody'}", "ana"),
        ("${aws:userid, 'nobody'}", "nobody"),
        ("${aws:userid, 'a, b'}", "a, b"),
        ("${aws:empty, 'nobody'}", "nobody"),
        ("${aws:TagKeys, 'none'}", "none"),
        ("${aws:userid}", None),
        ("${aws:empty}", None),
        ("${aws:TagKeys}", None),
        ("${*}${?}${$}", "*?$"),
        ("${$}{aws:username}", "${aws:username}"),
        ("$aws ${unclosed", "$aws ${unclosed"),
    ],
)
def test_variables_are_replaced(source: str, expected: str | None) -> None:
    """A variable without a value and without a default makes the string null; a key with several values has none."""
    resolved = template(source, True).resolve(CONTEXT)
    assert (None if resolved is None else plain(resolved)) == expected


def test_variables_of_version_2008_are_text() -> None:
    """Without variables `${` is text, and an asterisk within it a wildcard."""
    assert template("${aws:username}", False).resolve(CONTEXT) == "${aws:username}"
    resolved = template("${*}", False).resolve(CONTEXT)
    assert resolved is not None
    assert pattern(resolved).fullmatch("${anything}")


def test_values_of_variables_are_literal() -> None:
    """An asterisk in a tag's value matches only itself."""
    resolved = template("${aws:PrincipalTag/team}-*", True).resolve(CONTEXT)
    assert resolved is not None
    assert pattern(resolved).fullmatch("re*d-1")
    assert not pattern(resolved).fullmatch("red-1")


@given(st.text(max_size=30))
def test_a_string_without_wildcards_matches_itself(text: str) -> None:
    """Escaping hides every character that regular expressions treat specially."""
    source = "".join(f"${{{each}}}" if each in "*?$" else each for each in text)
    resolved = template(source, True).resolve(RequestContext({}))
    assert resolved is not None
    assert plain(resolved) == text
    assert pattern(resolved).fullmatch(text)


@pytest.mark.parametrize(
    ("resource", "requested", "allowed"),
    [
        ("arn:aws:s3:::lake/${aws:username}/*", "arn:aws:s3:::lake/ana/x", True),
        ("arn:aws:s3:::lake/${aws:username}/*", "arn:aws:s3:::lake/bo/x", False),
        ("arn:aws:s3:::lake/${aws:userid}/*", "arn:aws:s3:::lake/${aws:userid}/x", False),
        ("arn:aws:sqs:us-east-2:*:${aws:username}-queue", "arn:aws:sqs:us-east-2:111122223333:ana-queue", True),
        ("arn:aws:sqs:us-east-2:${aws:account}:jobs", "arn:aws:sqs:us-east-2:111122223333:jobs", False),
        ("arn:aws:s3:::lake/*", "arn:aws:s3:::lake/", True),
        ("arn:aws:s3:::lake/*/test/*", "arn:aws:s3:::lake/1/2/test/3/object.jpg", True),
        ("arn:aws:s3:::lake/*/test/*", "arn:aws:s3:::lake//test/object.jpg", True),
        ("arn:aws:s3:::lake/*/test/*", "arn:aws:s3:::lake/1-test/object.jpg", False),
        ("arn:aws:s3:::lake/*/test/*", "arn:aws:s3:::lake/test/object.jpg", False),
        ("arn:aws:s3:::lake", "arn:aws:s3:::lake/x", False),
        ("arn:aws:s3:::Lake/x", "arn:aws:s3:::lake/x", False),
        ("arn:aws:s3:*", "arn:aws:s3:::lake/x", True),
        ("arn:*:s3:::lake/x", "arn:aws-cn:s3:::lake/x", True),
        ("arn:aws:sqs:*:*:jobs", "arn:aws:sqs:us-east-2:111122223333:dead:jobs", False),
        ("*", "*", True),
        ("arn:aws:s3:::*", "*", False),
    ],
)
def test_resources_match(resource: str, requested: str, allowed: bool) -> None:
    """Wildcards stay within a segment of the ARN and cross slashes; variables work after the fifth colon only.

    The paths with `test` are from the page "Resource" of the IAM User Guide.
    """
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": resource}}
    request = AccessRequest("arn:aws:iam::111122223333:user/ana", "s3:GetObject", requested, {"aws:username": "ana"})
    assert evaluate(request, Policies(identity=[NamedPolicy("p", document)])).allowed is allowed


@pytest.mark.parametrize(
    ("action", "matches"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:G?tObject", True),
        ("s3:*Object", True),
        ("*", True),
        ("*:*", True),
        ("s3:Get", False),
        ("s3:GetObjectAcl", False),
        ("sqs:*", False),
    ],
)
def test_actions_match_without_case(action: str, matches: bool) -> None:
    """Action and NotAction are each other's opposite."""
    request = AccessRequest("arn:aws:iam::111122223333:user/ana", "s3:GetObject", "arn:aws:s3:::lake/x")
    for element, expected in (("Action", matches), ("NotAction", not matches)):
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", element: action, "Resource": "*"}}
        assert evaluate(request, Policies(identity=[NamedPolicy("p", document)])).allowed is expected
