"""A proposal copies package and evaluation into the approval record; a package that they contradict is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import registry
from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.aws.session import client
from ml.errors import CloudError, Refused
from ml.gitops import approvals
from ml.records.package_proposal import OutOfDate, propose_package
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    return served.on_moto(server, tmp_path, monkeypatch)


def test_record_copies_registry_and_evaluation(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Package, digest, container, commit, data, requests, execution, metrics with intervals and verdict."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T06:00:00Z")
    arn = env.register(-1.0, requests="=20260301T060000Z-data-drift", window_start="=2026-01-01T00:00:00Z")
    result = propose_package(env.workspace.repository, arn)
    assert (result.branch, result.state) == ("approve/0001", "created")
    record = approvals.read_record(env.workspace.repository, result.branch, 1)
    assert record == result.record
    package = registry.package(arn)
    assert record is not None
    assert (record.model_package_arn, record.artifact.sha256) == (arn, package.artifact_sha256)
    assert record.artifact.uri == package.model_data_url
    assert record.container.image == served.IMAGE
    assert record.container.environment == MODEL_ENVIRONMENT
    assert record.commit == env.workspace.repository.head()
    assert (record.data.rows, record.data.frauds) == (3000, 60)
    assert record.data.window.start is not None
    assert (record.data.window.start.isoformat(), record.data.window.end) == ("2026-01-01T00:00:00+00:00", None)
    assert record.requests == ("20260301T060000Z-data-drift",)
    execution = package.evaluation_uri.split("/executions/")[1].split("/")[0]
    assert record.execution_arn.endswith(f":pipeline/fraudops-training/execution/{execution}")
    # No alerts, no precision: a figure that does not exist is not in the record.
    assert set(record.metrics) == {"recall"}
    assert record.metrics["recall"] == config.Interval(value=0.9, low=0.8, high=0.95, count=18, of=20)
    assert record.verdict.reason == "Recall 0.90 > 0.60 on 20 frauds."
    assert record.champion is None
    assert record.created.isoformat() == "2026-03-01T06:00:00+00:00"


def test_challenger_names_the_champion_it_was_compared_with(env: ServedPlatform) -> None:
    """The record has the serving approval's number, package and digest."""
    env.approve(env.register(-1.0))
    result = propose_package(env.workspace.repository, env.register(1.0))
    record = approvals.read_record(env.workspace.repository, result.branch, 2)
    assert record is not None
    assert record.champion is not None
    assert (record.champion.approval, record.champion.comparison) == (1, "compared")


def test_comparison_with_a_former_champion_is_out_of_date(env: ServedPlatform) -> None:
    """The refusal names the approval that serves now."""
    stale = env.register(1.0)
    env.approve(env.register(-1.0))
    with pytest.raises(OutOfDate, match=r"compared with no champion.*approval 0002 serves") as refused:
        propose_package(env.workspace.repository, stale)
    assert refused.value.serves == "approval 0002"


def test_failed_gate_cannot_be_approved(env: ServedPlatform) -> None:
    """The refusal gives the reason of the gate's verdict."""
    failed = {"status": "failed", "reason": "Recall gate failed: 0.58 < 0.60.", "checks": []}
    with pytest.raises(Refused, match=r"did not pass the gate: Recall gate failed"):
        propose_package(env.workspace.repository, env.register(-1.0, verdict=failed))


def test_rejected_package_cannot_be_approved(env: ServedPlatform) -> None:
    """The refusal gives the reason of the rejection."""
    arn = env.register(-1.0)
    registry.set_status(arn, registry.REJECTED, "superseded by 0009")
    with pytest.raises(Refused, match=r"rejected \(superseded by 0009\)"):
        propose_package(env.workspace.repository, arn)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"artifact_sha256": "e" * 64}, "artifact"),
        ({"artifact": {"sha256": "e" * 64, "bytes": 1}}, "artifact"),
        ({"data_sha256": "e" * 64}, "data_sha256"),
        ({"provenance": {"commit": "e" * 40, "config_sha256": "e" * 64, "data_sha256": "d" * 64}}, "commit"),
    ],
)
def test_package_and_evaluation_of_different_runs_are_refused(
    env: ServedPlatform, changes: dict[str, Any], reason: str
) -> None:
    """Metadata, evaluation and archive must agree on artifact, data and commit."""
    with pytest.raises(Refused, match=f"registered with {reason} "):
        propose_package(env.workspace.repository, env.register(-1.0, **changes))


def test_replaced_artifact_is_refused(env: ServedPlatform) -> None:
    """The bytes at the package's URL are not those that were registered."""
    arn = env.register(-1.0)
    key = registry.package(arn).model_data_url.removeprefix("s3://lake/")
    client("s3").put_object(Bucket="lake", Key=key, Body=b"another model")
    with pytest.raises(Refused, match="Someone has replaced it"):
        propose_package(env.workspace.repository, arn)
    client("s3").delete_object(Bucket="lake", Key=key)
    with pytest.raises(Refused, match="there is no object"):
        propose_package(env.workspace.repository, arn)


def test_model_of_an_unknown_commit_is_refused(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the commit and says to fetch it."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(type(env.workspace.repository), "head", lambda self: "e" * 40)
        arn = env.register(-1.0)
    with pytest.raises(Refused, match=r"which this repository lacks; fetch it"):
        propose_package(env.workspace.repository, arn)


def test_model_with_other_settings_than_its_commits_is_refused(env: ServedPlatform) -> None:
    """The settings digest differs from that of the commit which the package names."""
    path = env.root / config.GATE
    text = path.read_text()
    path.write_text(text.replace("0.60", "0.10"))
    arn = env.register(-1.0)
    path.write_text(text)
    with pytest.raises(Refused, match="not what that commit explains"):
        propose_package(env.workspace.repository, arn)


def test_package_of_another_group_is_refused(env: ServedPlatform) -> None:
    """A platform approves only packages of its own group."""
    client("sagemaker").create_model_package_group(ModelPackageGroupName="others")
    container = {"Image": served.IMAGE, "ModelDataUrl": "s3://lake/x"}
    arn = client("sagemaker").create_model_package(
        ModelPackageGroupName="others",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )["ModelPackageArn"]
    with pytest.raises(Refused, match="approves models of fraudops-model only"):
        propose_package(env.workspace.repository, arn)


def test_missing_package_is_named(env: ServedPlatform) -> None:
    """The error names the ARN that the registry lacks."""
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/fraudops-model/9"
    with pytest.raises(CloudError, match="model-package/fraudops-model/9"):
        propose_package(env.workspace.repository, arn)


def test_record_of_the_same_number_is_never_rewritten(env: ServedPlatform) -> None:
    """A registry that was created again numbers from 1, but Git keeps the former records."""
    arn = env.register(-1.0)
    propose_package(env.workspace.repository, arn)
    env.workspace.git("switch", "-q", "approve/0001")
    path = env.root / config.approval_path(1)
    env.workspace.write({config.approval_path(1): path.read_text().replace("0.5", "0.25")}, "Lower the threshold")
    env.workspace.git("switch", "-q", "main")
    with pytest.raises(Refused, match="never rewritten"):
        propose_package(env.workspace.repository, arn)
