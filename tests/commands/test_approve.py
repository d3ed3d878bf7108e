"""An approval proposes exactly what was trained, evaluated and registered, and nothing that does not add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import registry
from ml.aws.session import client
from ml.commands.approve import approve
from ml.errors import CloudError, GitError, Refused
from ml.gitops import approvals, serving_pointer
from tests.harness.aws import moto_server
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    return served.moto_platform(served.repository(tmp_path / "repository"))


def test_record_copies_registry_and_evaluation(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Package, digest, container, commit, data, requests, execution, metrics with intervals and verdict."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T06:00:00Z")
    arn = env.register(-1.0, requests="=20260301T060000Z-data-drift", window_start="=2026-01-01T00:00:00Z")
    result = approve(env.root, arn)
    assert (result.approval, result.branch, result.state, result.merged) == (1, "approve/0001", "created", None)
    record = approvals.read_record(env.workspace.repository, result.branch, 1)
    package = registry.package(arn)
    assert record is not None
    assert (record.model_package_arn, record.artifact.sha256) == (arn, package.artifact_sha256)
    assert record.artifact.uri == package.model_data_url
    assert record.container.image == served.IMAGE
    assert record.container.environment == served.ENVIRONMENT
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


def test_nothing_is_approved_before_the_merge(env: ServedPlatform) -> None:
    """The registry, main and the working tree stay as they were."""
    before = env.workspace.repository.head()
    approve(env.root, env.register(-1.0))
    assert env.statuses() == {1: "PendingManualApproval"}
    assert env.workspace.repository.head() == before
    assert env.workspace.repository.dirty() == []


def test_merging_is_the_approval(env: ServedPlatform) -> None:
    """By a merge commit in the approver's name; main then points at it. Run again, it says so."""
    arn = env.register(-1.0)
    result = approve(env.root, arn, merge=True, approver=PERSON)
    (commit, *_) = env.workspace.repository.log("main")
    assert (commit.sha, commit.author, len(commit.parents)) == (result.merged, PERSON.name, 2)
    assert serving_pointer.read(env.workspace.repository, "main").approval == 1
    again = approve(env.root, arn, merge=True, approver=PERSON)
    assert (again.state, again.merged) == ("on main already", None)
    assert (again.record_commit, again.pointer_commit) == (result.record_commit, result.pointer_commit)


def test_running_it_again_on_another_day_keeps_the_branch(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """One branch per model, whatever is run how often."""
    arn = env.register(-1.0)
    first = approve(env.root, arn)
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-01-01T00:00:00Z")
    again = approve(env.root, arn)
    assert (again.state, again.pointer_commit) == ("kept", first.pointer_commit)


def test_merging_needs_main(env: ServedPlatform) -> None:
    """What is checked out is what a merge goes into."""
    arn = env.register(-1.0)
    env.workspace.git("switch", "-q", "-c", "feature")
    with pytest.raises(GitError, match="needs main checked out"):
        approve(env.root, arn, merge=True, approver=PERSON)
    assert env.workspace.repository.resolve("approve/0001") is None


def test_challenger_names_the_champion_it_was_compared_with(env: ServedPlatform) -> None:
    """The approval that main says serves, by number, package and digest."""
    env.approve(env.register(-1.0))
    result = approve(env.root, env.register(1.0))
    record = approvals.read_record(env.workspace.repository, result.branch, 2)
    assert record is not None
    assert record.champion is not None
    assert (record.champion.approval, record.champion.comparison) == (1, "compared")


def test_comparison_with_a_former_champion_is_out_of_date(env: ServedPlatform) -> None:
    """Main has moved on since the model was tested: its verdict is about another question."""
    stale = env.register(1.0)
    env.approve(env.register(-1.0))
    with pytest.raises(Refused, match=r"compared with no champion.*approval 0002 serves"):
        approve(env.root, stale)


def test_failed_gate_cannot_be_approved(env: ServedPlatform) -> None:
    """Not even by whoever runs this by hand."""
    failed = {"status": "failed", "reason": "Recall gate failed: 0.58 < 0.60.", "checks": []}
    with pytest.raises(Refused, match=r"did not pass the gate: Recall gate failed"):
        approve(env.root, env.register(-1.0, verdict=failed))


def test_rejected_package_cannot_be_approved(env: ServedPlatform) -> None:
    """With the reason that it was rejected for."""
    arn = env.register(-1.0)
    registry.set_status(arn, registry.REJECTED, "superseded by 0009")
    with pytest.raises(Refused, match=r"rejected \(superseded by 0009\)"):
        approve(env.root, arn)


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
    """Metadata, evaluation and archive must tell the same story."""
    with pytest.raises(Refused, match=f"registered with {reason} "):
        approve(env.root, env.register(-1.0, **changes))


def test_replaced_artifact_is_refused(env: ServedPlatform) -> None:
    """The bytes at the package's URL are not those that were registered."""
    arn = env.register(-1.0)
    key = registry.package(arn).model_data_url.removeprefix("s3://lake/")
    client("s3").put_object(Bucket="lake", Key=key, Body=b"another model")
    with pytest.raises(Refused, match="Someone has replaced it"):
        approve(env.root, arn)
    client("s3").delete_object(Bucket="lake", Key=key)
    with pytest.raises(Refused, match="there is no object"):
        approve(env.root, arn)


def test_model_of_an_unknown_commit_is_refused(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this repository cannot explain is not approved here."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(type(env.workspace.repository), "head", lambda self: "e" * 40)
        arn = env.register(-1.0)
    with pytest.raises(Refused, match=r"which this repository lacks; fetch it"):
        approve(env.root, arn)


def test_model_with_other_settings_than_its_commits_is_refused(env: ServedPlatform) -> None:
    """The configuration was edited after the run that is said to have used it."""
    path = env.root / config.GATE
    text = path.read_text()
    path.write_text(text.replace("0.60", "0.10"))
    arn = env.register(-1.0)
    path.write_text(text)
    with pytest.raises(Refused, match="not what that commit explains"):
        approve(env.root, arn)


def test_package_of_another_group_is_refused(env: ServedPlatform) -> None:
    """A platform approves its own models only."""
    client("sagemaker").create_model_package_group(ModelPackageGroupName="others")
    container = {"Image": served.IMAGE, "ModelDataUrl": "s3://lake/x"}
    arn = client("sagemaker").create_model_package(
        ModelPackageGroupName="others",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )["ModelPackageArn"]
    with pytest.raises(Refused, match="approves models of fraudops-model only"):
        approve(env.root, arn)


def test_missing_package_is_named(env: ServedPlatform) -> None:
    """A mistyped ARN is one line."""
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/fraudops-model/9"
    with pytest.raises(CloudError, match="model-package/fraudops-model/9"):
        approve(env.root, arn)


def test_record_of_the_same_number_is_never_rewritten(env: ServedPlatform) -> None:
    """Where a registry was made anew, its numbers begin again; the records in Git do not."""
    arn = env.register(-1.0)
    approve(env.root, arn)
    env.workspace.git("switch", "-q", "approve/0001")
    path = env.root / config.approval_path(1)
    env.workspace.write({config.approval_path(1): path.read_text().replace("0.5", "0.25")}, "Lower the threshold")
    env.workspace.git("switch", "-q", "main")
    with pytest.raises(Refused, match="never rewritten"):
        approve(env.root, arn)
