"""Which actions and resources a statement applies to."""

from __future__ import annotations

import pytest
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate


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
