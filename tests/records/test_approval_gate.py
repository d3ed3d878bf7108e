"""A deployment refuses what a merge approved by the verdict of a gate that main had no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from ml import config
from ml.aws import deployment_records
from ml.aws.deployment_records import Deployment
from ml.commands.deploy import deploy
from ml.errors import ConfigError, Refused
from ml.gitops import approvals
from ml.records import approval_gate, approval_verification
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    return served.on_moto(server, tmp_path, monkeypatch)


def raise_gate(env: ServedPlatform, value: str) -> None:
    """Commits another limit of recall on main."""
    text = env.workspace.text(config.GATE)
    env.workspace.write({config.GATE: text.replace("min_recall: 0.6", f"min_recall: {value}", 1)}, "Raise the gate")
    assert config.load_gate(env.root).min_recall == float(value)


def compared(*_: Any) -> None:
    """Stands for the first comparison after the gate's."""
    raise Refused("compared with the registry")


def deployment(record: config.ApprovalRecord, status: Literal["succeeded", "failed"]) -> Deployment:
    """A deployment of the approval on production's endpoint."""
    return Deployment(
        approval=record.approval,
        model_package_arn=record.model_package_arn,
        artifact_sha256=record.artifact.sha256,
        artifact_uri=record.artifact.uri,
        endpoint="fraudops-production",
        endpoint_config="fraudops-0001",
        status=status,
        reason="",
        commit="a" * 40,
        desired="order",
        smoke=None,
        started="2026-03-01T00:00:00Z",
        finished="2026-03-01T00:01:00Z",
    )


def test_approval_under_a_former_gate_is_not_deployed(env: ServedPlatform) -> None:
    """Nothing is ordered or approved; the message names the setting and what to do."""
    arn = env.register(-1.0)
    raise_gate(env, "0.97")
    env.approve(arn)
    merge = env.workspace.repository.head()[:12]
    expected = rf"0001 was judged by another gate .*\(min_recall 0\.6 → 0\.97\); nothing was changed\. Revert {merge}"
    with pytest.raises(Refused, match=expected):
        deploy(env.root)
    assert env.statuses() == {1: "PendingManualApproval"}


@pytest.mark.parametrize(("file", "command"), [(config.SERVING, "rollback`"), (config.STAGING, "rollback --staging`")])
def test_refusal_names_the_way_back_of_its_stage(env: ServedPlatform, file: Path, command: str) -> None:
    """A second approval leaves the pointer a former model to go back to: staging's where the pointer is staging's."""
    if file == config.STAGING:
        text = env.workspace.text(config.SERVING).replace("fraudops-production", "fraudops-staging")
        env.workspace.write({config.STAGING: text}, "Add staging")
    env.approve(env.register(-1.0))
    text = env.workspace.text(file)
    raise_gate(env, "0.97")
    before = config.load_approval(env.root, 1)
    second = config.dump(before).replace("approval: 1", "approval: 2").replace("/1\n", "/2\n")
    moved = text.replace("approval: 1", "approval: 2")
    env.workspace.write({config.approval_path(2): second, file: moved}, "Approve the second model")
    record = approvals.read_record(env.workspace.repository, "HEAD", 2)
    assert record is not None
    refusal = approval_gate.of_merge(env.workspace.repository, record, "HEAD", file)
    assert refusal is not None
    assert f"Move the pointer back with `fraudops {command}" in refusal


def test_model_that_served_before_this_rule_is_deployed_again(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version deployed such a merge: settings, repairs and reruns of what serves must not be refused now."""
    env.approve(env.register(-1.0))
    record = approvals.read_record(env.workspace.repository, "HEAD", 1)
    assert record is not None
    monkeypatch.setattr(approval_gate, "of_merge", lambda *_: "judged by another gate")
    monkeypatch.setattr(approval_verification, "against_registry", compared)
    with pytest.raises(Refused, match="judged by another gate"):
        deploy(env.root)
    deployment_records.record("lake", deployment(record, "failed"))
    with pytest.raises(Refused, match="judged by another gate"):
        deploy(env.root)
    deployment_records.record("lake", deployment(record, "succeeded"))
    with pytest.raises(Refused, match="compared with the registry"):
        deploy(env.root)


def test_gate_that_changes_after_the_merge_refuses_nothing(env: ServedPlatform) -> None:
    """The merge was under the gate that judged the model; deploying it again later is no new approval."""
    env.approve(env.register(-1.0))
    raise_gate(env, "0.97")
    record = approvals.read_record(env.workspace.repository, "HEAD", 1)
    assert record is not None
    assert approval_gate.differences(env.workspace.repository, record, "HEAD") == "min_recall 0.6 → 0.97"
    assert approval_gate.of_merge(env.workspace.repository, record, "HEAD", config.SERVING) is None


def test_pointer_moves_back_to_a_model_of_a_former_gate(env: ServedPlatform) -> None:
    """A rollback approves nothing new, so the gate of its day does not matter."""
    first = env.register(-1.0)
    raise_gate(env, "0.97")
    env.approve(first)
    env.approve(env.register(-2.0))
    repository = env.workspace.repository
    text = env.workspace.text(config.SERVING)
    env.workspace.write({config.SERVING: text.replace("approval: 2", "approval: 1")}, "Serve approval 0001 again")
    record = approvals.read_record(repository, "HEAD", 1)
    assert record is not None
    assert approval_gate.of_merge(repository, record, "HEAD", config.SERVING) is None


def test_unreadable_gate_is_no_equal_gate(env: ServedPlatform) -> None:
    """What cannot be compared is an error."""
    env.approve(env.register(-1.0))
    env.workspace.write({config.GATE: "- no\n- mapping\n"}, "Break the gate")
    record = approvals.read_record(env.workspace.repository, "HEAD", 1)
    assert record is not None
    with pytest.raises(ConfigError, match=r"gate\.yaml at HEAD: must be a mapping"):
        approval_gate.differences(env.workspace.repository, record, "HEAD")
