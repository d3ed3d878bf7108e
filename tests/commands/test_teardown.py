"""`fraudops teardown` on the AWS emulator: what it removes, in which order, what it leaves, and what it asks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws
from local_github.server import LocalGitHub
from typer.testing import CliRunner

from ml import config
from ml.aws import bucket_removal, platform_stack, serving_removal, session
from ml.aws.cloudformation import stack_history, workflow_roles
from ml.cli import app
from ml.commands.bootstrap import bootstrap
from ml.commands.teardown import survey, teardown
from ml.errors import CloudError, Refused
from tests.harness.git import checkout as checkouts

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "acme/fraud"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file; each test has a stack of its own."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def own_stack(cloud: LocalAws, monkeypatch: pytest.MonkeyPatch) -> str:
    """The emulator's environment, and a name for this test's stacks."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    name = f"t{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("FRAUDOPS_STACK", name)
    return name


@pytest.fixture
def checkout(tmp_path: Path, own_stack: str) -> Path:
    """infra/ and the shipped model-config/, with an endpoint of this test's own."""
    root = checkouts.copy(tmp_path, "infra")
    checkouts.set_values(root, config.SERVING, {"endpoint": own_stack})
    return root


def use(checkout: Path) -> dict[str, Any]:
    """Bootstraps, and creates what a month of use would: data with versions, an endpoint, a pipeline, a package."""
    made = bootstrap(checkout, repository=REPOSITORY)
    s3, sagemaker, name = session.client("s3"), session.client("sagemaker"), platform_stack.stack_name()
    for body in (b"1", b"2"):
        s3.put_object(Bucket=made.platform.bucket, Key="raw/a", Body=body)
    s3.put_object(Bucket=made.platform.bucket, Key="raw/b", Body=b"1")
    s3.delete_object(Bucket=made.platform.bucket, Key="raw/b")
    s3.put_object(Bucket=made.platform.bucket, Key="executions/1/model.tar.gz", Body=b"1")
    role = made.platform.execution_role_arn
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    for model in (f"{name}-0001-0123456789ab", f"{name}-eu-0001-0123456789ab"):
        container = {"Image": image, "ModelDataUrl": f"s3://{made.platform.bucket}/executions/1/model.tar.gz"}
        sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-0001-0123456789ab")
    definition = {"Version": "2020-12-01", "Steps": [{"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}]}
    for pipeline in {f"{name}-training", f"{name}-reproduction"} - set(serving_removal.pipelines()):
        sagemaker.create_pipeline(
            PipelineName=pipeline,
            PipelineDefinition=json.dumps(definition),
            RoleArn=role,
            ClientRequestToken="t" * 32,
        )
    return {"bucket": made.platform.bucket, "code": made.code_bucket, "stack": name}


def delete_what_has_a_fixed_name(stack: str) -> None:
    """Deletes the log group and the package group that `teardown` leaves, as its last line says."""
    session.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{stack}-deploy")
    session.client("sagemaker").delete_model_package_group(ModelPackageGroupName=f"{stack}-model")


def test_everything_is_removed_and_the_rest_is_explained(checkout: Path) -> None:
    """Data with its versions and delete markers goes last; packages, log and provider stay, each with the reason."""
    iam = session.client("iam")
    for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:  # another test's stack has left it
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=item["Arn"])
    used = use(checkout)
    name = used["stack"]
    found = survey()
    assert found.stacks == (name, f"{name}-github")
    assert {used["bucket"], used["code"]} < set(found.buckets)  # and that of the access logs
    assert found.serving.models == (f"{name}-0001-0123456789ab",)  # not those of the endpoint whose name is longer
    result = teardown(found, buckets=True)
    assert [line.split()[0] for line in result.removed] == [
        "pipeline",
        "pipeline",
        "endpoint",
        "endpoint",
        "model",
        "stack",
        "stack",
        "bucket",
        "bucket",
        "bucket",
    ]
    assert f"bucket {used['bucket']} with 5 versions and delete markers" in result.removed
    left = "\n".join(result.left)
    for expected in (
        f"model-package-group/{name}-model: its packages are the record",
        f"log group /aws/lambda/{name}-deploy: ",
        ":oidc-provider/token.actions.githubusercontent.com: an account has one",
        "the repository's variables FRAUDOPS_…: no repository was named",
        "environments, rules and secrets",
    ):
        assert expected in left, expected
    assert platform_stack.describe_stack(name) is None
    assert platform_stack.describe_stack(f"{name}-github") is None
    assert not bucket_removal.exists(used["bucket"])
    assert session.client("sagemaker").list_models(NameContains=f"{name}-eu")["Models"]
    assert serving_removal.pipelines() == ()
    roles = session.client("iam").list_roles()["Roles"]
    assert not [role["RoleName"] for role in roles if role["RoleName"].startswith(name)]


def test_new_platform_of_the_same_name_needs_what_was_left_to_be_gone(checkout: Path) -> None:
    """As the result says: with the group and the log deleted, bootstrap succeeds again."""
    bootstrap(checkout, repository=REPOSITORY)
    name = platform_stack.stack_name()
    left = teardown(survey(), buckets=False).left
    assert left[-1].startswith(f"before a new stack {name}: the model package group and the log group")
    with pytest.raises(Refused, match=f"a removed stack {name} has left"):
        bootstrap(checkout, repository=REPOSITORY)
    delete_what_has_a_fixed_name(name)
    assert bootstrap(checkout, repository=REPOSITORY).identity == "created"


def test_buckets_stay_unless_they_are_asked_for(checkout: Path) -> None:
    """A later run finds them by the history of the deleted stack, and then removes them."""
    used = use(checkout)
    result = teardown(survey(), buckets=False)
    assert f"bucket {used['bucket']}: it holds data; delete it with --delete-buckets" in result.left
    assert bucket_removal.exists(used["bucket"])
    again = survey()
    assert again.lines() == []
    removed = [line.split()[:2] for line in teardown(again, buckets=True).removed]
    assert removed == [["bucket", bucket] for bucket in again.buckets]
    assert {used["bucket"], used["code"]} < set(again.buckets)
    nothing = survey()
    assert (nothing.lines(), nothing.buckets) == ([], ())
    assert teardown(nothing, buckets=True).removed == ()


def test_failed_removal_is_repeated(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked object stops it at the bucket; the error names the object, and the rerun has only the rest to do."""
    used = use(checkout)
    client = session.client("s3")
    refusal = {"Errors": [{"Key": "raw/a", "Code": "AccessDenied", "Message": "locked"}]}
    with monkeypatch.context() as patch:
        patch.setattr(client, "delete_objects", lambda **_: refusal)
        with pytest.raises(CloudError, match=r"s3://\S+/raw/a: AccessDenied: locked"):
            teardown(survey(), buckets=True)
    again = survey()
    assert again.lines() == []
    assert f"bucket {used['bucket']} with 5 versions and delete markers" in teardown(again, buckets=True).removed


@pytest.mark.parametrize("arriving", [1, 100])
def test_objects_that_arrive_meanwhile_are_removed(own_stack: str, arriving: int) -> None:
    """Access logs arrive after the listing. A bucket that is written to all the time is an error."""
    s3, late = session.client("s3"), iter(range(arriving))
    s3.create_bucket(Bucket=own_stack)

    def deliver(**_: object) -> None:
        if (number := next(late, None)) is not None:
            s3.put_object(Bucket=own_stack, Key=f"log{number}", Body=b"1")

    s3.meta.events.register("before-call.s3.DeleteBucket", deliver)
    try:
        if arriving == 1:
            assert bucket_removal.remove(own_stack) == 1
        else:
            with pytest.raises(CloudError, match=f"the bucket {own_stack} got new objects each time"):
                bucket_removal.remove(own_stack)
    finally:
        s3.meta.events.unregister("before-call.s3.DeleteBucket", deliver)
    assert bucket_removal.exists(own_stack) == (arriving > 1)


def test_stack_that_cannot_be_deleted_is_named(checkout: Path) -> None:
    """A role of somebody else has the boundary; the error names the policy, and the rerun succeeds without the role.

    A new platform of the same name can then be created.
    """
    bootstrap(checkout, repository=REPOSITORY)
    name = platform_stack.stack_name()
    (boundary,) = [
        identifier
        for kind, identifier in stack_history.contents(f"{name}-github")[0].resources
        if kind == "AWS::IAM::ManagedPolicy" and "PlatformBoundary" in identifier
    ]
    iam = session.client("iam")
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_role(RoleName=f"other-{name}", AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary)
    with pytest.raises(CloudError, match=rf"stack {name}-github is DELETE_FAILED: PlatformBoundary .*run this again"):
        teardown(survey(), buckets=False)
    assert survey().stacks == (f"{name}-github",)
    iam.delete_role(RoleName=f"other-{name}")
    assert teardown(survey(), buckets=False).removed == (f"stack {name}-github",)
    assert platform_stack.describe_stack(f"{name}-github") is None
    assert not [role for role in iam.list_roles()["Roles"] if name in role["RoleName"]]
    delete_what_has_a_fixed_name(name)
    made = bootstrap(checkout, repository=REPOSITORY)
    assert (made.state, made.identity) == ("created", "created")


def test_variables_of_the_repository_go_first(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that bootstrap has set; others stay."""
    with LocalGitHub(tmp_path / "github") as github:
        repository = github.create_repository(REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", github.token("alice"))
        monkeypatch.setenv("GITHUB_API_URL", github.api_url)
        bootstrap(checkout)
        repository.variables.update({"FRAUDOPS_STACK": "x", "FRAUDOPS_ROLE_TRAIN": "y", "OTHER": "z"})
        found = survey(repository=REPOSITORY)
        assert found.lines()[:2] == ["variable FRAUDOPS_ROLE_TRAIN", "variable FRAUDOPS_STACK"]
        result = teardown(found, buckets=False, repository=REPOSITORY)
        assert repository.variables == {"OTHER": "z"}
        assert not [line for line in result.left if "variables FRAUDOPS_" in line]


def test_teardown_of_staging_leaves_the_variables_of_production(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Production's workflows would otherwise do nothing, and end green."""
    (checkout / config.STAGING).write_text((checkout / config.SERVING).read_text("utf-8"), "utf-8")
    bootstrap(checkout)
    with LocalGitHub(tmp_path / "github") as github:
        repository = github.create_repository(REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", github.token("alice"))
        monkeypatch.setenv("GITHUB_API_URL", github.api_url)
        staging = platform_stack.staging_stack_name()
        monkeypatch.setenv("FRAUDOPS_STACK", staging)
        checkouts.set_values(checkout, config.STAGING, {"endpoint": staging})
        bootstrap(checkout, staging=True)
        repository.variables.update({"FRAUDOPS_ROLE_STAGING": "x", "FRAUDOPS_ROLE_TRAIN": "y", "FRAUDOPS_STACK": "z"})
        teardown(survey(repository=REPOSITORY), buckets=False, repository=REPOSITORY)
        assert repository.variables == {"FRAUDOPS_ROLE_TRAIN": "y", "FRAUDOPS_STACK": "z"}


def test_root_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked at or removed."""
    monkeypatch.setattr(platform_stack, "caller", lambda: "arn:aws:iam::123456789012:root")
    with pytest.raises(Refused, match="root user"):
        survey()


@pytest.mark.parametrize("typed", ["", "no\n", "fraudops\n"])
def test_command_asks_and_removes_nothing_unless_the_stack_is_typed(checkout: Path, typed: str) -> None:
    """Also without a terminal, where nothing can be typed."""
    bootstrap(checkout)
    result = CliRunner().invoke(app, ["teardown"], input=typed)
    assert isinstance(result.exception, Refused)
    assert platform_stack.describe_stack(platform_stack.stack_name()) is not None


def test_command_asks_again_for_each_bucket(checkout: Path) -> None:
    """The stack's name alone deletes no data."""
    used = use(checkout)
    name = used["stack"]
    refused = CliRunner().invoke(app, ["teardown", "--delete-buckets"], input=f"{name}\nyes\nyes\n")
    assert isinstance(refused.exception, Refused)
    assert platform_stack.describe_stack(name) is not None
    typed = "\n".join([name, *survey().buckets, ""])
    result = CliRunner().invoke(app, ["teardown", "--delete-buckets"], input=typed)
    assert result.exception is None, result.output
    assert not bucket_removal.exists(used["bucket"])


def test_command_with_yes_does_not_ask(checkout: Path) -> None:
    """For scripts; the buckets stay without their own option."""
    used = use(checkout)
    result = CliRunner().invoke(app, ["teardown", "--yes", "--json"], input="")
    assert result.exception is None, result.output
    assert f"stack {used['stack']}" in json.loads(result.stdout)["removed"]
    assert bucket_removal.exists(used["bucket"])
    assert platform_stack.describe_stack(workflow_roles.stack_name()) is None
