"""The log of decisions: on calls, and on the roles that services assume."""

from __future__ import annotations

from aws_resources import allow, create_role, unique_name, zip_function
from callers import SAGEMAKER, Session, decisions, refused
from local_aws.server import LocalAws


def test_every_decision_is_logged_with_its_statements(aws: LocalAws, bucket: str) -> None:
    """A line has the caller, the action, the resource, the decision and the statements that decided."""
    statement = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Sid": "Read"}
    session = Session(aws, statement)
    session.client("s3").get_object(Bucket=bucket, Key="a/one")
    refused(session.client("s3").delete_object, Bucket=bucket, Key="a/one")
    allowed, denied = decisions(aws, session.role)
    assert (allowed["operation"], allowed["action"], allowed["decision"]) == ("s3:GetObject", "s3:GetObject", "allowed")
    assert (allowed["principal"], allowed["resource"]) == (session.arn, f"arn:aws:s3:::{bucket}/a/one")
    assert allowed["statements"] == [["permissions", "Read"]]
    assert (denied["action"], denied["decision"], denied["statements"]) == ("s3:DeleteObject", "implicit deny", [])


def test_trust_decisions_are_logged(aws: LocalAws) -> None:
    """Each new session that a service has of a role, and a service that may have none, name the trust policy."""
    name = unique_name("function")
    role = create_role(aws, name, "lambda.amazonaws.com", allow("logs:*"))
    aws.client("lambda").create_function(
        FunctionName=name, Role=role, Code={"ZipFile": zip_function("def handler(e, c): pass")}, Runtime="python3.12",
        Handler="index.handler",
    )  # fmt: skip
    for _ in range(2):  # the second call uses the sessions of the first: the function's, and one for its logs
        aws.client("lambda").invoke(FunctionName=name)
    trusted = [line for line in decisions(aws, "lambda.amazonaws.com") if line["resource"] == role]
    assert [line["operation"] for line in trusted] == ["lambda:CreateFunction", "sts:AssumeRole", "sts:AssumeRole"]
    assert {line["decision"] for line in trusted} == {"allowed"}
    assert all(line["needed"] == line["statements"] == [[f"trust policy of {name}", "#0"]] for line in trusted)
    refused(aws.client("sagemaker").create_model, ModelName=name, ExecutionRoleArn=role)
    assert [line["decision"] for line in decisions(aws, SAGEMAKER) if line["resource"] == role] == ["implicit deny"]
