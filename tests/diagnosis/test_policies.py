"""Policies of a platform with a key of its own, as the role of drift.yml compares them on the AWS emulator.

What is changed by hand in the other policies is in tests/commands/test_status.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.aws import platform_stack, session
from ml.aws.cloudformation import deployed_stack
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.diagnosis import policies
from ml.diagnosis.check import Check
from ml.diagnosis.subjects import Subjects
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git import checkout


def key_check(root: Path) -> Check:
    """The check of the key's policy."""
    (found,) = (each for each in policies.checks(Subjects(root, None)) if each.subject == "policy fraudops Key")
    return found


@pytest.mark.slow
def test_policy_of_the_data_key_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that lets another account decrypt is named; a platform without a key has none to compare."""
    root = checkout.copy(tmp_path / "checkout", "infra")
    with LocalAws(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        bootstrap(root, repository="acme/fraud")
        assert key_check(root).detail == "not in this stack: its condition does not hold"
        made = bootstrap(root, repository="acme/fraud", settings_given=("Encryption=customer-key",))
        _, key = deployed_stack.resources(platform_stack.stack_name())["Key"]
        with monkeypatch.context() as patch:
            WorkflowIdentity(cloud).assume(made.variables["FRAUDOPS_ROLE_DRIFT"], patch)
            session.renew()
            assert (key_check(root).state, key_check(root).detail) == ("ok", f"policy of key {key} is the template's")
        session.renew()
        kms = client("kms")
        document = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        principal = {"AWS": "arn:aws:iam::210987654321:root"}
        document["Statement"] += [
            {"Sid": "Share", "Effect": "Allow", "Principal": principal, "Action": "kms:Decrypt", "Resource": "*"}
        ]
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))
        with monkeypatch.context() as patch:
            WorkflowIdentity(cloud).assume(made.variables["FRAUDOPS_ROLE_DRIFT"], patch)
            session.renew()
            found = key_check(root)
        session.renew()
        assert (found.state, found.remedy) == ("will fail", "template")
        assert "statement Share was added" in found.detail
