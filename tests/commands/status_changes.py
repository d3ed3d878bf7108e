"""Changes by hand to an account that `fraudops status` has to name, each with what undoes it; no tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from ml import config
from ml.aws import deployment_records, platform_stack, policy_documents, registry, s3_objects
from ml.aws.cloudformation import deployed_stack, workflow_roles
from ml.aws.session import client
from tests.harness.platform import account as accounts
from tests.harness.platform.account import ReadyAccount
from tests.harness.platform.served import ENDPOINT


def resource(key: str) -> str:
    """The physical id of a resource of the platform."""
    return deployed_stack.resources(platform_stack.stack_name())[key][1]


def endpoint() -> dict[str, Any]:
    """The endpoint."""
    found: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return found


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
    try:
        yield
    finally:
        move(former)
        sagemaker.delete_endpoint_config(EndpointConfigName="by-hand")


def move(configuration: str) -> None:
    """Moves the endpoint to a configuration and waits."""
    client("sagemaker").update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=configuration)
    client("sagemaker").get_waiter("endpoint_in_service").wait(
        EndpointName=ENDPOINT, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )


@contextmanager
def deleted_model(_: ReadyAccount) -> Iterator[None]:
    """The model of the configuration is gone; the endpoint answers until an instance is replaced."""
    sagemaker, name = client("sagemaker"), endpoint()["EndpointConfigName"]
    found = sagemaker.describe_model(ModelName=name)
    sagemaker.delete_model(ModelName=name)
    try:
        yield
    finally:
        names = ("ModelName", "PrimaryContainer", "ExecutionRoleArn", "EnableNetworkIsolation")
        sagemaker.create_model(**{key: found[key] for key in names})


@contextmanager
def second_package(_: ReadyAccount) -> Iterator[None]:
    """A package that Git never approved is approved in the console."""
    second = registry.packages(platform_stack.read().package_group)[1]
    registry.set_status(second.arn, registry.APPROVED, "by hand")
    try:
        yield
    finally:
        registry.set_status(second.arn, second.status, "undone")


@contextmanager
def edited_package(_: ReadyAccount) -> Iterator[None]:
    """The approved package's container got another variable."""
    sagemaker, package = client("sagemaker"), registry.packages(platform_stack.read().package_group)[0]
    specification = sagemaker.describe_model_package(ModelPackageName=package.arn)["InferenceSpecification"]
    former = json.loads(json.dumps(specification))
    specification["Containers"][0]["Environment"]["DEBUG"] = "1"
    sagemaker.update_model_package(ModelPackageArn=package.arn, InferenceSpecification=specification)
    try:
        yield
    finally:
        sagemaker.update_model_package(ModelPackageArn=package.arn, InferenceSpecification=former)


@contextmanager
def rewritten_order(_: ReadyAccount) -> Iterator[None]:
    """The order names another instance type."""
    uri = f"s3://{platform_stack.read().bucket}/{deployment_records.DESIRED}"
    former = s3_objects.read(uri)
    order = json.loads(former)
    order["instance"]["type"] = "ml.m5.4xlarge"
    s3_objects.write(uri, json.dumps(order).encode(), "application/json")
    try:
        yield
    finally:
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
    try:
        yield
    finally:
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
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


@contextmanager
def attached_policy(_: ReadyAccount) -> Iterator[None]:
    """A workflow's role got a policy of its own."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["DriftRole"][1]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName="by-hand", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    try:
        yield
    finally:
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)


@contextmanager
def deleted_archive(_: ReadyAccount) -> Iterator[None]:
    """The archive that serves is gone."""
    s3, bucket = client("s3"), platform_stack.read().bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    (uri,) = (f"s3://{bucket}/{key}" for key in s3_objects.keys(bucket, "deploy/artifacts/"))
    former = s3_objects.read(uri)
    try:
        s3.delete_bucket_policy(Bucket=bucket)
        s3.delete_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        yield
    finally:
        s3.delete_bucket_policy(Bucket=bucket)
        s3_objects.write(uri, former, "application/gzip")
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


@contextmanager
def deleted_evaluation(account: ReadyAccount) -> Iterator[None]:
    """The evaluation of the approved package is gone."""
    uri, s3, bucket = config.load_approval(account.root, 1).evaluation.uri, client("s3"), platform_stack.read().bucket
    former = s3_objects.read(uri)
    try:
        s3.delete_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))
        yield
    finally:
        s3_objects.write(uri, former, "application/json")


@contextmanager
def trusting_role(_: ReadyAccount) -> Iterator[None]:
    """Another account may take a role."""
    iam, name = client("iam"), resource("DeployRole")
    document = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    root = {"AWS": "arn:aws:iam::999999999999:root"}
    more = {"Sid": "ByHand", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": root}
    wider = document | {"Statement": [*document["Statement"], more]}
    try:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(wider))
        yield
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))


@contextmanager
def deleted_role(_: ReadyAccount) -> Iterator[None]:
    """A workflow's role is gone."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["DriftRole"][1]
    role, found = iam.get_role(RoleName=name)["Role"], policy_documents.of_role(name)
    try:
        for policy in found.inline:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for arn in found.attached:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.delete_role(RoleName=name)
        yield
    finally:
        given = {"PermissionsBoundary": found.boundary} if found.boundary else {}
        given |= {key: role[key] for key in ("Path", "Description", "MaxSessionDuration") if key in role}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(found.trust), **given)
        for policy, document in found.inline.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        for arn in found.attached:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)


@contextmanager
def signing_key(_: ReadyAccount) -> Iterator[None]:
    """Everybody with a policy for it may sign statements of provenance."""
    kms, key = client("kms"), deployed_stack.resources(workflow_roles.stack_name())["SigningKey"][1]
    policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    document = json.loads(policy)
    allowing = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document | {"Statement": allowing}))
    try:
        yield
    finally:
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)


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
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**given)


@contextmanager
def deleted_alarm(_: ReadyAccount) -> Iterator[None]:
    """An alarm is gone."""
    cloudwatch, name = client("cloudwatch"), resource("NoTrafficAlarm")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    members = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.delete_alarms(AlarmNames=[name])
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**{key: found[key] for key in members if key in found})


@contextmanager
def disabled_rule(_: ReadyAccount) -> Iterator[None]:
    """Approvals no longer reach the deploy function."""
    name = resource("ApprovedRule")
    client("events").disable_rule(Name=name)
    try:
        yield
    finally:
        client("events").enable_rule(Name=name)


@contextmanager
def disabled_schedule(account: ReadyAccount) -> Iterator[None]:
    """The drift check is switched off on GitHub."""
    account.env.switch("drift.yml", on=False)
    try:
        yield
    finally:
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
    Change(
        "second package", second_package, ("package",), "production.yaml names 0001; run gh workflow run deploy.yml"
    ),
    Change("edited package", edited_package, ("package",), "it was changed after its approval"),
    Change("order", rewritten_order, ("order",), "'type': 'ml.m5.4xlarge'"),
    Change("lake", open_lake, ("archive", "policy fraudops LakePolicy"), "is gone"),
    Change("role", wider_role, ("policy fraudops DeployRole",), "statement ByHand was added"),
    Change(
        "attached policy", attached_policy, ("policy fraudops-github DriftRole",), "policy/by-hand that the template"
    ),
    Change("deleted archive", deleted_archive, ("archive",), "model.tar.gz was deleted"),
    Change("deleted evaluation", deleted_evaluation, ("package",), "NoSuchKey"),
    Change("trust", trusting_role, ("policy fraudops DeployRole",), "another trust policy: statement ByHand was added"),
    Change("key", signing_key, ("policy fraudops-github SigningKey",), "statement OnlyTrainRoleSigns is missing"),
    Change("deleted role", deleted_role, ("policy fraudops-github DriftRole",), "was deleted"),
    Change("alarm's threshold", louder_alarm, ("alarm EndpointErrorsAlarm",), "Threshold 100.0, and the template 0"),
    Change("alarm's action", mute_alarm, ("alarm DriftAlarm",), "AlarmActions"),
    Change("deleted alarm", deleted_alarm, ("alarm NoTrafficAlarm",), "there is no alarm"),
    Change("rule", disabled_rule, ("rule ApprovedRule",), "is disabled"),
    Change("schedule", disabled_schedule, ("drift schedule",), "drift.yml is disabled_manually"),
    Change("stack", changed_stack, ("drift of fraudops",), "were changed by hand"),
]
