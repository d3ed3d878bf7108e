"""The caller of `doctor`, on an AWS emulator whose caller is the root user."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.diagnosis import account
from ml.diagnosis.subjects import Subjects
from ml.playground.template_state import FOLDER as SHIPPED

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
