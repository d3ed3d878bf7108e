"""The lines of `doctor` about the caller and about the images of the region, on an AWS emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

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


@pytest.mark.parametrize(("engine", "lines"), [("single", ["image"]), ("spark", ["image", "Spark image"])])
def test_region_must_have_the_image_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, lines: list[str]
) -> None:
    """A region may have the scikit-learn image and not the Spark image, which only the engine spark needs."""
    root = tmp_path / "checkout"
    shutil.copytree(SHIPPED, root)
    checkout.set_values(root, config.MODEL, {"compute.engine": engine, "compute.instances": 1})
    with LocalAws(tmp_path / "cloud") as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "us-iso-east-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-iso-east-1")
        session.renew()
        found = {check.subject: check for check in account.checks(Subjects(root, "acme/fraud"))}
    session.renew()
    assert [name for name in found if name in ("image", "Spark image")] == lines
    assert found["image"].state == "ok"
    if engine == "spark":
        assert found["Spark image"].state == "will fail"
        assert "SageMaker's Spark image is not published there" in found["Spark image"].detail
        assert "compute.engine: single" in found["Spark image"].detail
