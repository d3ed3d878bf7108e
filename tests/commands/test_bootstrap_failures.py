"""`fraudops bootstrap` in an account with the quotas of a new one, and again after a first run that failed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import lambda_concurrency, platform_stack, session
from ml.aws.cloudformation import stack_names, workflow_roles
from ml.commands.bootstrap import bootstrap
from ml.errors import CloudError, Refused
from tests.harness.git import checkout as checkouts

_EMPTY_STACK = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Topic: {Type: AWS::SNS::Topic, Condition: Never}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file; each test has a stack of its own."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def own_stack(cloud: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator's environment, a new account's quotas, and a name for this test's stacks."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUDOPS_STACK", f"t{uuid.uuid4().hex[:8]}")
    cloud.quotas.reset()
    yield
    cloud.quotas.reset()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """infra/ and the shipped model-config/, to be edited, with an endpoint of this test's own."""
    root = checkouts.copy(tmp_path, "infra")
    checkouts.set_values(root, config.SERVING, {"endpoint": platform_stack.stack_name()})
    return root


def reserved() -> int | None:
    """The concurrency that the deploy function reserves; None if it reserves none."""
    name = platform_stack.read().deploy_function
    found: int | None = (
        session.client("lambda").get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    )
    return found


def test_name_that_another_stack_extends_is_refused(checkout: Path) -> None:
    """Both names are said and nothing is created; the roles' own stack and deleted stacks do not count."""
    name, cloudformation = platform_stack.stack_name(), session.client("cloudformation")
    for suffix in ("-eu", "-github"):
        cloudformation.create_stack(StackName=f"{name}{suffix}", TemplateBody=_EMPTY_STACK)
    words = f"stack {name}-eu of .* begins with the name of stack {name} and a dash.*; nothing was changed"
    with pytest.raises(Refused, match=words):
        bootstrap(checkout)
    assert platform_stack.describe_stack(name) is None
    cloudformation.delete_stack(StackName=f"{name}-eu")
    assert stack_names.overlap() is None


def test_name_that_extends_another_platform_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shorter name counts once it has roles; before that, no role of it may change anything."""
    name, cloudformation = platform_stack.stack_name(), session.client("cloudformation")
    monkeypatch.setenv("FRAUDOPS_STACK", f"{name}-eu")
    cloudformation.create_stack(StackName=name, TemplateBody=_EMPTY_STACK)
    assert stack_names.overlap() is None
    cloudformation.create_stack(StackName=f"{name}-github", TemplateBody=_EMPTY_STACK)
    with pytest.raises(Refused, match=f"stack {name}-eu of .* infrastructure role of {name} may"):
        bootstrap(checkout)
    assert platform_stack.describe_stack(f"{name}-eu") is None


def test_endpoint_of_another_platform_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other stack and the setting are named, and nothing is created; its own endpoint is no conflict."""
    name = platform_stack.stack_name()
    assert bootstrap(checkout, repository="acme/fraud").state == "created"
    assert stack_names.same_endpoint(name) is None
    monkeypatch.setenv("FRAUDOPS_STACK", f"{name}b")
    words = f"stack {name} of .* has the endpoint {name} already.*; set `endpoint` in .*production.yaml.*nothing was"
    with pytest.raises(Refused, match=words):
        bootstrap(checkout)
    assert platform_stack.describe_stack(f"{name}b") is None
    checkouts.set_values(checkout, config.SERVING, {"endpoint": f"{name}b"})
    assert bootstrap(checkout).state == "created"


def test_new_account_reserves_no_concurrency(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quota of 10 leaves nothing to reserve; bootstrap reads it, says so, and creates the platform."""
    assert bootstrap(checkout).state == "created"
    assert reserved() is None
    assert "the account's quota leaves none to reserve" in capsys.readouterr().err


def test_established_account_reserves_one(cloud: LocalAws, checkout: Path) -> None:
    """A quota that leaves 100 unreserved executions; a later run keeps the value, whatever the quota is then."""
    cloud.quotas.set({"lambda_concurrent_executions": 101})
    bootstrap(checkout)
    assert reserved() == 1
    cloud.quotas.set({"lambda_concurrent_executions": 1000})
    assert bootstrap(checkout).state == "unchanged"


def test_option_sets_the_reservation(cloud: LocalAws, checkout: Path) -> None:
    """0 reserves nothing where the quota would permit it, and releases a former reservation."""
    cloud.quotas.set({"lambda_concurrent_executions": 1000})
    bootstrap(checkout, reserve_concurrency=2)
    assert reserved() == 2
    assert bootstrap(checkout, reserve_concurrency=0).state == "updated"
    assert reserved() is None


def test_caller_without_permission_for_the_quota_reserves_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reservation is not worth a failure."""
    monkeypatch.setattr(lambda_concurrency, "reservable", lambda: None)
    bootstrap(checkout)
    assert reserved() is None
    assert "the caller may not read the quota" in capsys.readouterr().err


def test_refused_reservation_is_named_and_the_second_run_succeeds(checkout: Path) -> None:
    """The first run asks for more than the quota permits; nothing of it is in the way of the second."""
    with pytest.raises(CloudError, match=r"DeployFunction .*UnreservedConcurrentExecution below its minimum value of"):
        bootstrap(checkout, reserve_concurrency=1)
    before = platform_stack.describe_stack(platform_stack.stack_name())
    assert before is not None
    assert before["StackStatus"] == "ROLLBACK_COMPLETE"
    assert bootstrap(checkout, repository="acme/fraud").state == "created"


CONDITIONAL = ("NotificationSubscription", "Provider")
"""Resources that the template creates under a condition: nothing can depend on them unconditionally."""


def resources(template: Path) -> list[str]:
    """The logical names of the template's resources."""
    body = template.read_text().split("\nResources:\n", 1)[1].split("\nOutputs:\n", 1)[0]
    return re.findall(r"^  (\w+):", body, re.MULTILINE)


def break_last(template: Path) -> str:
    """Adds a resource that fails after all others were created; returns the template as it was.

    The template loses its comments: with the resource it would exceed CloudFormation's 51,200 bytes.
    """
    text = template.read_text()
    short = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    broken = (
        "  Broken:\n    Type: AWS::Lambda::Function\n"
        f"    DependsOn: [{', '.join(name for name in resources(template) if name not in CONDITIONAL)}]\n"
        "    Properties:\n      Runtime: python3.12\n      Handler: a.b\n      Role: !Sub "
        "'arn:aws:iam::${AWS::AccountId}:role/none'\n      Code: {S3Bucket: no-such-bucket, S3Key: none}\n"
    )
    template.write_text(short.replace("\nOutputs:\n", f"\n{broken}\nOutputs:\n", 1))
    return text


@pytest.mark.parametrize("file", ["infra/platform.yaml", "infra/github-oidc.yaml"])
def test_second_run_succeeds_after_a_creation_that_failed_last(checkout: Path, file: str) -> None:
    """Every resource existed when the creation failed: buckets, groups and logs with fixed names among them."""
    template = checkout / file
    text = break_last(template)
    with pytest.raises(CloudError, match="Broken"):
        bootstrap(checkout, repository="acme/fraud")
    template.write_text(text)
    made = bootstrap(checkout, repository="acme/fraud")
    assert made.identity == "created"
    assert platform_stack.describe_stack(workflow_roles.stack_name()) is not None


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_second_run_uses_the_provider_of_the_account(checkout: Path, status: str) -> None:
    """An account has one provider for GitHub; the run after a failed creation does not create a second one."""
    if provider() is None:
        session.client("iam").create_open_id_connect_provider(
            Url=f"https://{workflow_roles.ISSUER}", ClientIDList=[workflow_roles.AUDIENCE]
        )
    template = checkout / "infra/github-oidc.yaml"
    text = break_last(template)
    with pytest.raises(CloudError, match="Broken"):
        bootstrap(checkout, repository="acme/fraud")
    set_status(workflow_roles.stack_name(), status)
    template.write_text(text)
    assert bootstrap(checkout, repository="acme/fraud").identity == "created"
    assert provider() is not None


def provider() -> str | None:
    """The ARN of the account's provider for GitHub; None if there is none."""
    listed = session.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return next((item["Arn"] for item in listed if item["Arn"].endswith(workflow_roles.ISSUER)), None)


def set_status(name: str, status: str) -> None:
    """Puts the stack into a state that needs a failure inside CloudFormation itself."""
    from moto.cloudformation.models import cloudformation_backends

    (stack,) = [s for s in cloudformation_backends["123456789012"]["us-east-1"].stacks.values() if s.name == name]
    stack.status = status


@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "CREATE_FAILED"])
def test_second_run_succeeds_after_any_failed_creation(checkout: Path, status: str) -> None:
    """CloudFormation can only delete a stack in these states, so bootstrap deletes it first."""
    with pytest.raises(CloudError, match="UnreservedConcurrentExecution"):
        bootstrap(checkout, reserve_concurrency=1)
    set_status(platform_stack.stack_name(), status)
    assert bootstrap(checkout).state == "created"


def test_stack_of_an_unused_change_set_is_in_nobodys_way(checkout: Path) -> None:
    """A change set that was made and never executed leaves a stack in review, which never settles by itself."""
    session.client("cloudformation").create_change_set(
        StackName=platform_stack.stack_name(),
        ChangeSetName="c",
        ChangeSetType="CREATE",
        TemplateBody="Resources: {Topic: {Type: AWS::SNS::Topic}}",
    )
    assert bootstrap(checkout).state == "created"


def test_names_that_a_removed_stack_has_retained_are_refused(checkout: Path) -> None:
    """Both resources are named with the commands that delete them, before anything is created; then it succeeds."""
    name = platform_stack.stack_name()
    bootstrap(checkout)
    session.client("cloudformation").delete_stack(StackName=name)
    words = (
        f"model package group {name}-model with 0 packages and the log group /aws/lambda/{name}-deploy.*"
        f"delete-model-package-group --model-package-group-name {name}-model; "
        f"aws logs delete-log-group --log-group-name /aws/lambda/{name}-deploy; nothing was changed"
    )
    for _ in range(2):
        with pytest.raises(Refused, match=words):
            bootstrap(checkout)
        assert platform_stack.describe_stack(name) is None
    session.client("sagemaker").delete_model_package_group(ModelPackageGroupName=f"{name}-model")
    with pytest.raises(
        Refused, match=f"has left the log group /aws/lambda/{name}-deploy, and a new one needs this name"
    ):
        bootstrap(checkout)
    session.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{name}-deploy")
    assert bootstrap(checkout).state == "created"


def test_what_cannot_be_deleted_is_named(checkout: Path) -> None:
    """A bucket that is not empty blocks the second run; the error names the resource and the reason."""
    name = platform_stack.stack_name()
    session.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=f"Resources: {{Lake: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}-lake}}}}}}",
    )
    session.client("s3").put_object(Bucket=f"{name}-lake", Key="a", Body=b"1")
    set_status(name, "ROLLBACK_FAILED")
    with pytest.raises(CloudError, match=r"cannot delete what it left: Lake .*not empty; delete that resource"):
        bootstrap(checkout)
