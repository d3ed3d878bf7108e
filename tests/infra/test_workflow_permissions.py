"""What the workflows' roles may do, tried with their credentials on the AWS emulator, which evaluates policies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from ml import config
from ml.aws import executions, lake, platform_stack, scored_rows, session, transaction_times
from ml.aws.import_manifest import Source
from ml.aws.labels import store
from ml.commands import bootstrap, infra, labels_collect
from ml.errors import CloudError
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git import checkout as checkouts

ADDED = (Path(__file__).parent / "added_resources.yaml").read_text("utf-8")
EDITS = {
    "DisplayName: fraudops": "DisplayName: other",
    "MessageRetentionPeriod: 1209600": "MessageRetentionPeriod: 604800",
    '-deploy"\n      RetentionInDays: !Ref LogRetentionDays\n': '-deploy"\n',
    "RetentionInDays: !Ref LogRetentionDays": "RetentionInDays: 400",
    "NoncurrentDays: !Ref ReplacedVersionDays": "NoncurrentDays: 300",
    '"title": "Latency, microseconds"': '"title": "Latency"',
    "MemorySize: 512": "MemorySize: 640",
    "MaximumRetryAttempts: 2 ": "MaximumRetryAttempts: 1 ",
    "Description: Runs the training pipeline and its jobs.": (
        "Description: Runs the pipeline.\n      Tags: [{Key: purpose, Value: test}]"
    ),
    "          - Effect: Allow\n            Principal: {Service: lambda": (
        "          - Sid: AssumedByTheFunction\n            Effect: Allow\n            Principal: {Service: lambda"
    ),
    "Sid: ReadInputs": "Sid: ReadTheInputs",
    "Sid: PullImage": "Sid: PullTheImage",
    "ManagedPolicyArns: [!Ref ContainerPolicy]": "ManagedPolicyArns: []",
    "ModelPackageGroupDescription: Fraud models": "ModelPackageGroupDescription: Models",
    "Period: 300": "Period: 600",
    "State: ENABLED": "State: DISABLED",
    "      Role: !GetAtt DeployRole.Arn": "      Role: !GetAtt OtherRole.Arn",
    '      ReservedConcurrentExecutions: !If [Reserves, !Ref ReservedConcurrency, !Ref "AWS::NoValue"]': (
        "      ReservedConcurrentExecutions: 5"
    ),
    "          RetryPolicy: {MaximumRetryAttempts: 24,": "          RetryPolicy: {MaximumRetryAttempts: 12,",
    "\nOutputs:": f"\n{ADDED}\nOutputs:",
}
"""One changed setting of each kind of resource that infra.yml may change, and one more resource of each kind."""

KEY_EDITS = {
    "fraudops: data, logs and messages of the stack": "fraudops: everything of the stack",
    "Sid: EncryptAlarmMessages": "Sid: EncryptMessages",
    "          KEY_ARN: !If": "          OTHER: value\n          KEY_ARN: !If",
    '      LogGroupName: !Sub "/aws/lambda/${AWS::StackName}-deploy"\n      RetentionInDays: !Ref LogRetentionDays\n'
    '      KmsKeyId: !If [UsesKey, !GetAtt Key.Arn, !Ref "AWS::NoValue"]\n': (
        '      LogGroupName: !Sub "/aws/lambda/${AWS::StackName}-deploy"\n'
    ),
    "      TargetKeyId: !Ref Key\n": """      TargetKeyId: !Ref OtherKey
  OtherKey:
    Type: AWS::KMS::Key
    DeletionPolicy: Retain
    Properties:
      EnableKeyRotation: true
      Tags: [{Key: fraudops-stack, Value: !Ref "AWS::StackName"}]
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
            Action: "kms:*"
            Resource: "*"
""",
}
"""What changes the key, its policy, and what it encrypts, and points the alias to another key."""
ALIAS = """
  KeyAlias:
    Type: AWS::KMS::Alias
    Condition: UsesKey
    Properties:
      AliasName: !Sub "alias/${AWS::StackName}"
      TargetKeyId: !Ref Key
"""


KEY_STATEMENTS = {
    "CreateKey", "ChangeKey", "EncryptFunctionEnvironment", "ChangeAliasOfKey", "ChangeAlias", "ListAliases"
}  # fmt: skip
"""The statements of infra.yml's role about a key of the platform."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """infra/ and the shipped model-config/, to be edited."""
    return checkouts.copy(tmp_path, "infra")


@pytest.fixture
def roles(cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The roles of a bootstrapped account, by the repository variable that names them."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    session.renew()
    return dict(bootstrap.bootstrap(checkout, repository="acme/fraud").variables)


def keyed(cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> bootstrap.Bootstrapped:
    """A platform with a key and an endpoint of its own."""
    checkouts.set_values(checkout, config.SERVING, {"endpoint": "keyed"})
    for name, value in {**cloud.environment(), "FRAUDOPS_STACK": "keyed"}.items():
        monkeypatch.setenv(name, value)
    session.renew()
    return bootstrap.bootstrap(checkout, repository="acme/keyed", settings_given=["Encryption=customer-key"])


def denied(cloud: LocalAws, role: str) -> list[tuple[str, str]]:
    """Action and resource of each denied decision on the role."""
    cloud.flush()
    lines = map(json.loads, (cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
    found = [line for line in lines if line["entity"] == role and line["decision"] != "allowed"]
    return [(line["action"], line["resource"]) for line in found]


def used(cloud: LocalAws, role: str) -> set[str]:
    """The Sids of the role's statements that allowed a call."""
    cloud.flush()
    lines = map(json.loads, (cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
    found = [line for line in lines if line["entity"] == role and line["decision"] == "allowed"]
    return {sid for line in found for _, sid in line["statements"]}


def statements(cloud: LocalAws, role: str) -> set[str]:
    """The Sids of the Allow statements of the role's inline and managed policies."""
    iam, name = cloud.client("iam"), role.rpartition("/")[2]
    documents = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    return {each["Sid"] for document in documents for each in document["Statement"] if each["Effect"] == "Allow"}


def test_train_role_lists_and_reads_delivered_labels(
    cloud: LocalAws, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training set lists the deliveries below labels/ and reads their manifests, and files that others put there."""
    bucket = platform_stack.read().bucket
    columns = {"event_id": ["a"], "label": pa.array([1], pa.int8()), "known_at": [datetime(2026, 1, 2, tzinfo=UTC)]}
    delivered = store.deliver(bucket, pa.table(columns, schema=store.SCHEMA))
    file = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=store.SCHEMA), file)
    cloud.client("s3").put_object(Bucket=bucket, Key="labels/elsewhere/a.parquet", Body=file.getvalue().to_pybytes())
    WorkflowIdentity(cloud).assume(roles["FRAUDOPS_ROLE_TRAIN"], monkeypatch)
    session.renew()
    assert [each.name for each in store.deliveries(bucket)] == [delivered.name]
    assert [each.key for each in store.others(bucket)] == ["labels/elsewhere/a.parquet"]


def test_drift_role_collects_labels(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """drift.yml imports a file of the inbox, looks its events up, and moves it; a refused file stays where it is."""
    role, bucket, s3 = roles["FRAUDOPS_ROLE_DRIFT"], platform_stack.read().bucket, cloud.client("s3")
    event = {"event_id": ["a"], "event_time": [datetime(2026, 1, 1, tzinfo=UTC)], "Amount": [1.0]}
    schema = pa.schema([*transaction_times.SCHEMA, ("Amount", pa.float64())])
    lake.Lake(bucket).store(
        pa.table(event, schema=schema),
        store.SCHEMA.empty_table(),
        source=Source(name="x", sha256="0" * 64, bytes=1),
        content_sha256="1" * 64,
        duplicates=0,
        quarantined=0,
    )
    index = pa.BufferOutputStream()
    pq.write_table(scored_rows.SCHEMA.empty_table(), index)
    key = "monitoring/fraudops-production/scored-rows/20260101.parquet"
    s3.put_object(Bucket=bucket, Key=key, Body=index.getvalue().to_pybytes())
    s3.put_object(Bucket=bucket, Key="labels-inbox/good.csv", Body=b"event_id,label,known_at\na,1,2026-01-02\n")
    s3.put_object(Bucket=bucket, Key="labels-inbox/bad.csv", Body=b"event_id,label,known_at\na,2,2026-01-02\n")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    found = labels_collect.collect(checkout)
    assert found.labels is not None
    (name,) = [each.name for each in found.labels.files if each.name]
    assert (found.labels.imported, found.labels.events.unknown) == (1, 0)
    assert [each.name for each in store.deliveries(bucket)].count(name) == 1
    assert denied(cloud, role) == []
    assert {"ImportLabels", "EmptyLabelsInbox"} <= used(cloud, role)
    left = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="labels-inbox/")["Contents"]]
    assert left == ["labels-inbox/bad.csv", f"labels-inbox/imported/{name}/good.csv"]


@pytest.mark.parametrize(("kind", "group"), [("training-job", "TrainingJobs"), ("processing-job", "ProcessingJobs")])
def test_train_role_reads_the_log_of_a_failed_job(
    cloud: LocalAws, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch, kind: str, group: str
) -> None:
    """train.yml quotes the end of the log, which the job's own role wrote."""
    logs, place = cloud.client("logs"), {"logGroupName": f"/aws/sagemaker/{group}"}
    logs.create_log_stream(**place, logStreamName="pipelines-x-Train-1/algo-1")
    events = [{"timestamp": int(cloud.clock.now().timestamp() * 1000), "message": "out of memory"}]
    logs.put_log_events(**place, logStreamName="pipelines-x-Train-1/algo-1", logEvents=events)
    role = roles["FRAUDOPS_ROLE_TRAIN"]
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    job = f"arn:aws:sagemaker:{cloud.region}:{cloud.account}:{kind}/pipelines-x-Train-1"
    assert executions.log_tail(job, 5) == ["out of memory"]
    assert "ReadJobLogs" in used(cloud, role)


def edited(text: str, edits: Mapping[str, str]) -> str:
    """The text with each of the edits, which must apply."""
    for old, new in edits.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_infra_role_changes_the_platform_through_cloudformation_alone(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed settings, new code and new resources of each kind apply without a denied call, and so does their removal.
    Only statements about a key stay unused."""
    role, template = roles["FRAUDOPS_ROLE_INFRA"], checkout / "infra/platform.yaml"
    text = template.read_text("utf-8")
    code = checkout / "infra/deploy_model/logic.py"
    code.write_text(code.read_text("utf-8") + "\n# changed\n", "utf-8")
    cloud.quotas.set({"lambda_concurrent_executions": 1000})
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    changed = re.sub(r"^ *#.*\n", "", edited(text, EDITS), flags=re.MULTILINE)  # without comments it fits a request
    for version in (changed, text):
        template.write_text(version, "utf-8")
        assert infra.apply(checkout).state == "updated"
    assert denied(cloud, role) == []
    assert statements(cloud, role) - used(cloud, role) == KEY_STATEMENTS


def test_infra_role_reads_why_a_change_failed(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error quotes the stack's event."""
    role, template = roles["FRAUDOPS_ROLE_INFRA"], checkout / "infra/platform.yaml"
    text = template.read_text("utf-8")
    reserves = '!If [Reserves, !Ref ReservedConcurrency, !Ref "AWS::NoValue"]'
    template.write_text(edited(text, {f"ReservedConcurrentExecutions: {reserves}": "ReservedConcurrentExecutions: 7"}))
    cloud.quotas.set({"lambda_concurrent_executions": 10})
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    with pytest.raises(CloudError, match=r"DeployFunction \(AWS::Lambda::Function\)"):
        infra.apply(checkout)
    assert denied(cloud, role) == []


def test_infra_role_changes_a_platform_with_a_key_of_its_own(
    cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, alias, the key's policy and what it encrypts change without a denied call, there and back."""
    made = keyed(cloud, checkout, monkeypatch)
    role, template = made.variables["FRAUDOPS_ROLE_INFRA"], checkout / "infra/platform.yaml"
    text = template.read_text("utf-8")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    for version in (edited(text, KEY_EDITS), edited(text, {ALIAS: ""}), text):
        template.write_text(version, "utf-8")
        assert infra.apply(checkout).state == "updated"
    assert denied(cloud, role) == []
    assert used(cloud, role) >= KEY_STATEMENTS


def test_train_role_retries_and_stops_executions(
    cloud: LocalAws, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """train.yml continues an execution that failed, reads its parameters, and stops one of an older commit."""
    role, platform = roles["FRAUDOPS_ROLE_TRAIN"], platform_stack.read()
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    fail = {"Name": "Gate", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    definition = {"Version": "2020-12-01", "Parameters": [{"Name": "Data", "Type": "String"}], "Steps": [fail]}
    sagemaker, pipeline = session.client("sagemaker"), f"{platform_stack.stack_name()}-training"
    sagemaker.create_pipeline(
        PipelineName=pipeline,
        PipelineDefinition=json.dumps(definition),
        RoleArn=platform.execution_role_arn,
        ClientRequestToken="create-" + "0" * 32,
    )
    arn = sagemaker.start_pipeline_execution(
        PipelineName=pipeline,
        PipelineParameters=[{"Name": "Data", "Value": "d"}],
        ClientRequestToken="start-" + "0" * 32,
    )["PipelineExecutionArn"]
    assert executions.follow(arn, lambda _: None, timeout_seconds=60).status == "Failed"
    assert executions.parameters(arn) == {"Data": "d"}
    executions.retry(arn, token="retry-" + "0" * 32)
    assert executions.stop(arn, timeout_seconds=60).settled
    assert denied(cloud, role) == []


@pytest.mark.denied_calls("the role tries to change a bucket and a key itself")
def test_infra_role_itself_changes_neither_bucket_nor_key(
    cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its permissions to change resources are limited to calls through CloudFormation."""
    made = keyed(cloud, checkout, monkeypatch)
    WorkflowIdentity(cloud).assume(made.variables["FRAUDOPS_ROLE_INFRA"], monkeypatch)
    session.renew()
    suspended = {"Status": "Suspended"}
    with pytest.raises(ClientError, match="s3:PutBucketVersioning"):
        session.client("s3").put_bucket_versioning(Bucket=made.platform.bucket, VersioningConfiguration=suspended)
    kms, key = session.client("kms"), made.platform.key_arn
    policy = cloud.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    with pytest.raises(ClientError, match="kms:PutKeyPolicy"):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)


def test_plan_role_previews_changes(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role that pull requests get previews a change without a denied call."""
    role, template = roles["FRAUDOPS_ROLE_PLAN"], checkout / "infra/platform.yaml"
    template.write_text(template.read_text("utf-8").replace("MemorySize: 512", "MemorySize: 640"), "utf-8")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    assert infra.plan(checkout).changes >= 1
    assert denied(cloud, role) == []


@pytest.mark.denied_calls("the role tries to apply")
def test_plan_role_applies_nothing(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull request's code cannot change the platform with it."""
    template = checkout / "infra/platform.yaml"
    template.write_text(template.read_text("utf-8").replace("MemorySize: 512", "MemorySize: 640"), "utf-8")
    WorkflowIdentity(cloud).assume(roles["FRAUDOPS_ROLE_PLAN"], monkeypatch)
    session.renew()
    with pytest.raises(CloudError, match=r"was refused with (403|AccessDenied)"):
        infra.apply(checkout)


def test_deploy_function_refuses_and_reports_with_its_role(cloud: LocalAws, roles: dict[str, str]) -> None:
    """An approval without an order is refused and published; an event that fails all attempts becomes a dead letter.

    The missing order is told apart from a forbidden one because the role may list it. The bus may deliver the approval
    as two events, so that there may be two outcomes: which event is doubled depends on the tests before this one.
    """
    assert roles
    platform, sagemaker, sqs = platform_stack.read(), cloud.client("sagemaker"), cloud.client("sqs")
    stack = cloud.client("cloudformation").describe_stack_resources(StackName=platform_stack.stack_name())
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in stack["StackResources"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName=platform.package_group, ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    assert cloud.flush()
    s3 = cloud.client("s3")
    for stored in s3.list_objects_v2(Bucket=platform.bucket, Prefix="deploy/outcomes/")["Contents"]:
        outcome = json.loads(s3.get_object(Bucket=platform.bucket, Key=stored["Key"])["Body"].read())
        assert (outcome["outcome"], outcome["code"]) == ("refused", "nothing-desired")
    cloud.client("lambda").invoke(FunctionName=platform.deploy_function, InvocationType="Event", Payload=b"{}")
    assert cloud.flush()
    (message,) = sqs.receive_message(QueueUrl=ids["DeadLetters"], MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == "{}"
    role = cloud.client("iam").get_role(RoleName=ids["DeployRole"])["Role"]["Arn"]
    assert denied(cloud, role) == []
    assert {"ListObjectsToDetectMissing", "PublishNotifications", "SendToDeadLetterQueue"} <= used(cloud, role)
