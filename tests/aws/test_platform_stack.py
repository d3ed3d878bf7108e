"""Reading the platform from its stack, refusing the root user, and AWS errors as one line."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from ml.aws import platform_stack, session
from ml.errors import CloudError, ConfigError, Refused
from tests.harness.aws import moto_server

OUTPUTS = {
    "Bucket": "lake",
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/execution",
    "PackageGroup": "fraudops-model",
    "DeployFunction": "fraudops-deploy",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
}


@pytest.fixture(autouse=True)
def cloud(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty moto."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)


def make_stack(name: str, outputs: dict[str, str]) -> None:
    """Creates a stack with these outputs."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    session.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_platform_is_read_from_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """All outputs, with region and account from the stack's ARN."""
    make_stack("fraudops", OUTPUTS)
    found = platform_stack.read()
    assert (found.bucket, found.package_group, found.deploy_function) == ("lake", "fraudops-model", "fraudops-deploy")
    assert (found.region, found.account) == ("eu-west-1", "123456789012")
    monkeypatch.setenv("FRAUDOPS_STACK", "another")
    with pytest.raises(CloudError, match=r"no stack another.*fraudops bootstrap"):
        platform_stack.read()


def test_stack_of_staging_is_named_after_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read by its name, not by FRAUDOPS_STACK; a name that is too long for it is refused."""
    make_stack("staging-fraudops", OUTPUTS | {"Bucket": "staged"})
    name = platform_stack.staging_stack_name()
    assert (platform_stack.read(name).bucket, platform_stack.read(name).pipeline) == (
        "staged",
        "staging-fraudops-training",
    )
    for given in ("staging-fraudops", "a" * 23):
        monkeypatch.setenv("FRAUDOPS_STACK", given)
        with pytest.raises(ConfigError, match="must be the name of production's stack, with at most 22 characters"):
            platform_stack.staging_stack_name()


def test_stack_without_an_output_is_refused() -> None:
    """The error names the missing outputs."""
    make_stack("fraudops", {key: value for key, value in OUTPUTS.items() if key != "TopicArn"})
    with pytest.raises(CloudError, match=r"lacks the outputs TopicArn"):
        platform_stack.read()


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
def test_unsettled_stack_is_refused(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Outputs of a stack in another state may refer to missing resources."""
    found = {"StackStatus": status, "StackStatusReason": "because", "StackId": "arn", "Outputs": []}
    monkeypatch.setattr(platform_stack, "describe_stack", lambda name: found)
    with pytest.raises(CloudError, match=rf"{status} \(because\)"):
        platform_stack.read()


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_settled_stack_is_read(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """A rolled-back update leaves the stack as it was before."""
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
    stack_id = "arn:aws:cloudformation:eu-west-1:123456789012:stack/fraudops/x"
    found = {"StackStatus": status, "StackId": stack_id, "Outputs": outputs}
    monkeypatch.setattr(platform_stack, "describe_stack", lambda name: found)
    assert platform_stack.read().bucket == "lake"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_root_user_is_refused(monkeypatch: pytest.MonkeyPatch, partition: str) -> None:
    """In every partition."""
    monkeypatch.setattr(platform_stack, "caller", lambda: f"arn:{partition}:iam::123456789012:root")
    with pytest.raises(Refused, match="root user"):
        platform_stack.refuse_root()


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:user/root",
        "/".join(["arn:aws:sts::123456789012:assumed-role", "root", "root"]),
        "arn:aws:iam::123456789012:role/x:root",
    ],
)
def test_other_identities_named_root_are_allowed(monkeypatch: pytest.MonkeyPatch, arn: str) -> None:
    """A user or role may be named root."""
    monkeypatch.setattr(platform_stack, "caller", lambda: arn)
    platform_stack.refuse_root()


def test_caller_is_the_identity_of_sts() -> None:
    """The ARN is that of GetCallerIdentity."""
    assert platform_stack.caller().startswith("arn:aws:sts::123456789012:")


def test_clients_are_cached_by_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another AWS_ENDPOINT_URL gets another client."""
    first = session.client("s3")
    assert session.client("s3") is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert session.client("s3") is not first


def test_unreachable_aws_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the operation and says that AWS cannot be reached."""
    from botocore.exceptions import EndpointConnectionError

    with pytest.raises(CloudError, match=r"reading x: AWS cannot be reached"), session.explained("reading x"):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")


def test_missing_region_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(CloudError, match="set AWS_REGION"):
        session.client("sqs")


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        ClientError({"Error": {"Code": "ExpiredToken", "Message": "The token has expired"}}, "GetCallerIdentity"),
        ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "It is invalid"}}, "DescribeStacks"),
        TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        UnauthorizedSSOTokenError(),
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_invalid_credentials_ask_to_sign_in(error: Exception) -> None:
    """Expired sessions of every kind are an error of their own, which says what to do."""
    with pytest.raises(session.NotSignedIn, match=r"reading x: .*sign in"), session.explained("reading x"):
        raise error


def test_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not reported as an unreachable AWS."""
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(session.NotSignedIn, match=r"profile \(none\).*`aws configure list-profiles` lists"):
        session.client("sqs")


def test_refusal_of_aws_keeps_its_code() -> None:
    """The error has the operation and the reason; AWS's code can be read from its cause."""
    refused = pytest.raises(CloudError, match=r"looking: HeadBucket was refused with 404")
    with refused as caught, session.explained("looking"):
        session.client("s3").head_bucket(Bucket="absent")
    assert session.code(caught.value.__cause__ or caught.value) == "404"
    assert session.code(ValueError()) == ""
