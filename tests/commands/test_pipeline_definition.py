"""`fraudops pipeline definition`, with an account and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ml.commands.pipeline_definition import definition
from ml.errors import CloudError, ConfigError


def test_definition_needs_no_account(repository_root: Path) -> None:
    """With a bucket given, no region, credentials or network are needed."""
    text = definition(
        repository_root, bucket="my-lake", role="arn:aws:iam::123456789012:role/r", group="g", region="eu-west-1"
    )
    for part in ("s3://my-lake/executions", "arn:aws:iam::123456789012:role/r", "eu-west-1.amazonaws.com"):
        assert part in text
    assert definition(repository_root, bucket="my-lake") == definition(repository_root, bucket="my-lake")


def test_compute_follows_the_working_tree(repository_root: Path, tmp_path: Path) -> None:
    """The definition has the values of the working tree, committed or not."""
    shutil.copytree(repository_root / "model-config", tmp_path / "model-config")
    model = tmp_path / "model-config/training/model.yaml"
    model.write_text(model.read_text().replace("ml.m5.xlarge", "ml.m5.4xlarge"))
    document = json.loads(definition(tmp_path, bucket="my-lake"))
    (parameter,) = [item for item in document["Parameters"] if item["Name"] == "InstanceType"]
    assert parameter["DefaultValue"] == "ml.m5.4xlarge"


def test_missing_platform_and_options_are_an_error(repository_root: Path) -> None:
    """No value is guessed."""
    with pytest.raises(CloudError):
        definition(repository_root)


def test_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    """The message names the file that is missing."""
    with pytest.raises(ConfigError, match=r"model\.yaml: no such file"):
        definition(tmp_path, bucket="my-lake")
