"""`fraudops status` on both emulators: a served model is equal to Git, and each change made by hand is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from ml import config
from ml.audit.disagreement import Disagreement
from ml.aws import deployment_records, platform_stack, registry, s3_objects
from ml.aws.cloudformation import deployed_stack, workflow_roles
from ml.aws.session import client
from ml.cli import app
from ml.commands.status import Status, status
from ml.errors import GitError
from tests.harness.github.emulator import NAME
from tests.harness.platform import account as accounts
from tests.harness.platform.account import ReadyAccount
from tests.harness.platform.served import ENDPOINT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyAccount]:
    """One account for the file, whose endpoint serves approval 1; approval 2 is only registered."""
    with accounts.ready(tmp_path_factory.mktemp("account")) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in {**made.env.clouds.environment(), "GITHUB_REPOSITORY": NAME}.items():
            patch.setenv(name, value)
        made.env.bot.env.serve(-1.0)
        made.env.bot.env.register(2.0)
        yield made


@pytest.fixture
def account(shared: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> ReadyAccount:
    """The account, as its bootstrap and the deployment have left it."""
    for name, value in {**shared.env.clouds.environment(), "GITHUB_REPOSITORY": NAME}.items():
        monkeypatch.setenv(name, value)
    shared.settle()
    return shared


def compare(account: ReadyAccount) -> Status:
    """The status of the checkout."""
    return status(account.root)


def resource(key: str) -> str:
    """The physical id of a resource of the platform."""
    return deployed_stack.resources(platform_stack.stack_name())[key][1]


def endpoint() -> dict[str, Any]:
    """The endpoint."""
    found: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return found


def test_served_model_is_equal_to_git(account: ReadyAccount) -> None:
    """Nothing differs; what has no answer is said and is no difference."""
    found = compare(account)
    assert [item for item in found.comparisons if item.state == "differs"] == []
    assert (found.differs, found.error) == (0, None)
    unknown = {item.subject for item in found.comparisons if item.state == "cannot tell"}
    assert unknown <= {"last scheduled run", "last drift check"}
    subjects = {item.subject for item in found.comparisons}
    assert {"package", "order", "endpoint", "variant", "configuration", "model", "archive"} <= subjects
    assert {"alarm EndpointErrorsAlarm", "rule ApprovedRule", "stack fraudops", "drift schedule"} <= subjects
    assert {"policy fraudops DeployRole", "policy fraudops-github TrainRole"} <= subjects
    assert found.commit == account.env.workspace.repository.head()


@dataclass(frozen=True)
class Change:
    """A change by hand: how to make it and undo it, the subjects that then differ, and what one of them says."""

    name: str
    make: Callable[[ReadyAccount], AbstractContextManager[object]]
    subjects: tuple[str, ...]
    says: str


@contextmanager
def another_configuration(account: ReadyAccount) -> Iterator[None]:
    """The endpoint runs a configuration of another size, which captures less."""
    more = accounts.QUOTAS | {"ml.m5.large for endpoint usage": 3}
    account.set_quotas(instances=more, lambda_concurrent_executions=1_000)
    sagemaker, former = client("sagemaker"), endpoint()["EndpointConfigName"]
    found = sagemaker.describe_endpoint_config(EndpointConfigName=former)
    (variant,) = found["ProductionVariants"]
    sagemaker.create_endpoint_config(
        EndpointConfigName="by-hand",
        ProductionVariants=[variant | {"InitialInstanceCount": 2}],
        DataCaptureConfig=found["DataCaptureConfig"] | {"InitialSamplingPercentage": 5},
    )
    move("by-hand")
    yield
    move(former)
    sagemaker.delete_endpoint_config(EndpointConfigName="by-hand")


def move(configuration: str) -> None:
    """Moves the endpoint to a configuration and waits."""
    client("sagemaker").update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=configuration)
    client("sagemaker").get_waiter("endpoint_in_service").wait(
        EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


@contextmanager
def deleted_model(_: ReadyAccount) -> Iterator[None]:
    """The model of the configuration is gone; the endpoint answers until an instance is replaced."""
    sagemaker, name = client("sagemaker"), endpoint()["EndpointConfigName"]
    found = sagemaker.describe_model(ModelName=name)
    sagemaker.delete_model(ModelName=name)
    yield
    names = ("ModelName", "PrimaryContainer", "ExecutionRoleArn", "EnableNetworkIsolation")
    sagemaker.create_model(**{key: found[key] for key in names})


@contextmanager
def second_package(_: ReadyAccount) -> Iterator[None]:
    """A package that Git never approved is approved in the console."""
    second = registry.packages(platform_stack.read().package_group)[1]
    registry.set_status(second.arn, registry.APPROVED, "by hand")
    yield
    registry.set_status(second.arn, second.status, "undone")


@contextmanager
def edited_package(_: ReadyAccount) -> Iterator[None]:
    """The approved package's container got another variable."""
    sagemaker, package = client("sagemaker"), registry.packages(platform_stack.read().package_group)[0]
    specification = sagemaker.describe_model_package(ModelPackageName=package.arn)["InferenceSpecification"]
    former = json.loads(json.dumps(specification))
    specification["Containers"][0]["Environment"]["DEBUG"] = "1"
    sagemaker.update_model_package(ModelPackageArn=package.arn, InferenceSpecification=specification)
    yield
    sagemaker.update_model_package(ModelPackageArn=package.arn, InferenceSpecification=former)


@contextmanager
def rewritten_order(_: ReadyAccount) -> Iterator[None]:
    """The order names another instance type."""
    uri = f"s3://{platform_stack.read().bucket}/{deployment_records.DESIRED}"
    former = s3_objects.read(uri)
    order = json.loads(former)
    order["instance"]["type"] = "ml.m5.4xlarge"
    s3_objects.write(uri, json.dumps(order).encode(), "application/json")
    yield
    s3_objects.write(uri, former, "application/json")


@contextmanager
def open_lake(_: ReadyAccount) -> Iterator[None]:
    """The lake's policy is gone, and with it what protects the archive that serves."""
    s3, bucket = client("s3"), platform_stack.read().bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    (uri,) = (f"s3://{bucket}/{key}" for key in s3_objects.keys(bucket, "deploy/artifacts/"))
    former = s3_objects.read(uri)
    s3_objects.write(uri, b"another model", "application/gzip")
    yield
    s3_objects.write(uri, former, "application/gzip")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)


@contextmanager
def wider_role(_: ReadyAccount) -> Iterator[None]:
    """A statement was added to a role's policy."""
    iam, name = client("iam"), resource("DeployRole")
    policy = iam.list_role_policies(RoleName=name)["PolicyNames"][0]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    more = {"Sid": "ByHand", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    wider = document | {"Statement": [*document["Statement"], more]}
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(wider))
    yield
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


@contextmanager
def attached_policy(_: ReadyAccount) -> Iterator[None]:
    """A workflow's role got a policy of its own."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["DriftRole"][1]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName="by-hand", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    yield
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)


@contextmanager
def louder_alarm(_: ReadyAccount) -> Iterator[None]:
    """An alarm tolerates a hundred errors."""
    with _alarm("EndpointErrorsAlarm", Threshold=100.0):
        yield


@contextmanager
def mute_alarm(_: ReadyAccount) -> Iterator[None]:
    """An alarm tells nobody."""
    with _alarm("DriftAlarm", AlarmActions=[]):
        yield


@contextmanager
def _alarm(key: str, **changes: Any) -> Iterator[None]:
    cloudwatch, name = client("cloudwatch"), resource(key)
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    given = {
        key: found[key]
        for key in cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        if key in found
    }
    cloudwatch.put_metric_alarm(**(given | changes))
    yield
    cloudwatch.put_metric_alarm(**given)


@contextmanager
def deleted_alarm(_: ReadyAccount) -> Iterator[None]:
    """An alarm is gone."""
    cloudwatch, name = client("cloudwatch"), resource("NoTrafficAlarm")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    members = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.delete_alarms(AlarmNames=[name])
    yield
    cloudwatch.put_metric_alarm(**{key: found[key] for key in members if key in found})


@contextmanager
def disabled_rule(_: ReadyAccount) -> Iterator[None]:
    """Approvals no longer reach the deploy function."""
    name = resource("ApprovedRule")
    client("events").disable_rule(Name=name)
    yield
    client("events").enable_rule(Name=name)


@contextmanager
def disabled_schedule(account: ReadyAccount) -> Iterator[None]:
    """The drift check is switched off on GitHub."""
    account.env.switch("drift.yml", on=False)
    yield
    account.env.switch("drift.yml", on=True)


@contextmanager
def changed_stack(account: ReadyAccount) -> Iterator[None]:
    """CloudFormation's last detection found resources that were changed by hand; the next settling undoes it."""
    account.set_drift(platform_stack.stack_name(), "DRIFTED")
    yield


CHANGES = [
    Change(
        "endpoint",
        another_configuration,
        ("endpoint", "variant", "configuration"),
        "has instance count 2, and Git says 1",
    ),
    Change("model", deleted_model, ("model",), "was deleted; the endpoint cannot replace an instance"),
    Change("second package", second_package, ("package",), "production.yaml names 0001; run deploy.yml"),
    Change("edited package", edited_package, ("package",), "it was changed after its approval"),
    Change("order", rewritten_order, ("order",), "'type': 'ml.m5.4xlarge'"),
    Change("lake", open_lake, ("archive", "policy fraudops LakePolicy"), "is gone"),
    Change("role", wider_role, ("policy fraudops DeployRole",), "statement ByHand was added"),
    Change(
        "attached policy", attached_policy, ("policy fraudops-github DriftRole",), "policy/by-hand that the template"
    ),
    Change("alarm's threshold", louder_alarm, ("alarm EndpointErrorsAlarm",), "Threshold 100.0, and the template 0"),
    Change("alarm's action", mute_alarm, ("alarm DriftAlarm",), "AlarmActions"),
    Change("deleted alarm", deleted_alarm, ("alarm NoTrafficAlarm",), "there is no alarm"),
    Change("rule", disabled_rule, ("rule ApprovedRule",), "is disabled"),
    Change("schedule", disabled_schedule, ("drift schedule",), "drift.yml is disabled_manually"),
    Change("stack", changed_stack, ("drift of fraudops",), "were changed by hand"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_change_by_hand_is_named(change: Change, account: ReadyAccount) -> None:
    """Its subjects differ and no other; without it nothing does."""
    with change.make(account):
        found = compare(account)
    differing = [item for item in found.comparisons if item.state == "differs"]
    assert tuple(item.subject for item in differing) == change.subjects, found.text
    assert any(change.says in item.detail for item in differing), found.text
    assert isinstance(found.error, Disagreement)
    assert f"differ from Git: {', '.join(change.subjects)}; see their lines" in str(found.error)


def test_merged_pointer_that_is_not_deployed_is_named(account: ReadyAccount) -> None:
    """Git names approval 2: package, order and endpoint are those of 1, and so are model and archive."""
    workspace = account.env.workspace
    before, (_, second) = workspace.repository.head(), registry.packages(platform_stack.read().package_group)
    with ExitStack() as undo:
        undo.callback(workspace.git, "branch", "-q", "-D", "approve/0002")
        undo.callback(workspace.git, "reset", "-q", "--hard", before)
        account.env.bot.env.approve(second.arn)
        found = compare(account)
    differing = {item.subject: item.detail for item in found.comparisons if item.state == "differs"}
    assert {"package", "order", "endpoint", "model"} <= set(differing)
    assert "names approval 0002, and approval 0001 was deployed last; run deploy.yml" in differing["endpoint"]


def test_uncommitted_change_is_refused(account: ReadyAccount) -> None:
    """What is not committed is not what Git says."""
    file = account.root / config.SERVING
    text = file.read_text("utf-8")
    try:
        file.write_text(f"{text}# changed\n")
        with pytest.raises(GitError, match="uncommitted changes, and status compares what is committed"):
            compare(account)
    finally:
        file.write_text(text)


def test_command_prints_what_differs(account: ReadyAccount) -> None:
    """Equal subjects are counted; a difference ends with 13 after its line, also as JSON."""
    arguments = ["status", "--repo", str(account.root)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "equal        " in shown.stdout
    with disabled_rule(account):
        failed = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(failed.exception, Disagreement)
    assert failed.exception.exit_code == 13
    document = json.loads(failed.stdout)
    assert (document["differs"], document["commit"]) == (1, account.env.workspace.repository.head())
