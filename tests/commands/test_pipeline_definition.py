"""`fraudops pipeline definition`, with an account and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml import config
from ml.commands.pipeline_definition import definition
from ml.errors import CloudError, ConfigError
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.git import checkout as checkouts


def test_definition_needs_no_account() -> None:
    """With a bucket given, no region, credentials or network are needed."""
    text = definition(SHIPPED, bucket="my-lake", role="arn:aws:iam::123456789012:role/r", group="g", region="eu-west-1")
    for part in ("s3://my-lake/executions", "arn:aws:iam::123456789012:role/r", "eu-west-1.amazonaws.com"):
        assert part in text
    assert definition(SHIPPED, bucket="my-lake") == definition(SHIPPED, bucket="my-lake")


def test_region_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """AWS_REGION names the region where no option does, and it is then no placeholder."""
    monkeypatch.setenv("AWS_REGION", "ap-southeast-2")
    assert ".dkr.ecr.ap-southeast-2.amazonaws.com" in definition(SHIPPED, bucket="my-lake")
    assert "--region" not in capsys.readouterr().err
    assert ".dkr.ecr.eu-west-1.amazonaws.com" in definition(SHIPPED, bucket="my-lake", region="eu-west-1")


def test_compute_follows_the_working_tree(tmp_path: Path) -> None:
    """The definition has the values of the working tree, committed or not."""
    root = checkouts.copy(tmp_path)
    checkouts.set_values(root, config.MODEL, {"compute.instance_type": "ml.m5.4xlarge"})
    document = json.loads(definition(root, bucket="my-lake"))
    (parameter,) = [item for item in document["Parameters"] if item["Name"] == "InstanceType"]
    assert parameter["DefaultValue"] == "ml.m5.4xlarge"


def test_missing_platform_and_options_are_an_error() -> None:
    """No value is guessed."""
    with pytest.raises(CloudError):
        definition(SHIPPED)


def test_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    """The message names the file that is missing."""
    with pytest.raises(ConfigError, match=r"model\.yaml: no such file"):
        definition(tmp_path, bucket="my-lake")
