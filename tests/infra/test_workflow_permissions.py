"""What the workflows' roles may do, tried with their credentials on the AWS emulator, which evaluates policies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from local_aws.server import LocalAws

from ml.aws import platform_stack
from ml.aws.labels import store
from ml.commands import bootstrap
from tests.harness.aws.workflow_identity import WorkflowIdentity


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def roles(cloud: LocalAws, tmp_path: Path, repository_root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The roles of a bootstrapped account, by the repository variable that names them."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    for folder in ("infra", "model-config"):
        shutil.copytree(repository_root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return dict(bootstrap.bootstrap(tmp_path, repository="acme/fraud").variables)


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
    assert [each.name for each in store.deliveries(bucket)] == [delivered.name]
    assert [each.key for each in store.others(bucket)] == ["labels/elsewhere/a.parquet"]
