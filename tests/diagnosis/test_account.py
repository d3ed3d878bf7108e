"""The lines of `doctor` about the caller and about the images of the region, on an AWS emulator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import session
from ml.diagnosis import account
from ml.diagnosis.subjects import Subjects
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.git import checkout

ROOT_USER = "arn:aws:iam::123456789012:root"


def test_root_user_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the ARN and what to use instead."""
    with LocalAws(tmp_path, caller_arn=ROOT_USER) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        found = next(account.checks(Subjects(SHIPPED, None)))
    assert (found.subject, found.state) == ("identity", "will fail")
    assert ROOT_USER in found.detail
    assert "sign in with a role" in found.detail


CLUSTER = {"engine": "spark", "instances": 5, "instance_type": "ml.m5.xlarge"}
CLUSTER |= {"volume_gb": 30, "max_runtime_minutes": 30}


@pytest.mark.parametrize(
    ("engine", "compute", "files"),
    [
        ("single", None, ""),
        ("spark", None, "model-config/training/model.yaml"),
        ("single", CLUSTER, "model-config/monitoring/drift.yaml"),
        ("spark", CLUSTER, "model-config/training/model.yaml and model-config/monitoring/drift.yaml"),
    ],
)
def test_region_must_have_the_image_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, compute: dict[str, Any] | None, files: str
) -> None:
    """A region may have the scikit-learn image and not the Spark image, which only the engine spark needs."""
    root = tmp_path / "checkout"
    shutil.copytree(SHIPPED, root)
    checkout.set_values(root, config.MODEL, {"compute.engine": engine, "compute.instances": 1})
    if compute is not None:
        with (root / config.DRIFT).open("a", encoding="utf-8") as file:
            file.write(f"compute: {json.dumps(compute)}\n")
    with LocalAws(tmp_path / "cloud") as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "us-iso-east-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-iso-east-1")
        session.renew()
        found = {check.subject: check for check in account.checks(Subjects(root, "acme/fraud"))}
    session.renew()
    assert ("Spark image" in found, "quota for drift checks" in found) == (bool(files), compute is not None)
    assert found["image"].state == "ok"
    if files:
        assert found["Spark image"].state == "will fail"
        assert "SageMaker's Spark image is not published there" in found["Spark image"].detail
        assert f"set compute.engine: single in {files}" in found["Spark image"].detail
