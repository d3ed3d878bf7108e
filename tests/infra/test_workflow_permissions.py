"""What the workflows' roles may do, tried with their credentials on the AWS emulator, which evaluates policies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from ml.aws import platform_stack, session
from ml.aws.labels import store
from ml.commands import bootstrap, infra
from ml.errors import CloudError
from tests.harness.aws.workflow_identity import WorkflowIdentity

EDITS = {
    "DisplayName: fraudops": "DisplayName: other",
    "MessageRetentionPeriod: 1209600": "MessageRetentionPeriod: 604800",
    "RetentionInDays: !Ref LogRetentionDays": "RetentionInDays: 400",
    "NoncurrentDays: !Ref ReplacedVersionDays": "NoncurrentDays: 300",
    '"title": "Latency, microseconds"': '"title": "Latency"',
    "MemorySize: 512": "MemorySize: 640",
    "MaximumRetryAttempts: 2 ": "MaximumRetryAttempts: 1 ",
    "Description: Runs the training pipeline and its jobs.": "Description: Runs the pipeline.",
    "Sid: ReadInputs": "Sid: ReadTheInputs",
    "Period: 300": "Period: 600",
    "State: ENABLED": "State: DISABLED",
}
"""One changed setting of each kind of resource that infra.yml may change."""

KEY_EDITS = {
    "fraudops: data, logs and messages of the stack": "fraudops: everything of the stack",
    "Sid: EncryptAlarmMessages": "Sid: EncryptMessages",
    "          KEY_ARN: !If": "          OTHER: value\n          KEY_ARN: !If",
}
"""What changes the key, its policy, and the environment that it encrypts."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path, repository_root: Path) -> Path:
    """A copy of infra/ and model-config/ that a test may edit."""
    for folder in ("infra", "model-config"):
        shutil.copytree(repository_root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def roles(cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The roles of a bootstrapped account, by the repository variable that names them."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    session.renew()
    return dict(bootstrap.bootstrap(checkout, repository="acme/fraud").variables)


def denied(cloud: LocalAws, role: str) -> list[tuple[str, str]]:
    """Action and resource of each denied decision on the role."""
    cloud.flush()
    lines = map(json.loads, (cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
    found = [line for line in lines if line["entity"] == role and line["decision"] != "allowed"]
    return [(line["action"], line["resource"]) for line in found]


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


def test_infra_role_changes_the_platform_through_cloudformation_alone(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed settings of the bucket, roles, function, queue, topic, rule, alarms and log group, and new code, apply
    without a denied call. The same call of the role itself is denied."""
    role, template = roles["FRAUDOPS_ROLE_INFRA"], checkout / "infra/platform.yaml"
    text = template.read_text("utf-8")
    for old, new in EDITS.items():
        assert old in text, old
        text = text.replace(old, new)
    template.write_text(text, "utf-8")
    code = checkout / "infra/deploy_model/logic.py"
    code.write_text(code.read_text("utf-8") + "\n# changed\n", "utf-8")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    assert infra.apply(checkout).state == "updated"
    assert denied(cloud, role) == []
    bucket = platform_stack.read().bucket
    with pytest.raises(ClientError, match="s3:PutBucketVersioning"):
        session.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_infra_role_changes_a_platform_with_a_key_of_its_own(
    cloud: LocalAws, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, its policy and the function's environment change without a denied call; the role itself has no key."""
    for name, value in {**cloud.environment(), "FRAUDOPS_STACK": "keyed"}.items():
        monkeypatch.setenv(name, value)
    session.renew()
    made = bootstrap.bootstrap(checkout, repository="acme/keyed", settings_given=["Encryption=customer-key"])
    role, key, template = made.variables["FRAUDOPS_ROLE_INFRA"], made.platform.key_arn, checkout / "infra/platform.yaml"
    text = template.read_text("utf-8")
    for old, new in KEY_EDITS.items():
        assert old in text, old
        text = text.replace(old, new)
    template.write_text(text, "utf-8")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    assert infra.apply(checkout).state == "updated"
    assert denied(cloud, role) == []
    with pytest.raises(ClientError, match="kms:PutKeyPolicy"):
        session.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy="{}")


def test_plan_role_previews_and_changes_nothing(
    cloud: LocalAws, roles: dict[str, str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role that pull requests get plans without a denied call, and may not apply."""
    role, template = roles["FRAUDOPS_ROLE_PLAN"], checkout / "infra/platform.yaml"
    template.write_text(template.read_text("utf-8").replace("MemorySize: 512", "MemorySize: 640"), "utf-8")
    WorkflowIdentity(cloud).assume(role, monkeypatch)
    session.renew()
    assert infra.plan(checkout).changes >= 1
    assert denied(cloud, role) == []
    with pytest.raises(CloudError, match=r"was refused with (403|AccessDenied)"):
        infra.apply(checkout)
