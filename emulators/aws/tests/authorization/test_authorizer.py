"""Denied calls: the error of each service, what it hides, and when it comes before other errors."""

from __future__ import annotations

from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name
from callers import ACCOUNT, Session, decisions, refused
from local_aws.server import LocalAws


def test_call_without_permission_is_denied_in_s3s_words(aws: LocalAws, bucket: str) -> None:
    """S3 answers XML with status 403 and IAM's message, which names session, action, resource and policy type."""
    session = Session(aws, allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    session.client("s3").put_object(Bucket=bucket, Key="a/two", Body=b"2")
    code, status, message = refused(session.client("s3").get_object, Bucket=bucket, Key="a/one")
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f'User: {session.arn} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::{bucket}/a/one" '
        "because no identity-based policy allows the s3:GetObject action"
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("sagemaker", "describe_endpoint", {"EndpointName": "e"}, "AccessDeniedException", 400),
        ("logs", "describe_log_groups", {}, "AccessDeniedException", 400),
        ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403),
        ("iam", "get_role", {"RoleName": "r"}, "AccessDenied", 403),
        ("cloudformation", "describe_stacks", {"StackName": "s"}, "AccessDenied", 403),
        (
            "sts",
            "assume_role",
            {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/x", "RoleSessionName": "nn"},
            "AccessDenied",
            403,
        ),
        (
            "sns",
            "publish",
            {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t", "Message": "m"},
            "AuthorizationError",
            403,
        ),
        ("cloudwatch", "put_metric_data", {"Namespace": "N", "MetricData": [{"MetricName": "m"}]}, "AccessDenied", 403),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "AccessDeniedException", 400),
        ("events", "put_rule", {"Name": "r", "EventPattern": "{}"}, "AccessDeniedException", 400),
    ],
)
def test_denied_call_has_the_error_of_its_service(
    aws: LocalAws, service: str, operation: str, parameters: dict[str, Any], *, code: str, status: int
) -> None:
    """Each protocol carries code, status and message so that the SDK reads them."""
    session = Session(aws)
    found = refused(getattr(session.client(service), operation), **parameters)
    assert found[:2] == (code, status)
    assert found[2].startswith(f"User: {session.arn} is not authorized to perform: ")


def test_head_of_a_denied_object_is_a_bare_403(aws: LocalAws, bucket: str) -> None:
    """HEAD has no body, so the SDK knows the status only."""
    assert refused(Session(aws).client("s3").head_object, Bucket=bucket, Key="a/one") == ("403", 403, "Forbidden")


def test_missing_key_is_forbidden_to_callers_who_may_not_list(aws: LocalAws, bucket: str) -> None:
    """404 tells that a key does not exist: only callers who may list there get it, by the key as s3:prefix."""
    reads = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    lists = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "a/*"})
    reader, lister = Session(aws, reads).client("s3"), Session(aws, reads, lists).client("s3")
    code, status, message = refused(reader.get_object, Bucket=bucket, Key="a/none")
    assert (code, status) == ("AccessDenied", 403)
    assert "s3:ListBucket" in message
    assert refused(reader.head_object, Bucket=bucket, Key="a/none")[1] == 403
    assert refused(lister.get_object, Bucket=bucket, Key="a/none")[0] == "NoSuchKey"
    assert refused(lister.head_object, Bucket=bucket, Key="a/none")[1] == 404
    assert refused(lister.get_object, Bucket=bucket, Key="b/none")[0] == "AccessDenied"
    assert reader.get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"


def test_deleted_version_is_a_missing_key(aws: LocalAws) -> None:
    """A delete marker hides the key from callers who may not list, too."""
    name, s3 = unique_name("bucket"), aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.delete_object(Bucket=name, Key="k")
    reader = Session(aws, allow("s3:GetObject", f"arn:aws:s3:::{name}/*")).client("s3")
    assert refused(reader.get_object, Bucket=name, Key="k")[0] == "AccessDenied"


def test_operation_without_an_entry_is_refused_by_name(aws: LocalAws) -> None:
    """A gap in the tables is found by its caller; the administrator is not stopped by it."""
    session = Session(aws, allow("*"))
    code, _, message = refused(session.client("sagemaker").list_notebook_instances)
    assert code == "AccessDeniedException"
    assert "sagemaker:ListNotebookInstances" in message
    assert "local_aws.authorization.requirements" in message
    logged = decisions(aws, session.role)[-1]
    assert (logged["action"], logged["decision"]) == ("sagemaker:ListNotebookInstances", "implicit deny")
    aws.client("sagemaker").list_notebook_instances()


def test_denial_comes_before_the_state_of_the_account(aws: LocalAws) -> None:
    """A denied call is logged as one, also where a service rule refuses it; only a wrong form is refused before."""
    name = unique_name("role")
    role = create_role(aws, name, {"AWS": "arn:aws:iam::123456789012:root"})
    session = Session(aws, allow("iam:GetRole"))
    changed = {"RoleName": name, "PolicyDocument": "no policy"}
    code, _, message = refused(session.client("iam").update_assume_role_policy, **changed)
    assert (code, "iam:UpdateAssumeRolePolicy" in message) == ("AccessDenied", True)
    logged = decisions(aws, session.role)[-1]
    assert (logged["action"], logged["resource"]) == ("iam:UpdateAssumeRolePolicy", role)
    topic = aws.client("sns").create_topic(Name=unique_name("topic"))["TopicArn"]
    code, _, _ = refused(session.client("sns").publish, TopicArn=topic, Message="")
    assert code == "AuthorizationError"
    code, _, _ = refused(session.client("iam").update_role, RoleName=name, MaxSessionDuration=43_201)
    assert code == "ValidationError"
