"""An import is removed whole, and not while a registered model needs it for training again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from ml.aws import platform_stack, registry, training_sets
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.commands import data_remove
from ml.commands.data_import import import_data
from ml.commands.data_list import list_imports
from ml.errors import DataError, Refused
from tests.harness.aws import moto_server
from tests.harness.columns import ulb_columns

COLUMNS = ulb_columns(("V1",))


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A platform whose lake is a bucket of its own, with an empty registry."""
    moto_server.point_at(server, monkeypatch)
    lake = Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))
    stack = platform_stack.Platform(
        region="eu-west-1",
        account="123456789012",
        bucket=lake.bucket,
        execution_role_arn="arn:aws:iam::123456789012:role/r",
        package_group="models",
        deploy_function="deploy",
        topic_arn="arn:aws:sns:eu-west-1:123456789012:t",
        pipeline="training",
    )
    monkeypatch.setattr(platform_stack, "read", lambda: stack)
    monkeypatch.setattr(registry, "packages", lambda _group: [])
    return lake


def stored(lake: Lake, folder: Path, *, day: int, rows: int = 2) -> str:
    """Imports a file of `rows` rows; returns the import's name."""
    path = folder / f"day-{day}.csv"
    lines = [f"{row},{day},1,{row % 2}" for row in range(rows)]
    path.write_text("\n".join(["Time,V1,Amount,Class", *lines]) + "\n")
    start = datetime(2026, 3, day, tzinfo=UTC).date()
    return import_data(str(path), lake=lake, columns=COLUMNS, start=start, quarantine=False).name


def trained_on(data_sha256: str) -> registry.Package:
    """A registered model of that training set."""
    return registry.Package(
        arn="arn:aws:sagemaker:eu-west-1:123456789012:model-package/models/7",
        group="models",
        version=7,
        status=registry.APPROVED,
        reason="",
        model_data_url="s3://lake/model.tar.gz",
        image="image",
        environment={},
        evaluation_uri="s3://lake/evaluation.json",
        metadata={"data_sha256": data_sha256},
        created=datetime(2026, 4, 1, tzinfo=UTC),
    )


def test_removed_import_is_gone_and_others_stay(lake: Lake, tmp_path: Path) -> None:
    """Its objects and its manifest are deleted, it is listed no more, and its file can be imported again."""
    first, second = (stored(lake, tmp_path, day=day) for day in (1, 2))
    assert [(item.name, item.rows, item.frauds) for item in list_imports()] == [(first, 2, 1), (second, 2, 1)]
    removed = data_remove.remove(data_remove.plan(first), even_if_trained=False)
    assert (removed.name, removed.rows, removed.objects) == (first, 2, 3)
    assert [item.name for item in list_imports()] == [second]
    listed = client("s3").list_objects_v2(Bucket=lake.bucket)["Contents"]
    assert not [item["Key"] for item in listed if first in item["Key"]]
    with pytest.raises(DataError, match=f"no import {first}; `fraudops data list` shows them"):
        data_remove.plan(first)
    assert stored(lake, tmp_path, day=1) == first
    assert [item.name for item in list_imports()] == [first, second]


def test_import_of_a_registered_model_is_kept(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused unless told; an import that the model did not see is not."""
    first = stored(lake, tmp_path, day=1)
    digest = training_sets.choose(lake, None, None).sha256
    second = stored(lake, tmp_path, day=2)
    monkeypatch.setattr(registry, "packages", lambda _group: [trained_on(digest)])
    with pytest.raises(Refused, match=rf"{first}: 1 registered model\(s\) were trained on it .*models/7"):
        data_remove.remove(data_remove.plan(first), even_if_trained=False)
    assert [item.name for item in list_imports()] == [first, second]
    data_remove.remove(data_remove.plan(second), even_if_trained=False)
    data_remove.remove(data_remove.plan(first), even_if_trained=True)
    assert list_imports() == []


def test_model_of_an_unknown_training_set_may_need_the_import(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the listing of its training set is gone, nothing says that it was not trained on the import."""
    first = stored(lake, tmp_path, day=1)
    monkeypatch.setattr(registry, "packages", lambda _group: [trained_on("0" * 64)])
    with pytest.raises(Refused, match="trained on a set that can no longer be read"):
        data_remove.remove(data_remove.plan(first), even_if_trained=False)
