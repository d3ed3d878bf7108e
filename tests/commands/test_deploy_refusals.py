"""What `deploy` refuses before it changes anything, and how it reads the deploy function's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import deployment_records, platform_stack, registry
from ml.aws.session import client
from ml.commands.deploy import deploy
from ml.errors import CloudError, DeploymentFailed, GitError, Refused
from ml.release import rollout
from tests.harness.platform import served, statements
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def empty(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    return served.on_moto(server, tmp_path, monkeypatch)


@pytest.fixture
def env(empty: ServedPlatform) -> Iterator[ServedPlatform]:
    """Approval 1 merged; after the test nothing may have been ordered or approved."""
    empty.approve(empty.register(-1.0))
    yield empty
    assert empty.statuses() == {1: "PendingManualApproval"}
    assert client("s3").list_objects_v2(Bucket="lake", Prefix="deploy/")["KeyCount"] == 0


def replace_in(env: ServedPlatform, path: Path, old: str, new: str) -> None:
    """Commits an edit on main."""
    text = env.workspace.text(path)
    assert old in text
    env.workspace.write({path: text.replace(old, new)}, "Edit")


def test_empty_template_deploys_nothing(empty: ServedPlatform, capsys: pytest.CaptureFixture[str]) -> None:
    """approval: null is no error; a message says what to do, and nothing is called."""
    result = deploy(empty.root)
    assert (result.state, result.approval) == ("nothing to deploy", None)
    assert "merge an approval first" in capsys.readouterr().err


def test_only_main_is_deployed(env: ServedPlatform) -> None:
    """Another branch and a detached HEAD are refused."""
    env.workspace.git("switch", "-q", "-c", "feature")
    with pytest.raises(GitError, match="feature is checked out"):
        deploy(env.root)
    env.workspace.git("switch", "-q", "--detach", "main")
    with pytest.raises(GitError, match="no branch is checked out"):
        deploy(env.root)


def test_uncommitted_changes_are_refused(env: ServedPlatform) -> None:
    """An uncommitted edit of the serving file is named in the error."""
    (env.root / config.SERVING).write_text(env.workspace.text(config.SERVING).replace("count: 1", "count: 9"))
    with pytest.raises(GitError, match=r"serving/production\.yaml: uncommitted changes"):
        deploy(env.root)


def test_unknown_approval_is_refused(env: ServedPlatform) -> None:
    """The serving pointer names an approval without a record."""
    replace_in(env, config.SERVING, "approval: 1", "approval: 9")
    with pytest.raises(Refused, match=r"approvals/0009\.yaml is not in Git"):
        deploy(env.root)


def test_tampered_digest_is_refused(env: ServedPlatform) -> None:
    """The record's digest differs from that of the registered package."""
    package = registry.packages("fraudops-model")[0]
    replace_in(env, config.approval_path(1), package.artifact_sha256, "e" * 64)
    with pytest.raises(Refused, match="one of them was tampered with"):
        deploy(env.root)


def test_forged_metric_is_refused(env: ServedPlatform) -> None:
    """Digest and package agree, and the record on main claims a better recall than the evaluation."""
    number = config.approval_path(1)
    assert config.load_approval(env.root, 1).metrics["recall"].value == 0.9
    before, _, after = env.workspace.text(number).partition("  recall:\n")
    env.workspace.write({number: f"{before}  recall:\n{after.replace('value: 0.9', 'value: 0.999', 1)}"}, "Edit")
    assert config.load_approval(env.root, 1).metrics["recall"].value == 0.999
    with pytest.raises(Refused, match=r"metrics\.recall\.value"):
        deploy(env.root)


def test_replaced_artifact_is_refused(env: ServedPlatform) -> None:
    """Another archive at the approved URL, and a missing one."""
    key = registry.packages("fraudops-model")[0].model_data_url.removeprefix("s3://lake/")
    provenance = dict.fromkeys(("commit", "config_sha256", "data_sha256"), "f" * 64) | {"commit": "f" * 40}
    client("s3").put_object(Bucket="lake", Key=key, Body=served.archive(9.0, provenance))
    with pytest.raises(Refused, match="Someone has replaced it"):
        deploy(env.root)
    client("s3").delete_object(Bucket="lake", Key=key)
    with pytest.raises(Refused, match="there is no object"):
        deploy(env.root)


def test_record_of_another_group_is_refused(env: ServedPlatform) -> None:
    """The platform deploys only packages of its own group."""
    client("sagemaker").create_model_package_group(ModelPackageGroupName="others")
    container = {"Image": served.IMAGE, "ModelDataUrl": "s3://lake/x"}
    client("sagemaker").create_model_package(
        ModelPackageGroupName="others",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )
    replace_in(env, config.approval_path(1), "model-package/fraudops-model/1", "model-package/others/1")
    with pytest.raises(Refused, match="models of fraudops-model only"):
        deploy(env.root)


def test_root_user_is_refused_before_anything(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """No IAM policy limits root."""
    monkeypatch.setattr(platform_stack, "caller", lambda: "arn:aws:iam::123456789012:root")
    with pytest.raises(Refused, match="root user"):
        deploy(env.root)


def test_missing_platform_is_an_error(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the command that creates it."""
    monkeypatch.setenv("FRAUDOPS_STACK", "absent")
    with pytest.raises(CloudError, match="fraudops bootstrap"):
        deploy(env.root)
    monkeypatch.delenv("FRAUDOPS_STACK")


@pytest.fixture
def answers(empty: ServedPlatform) -> deployment_records.Answers:
    """Scripts the deploy function's answers."""
    return deployment_records.Answers("lake")


def say(identifier: str, outcome: str, code: str = "", desired: str = "order-1", arn: str = "arn") -> None:
    """Writes an outcome as the deploy function does."""
    fields = {
        "event_id": identifier,
        "model_package_arn": arn,
        "outcome": outcome,
        "code": code or outcome,
        "reason": f"because of {identifier}",
        "desired": desired,
        "endpoint": "e",
        "endpoint_config": "c",
        "at": "2026-03-01T00:00:00Z",
    }
    body = json.dumps({"schema": 1, **fields})
    client("s3").put_object(Bucket="lake", Key=f"deploy/outcomes/{identifier}.json", Body=body)


def test_lambda_answer_that_changed_the_endpoint_counts(answers: deployment_records.Answers) -> None:
    """Of several answers to one order, "updated" takes precedence over duplicates and late events."""
    say("late", "refused", "not-approved")
    say("second", "unchanged")
    say("first", "updated")
    assert rollout.answer(answers, "order-1", "arn", 5).event_id == "first"


@pytest.mark.parametrize(
    "other", [{"desired": "order-0"}, {"arn": "another"}, {"outcome": "refused", "code": "not-approved"}]
)
def test_lambda_answer_to_another_order_is_ignored(answers: deployment_records.Answers, other: dict[str, str]) -> None:
    """Answers to another order or package are ignored; the timeout error quotes the last answer to this order."""
    say("other", **({"outcome": "updated"} | other))
    with pytest.raises(DeploymentFailed, match=r"did not answer within .* dead-letter queue") as caught:
        rollout.answer(answers, "order-1", "arn", 0.3)
    assert ("its last reason: because of other" in str(caught.value)) == ("code" in other)


@pytest.mark.parametrize(("outcome", "code"), [("refused", "digest"), ("failed", "ResourceLimitExceeded")])
def test_lambda_refusal_fails_deployment(answers: deployment_records.Answers, outcome: str, code: str) -> None:
    """The error has the function's code and reason."""
    say("only", outcome, code)
    with pytest.raises(DeploymentFailed, match=rf"{outcome} it \({code}\): because of only"):
        rollout.answer(answers, "order-1", "arn", 5)


def test_earlier_lambda_answer_is_ignored(empty: ServedPlatform) -> None:
    """An answer from before the order does not count."""
    say("before", "updated")
    with pytest.raises(DeploymentFailed, match="did not answer"):
        rollout.answer(deployment_records.Answers("lake"), "order-1", "arn", 0.3)


def test_exactly_one_package_is_approved(empty: ServedPlatform) -> None:
    """Approved and older packages are superseded; rejected ones keep their reason, newer ones stay pending."""
    arns = [empty.register(float(number)) for number in range(5)]
    registry.set_status(arns[0], registry.REJECTED, "long ago")
    registry.set_status(arns[1], registry.APPROVED, "the former")
    registry.set_status(arns[3], registry.APPROVED, "by hand, in a console")
    document = {"approval": 3, "commit": "c" * 40}
    superseded = rollout.order(document, registry.package(arns[2]), empty.where)
    assert sorted(superseded) == [arns[1], arns[3]]
    assert empty.statuses() == {
        1: "Rejected",
        2: "Rejected",
        3: "Approved",
        4: "Rejected",
        5: "PendingManualApproval",
    }
    reasons = {package.version: package.reason for package in registry.packages("fraudops-model")}
    assert reasons[1] == "long ago"
    assert reasons[2] == reasons[4] == "superseded by 0003"


def test_approved_package_is_reapproved(empty: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved → Approved sends no event, so it goes through PendingManualApproval; the order is written in between."""
    arn = empty.register(-1.0)
    registry.set_status(arn, registry.APPROVED, "before")
    steps: list[str] = []
    set_status, write = registry.set_status, deployment_records.write_order

    def noted_status(arn: str, status: str, reason: str) -> None:
        steps.append(status)
        set_status(arn, status, reason)

    def noted_order(bucket: str, document: dict[str, Any]) -> None:
        steps.append("order")
        write(bucket, document)

    monkeypatch.setattr(registry, "set_status", noted_status)
    monkeypatch.setattr(deployment_records, "write_order", noted_order)
    rollout.order({"approval": 1, "commit": "c" * 40}, registry.package(arn), empty.where)
    assert steps == ["PendingManualApproval", "order", "Approved"]


def test_endpoint_that_the_platform_may_not_change_is_refused(env: ServedPlatform) -> None:
    """Another endpoint name would leave the former endpoint running; it needs `fraudops bootstrap` first."""
    replace_in(env, config.SERVING, "endpoint: fraudops-production", "endpoint: elsewhere")
    with pytest.raises(Refused, match=r"serves on fraudops-production only.*fraudops bootstrap"):
        deploy(env.root)


def test_forged_statement_of_provenance_is_refused(env: ServedPlatform) -> None:
    """Nobody signed it, or another key did; nothing is ordered."""
    record, path = config.load_approval(env.root, 1), config.statement_path(1)
    statements.create_key()
    other = statements.create_key(alias="alias/other")
    for content in (statements.unsigned(record), statements.signed(record, other)):
        env.workspace.write({path: content.decode()}, "Forge a statement")
        with pytest.raises(Refused, match=r"0001\.intoto\.json was not signed with alias/fraudops-provenance"):
            deploy(env.root)


def test_statement_about_another_digest_is_refused(env: ServedPlatform) -> None:
    """It has a good signature, of a model that was trained too."""
    record = config.load_approval(env.root, 1)
    other = record.model_copy(update={"artifact": record.artifact.model_copy(update={"sha256": "e" * 64})})
    content = statements.signed(other, statements.create_key())
    env.workspace.write({config.statement_path(1): content.decode()}, "Use the statement of another model")
    with pytest.raises(Refused, match=rf"another model than .*0001\.yaml: artifact is {'e' * 64}, and the record has"):
        deploy(env.root)


def test_missing_statement_is_refused_after_one_that_was_signed(empty: ServedPlatform) -> None:
    """Taking the statement off a later approval does not make it an old one."""
    empty.approve(empty.register(-1.0))
    signed = statements.unsigned(config.load_approval(empty.root, 1))  # whose signature is not looked at
    empty.workspace.write({config.statement_path(1): signed.decode()}, "Sign it")
    empty.approve(empty.register(1.0))
    with pytest.raises(Refused, match=r"0002\.yaml has no statement of provenance.*have one since commit [0-9a-f]{12}"):
        deploy(empty.root)
    assert empty.statuses() == {1: "PendingManualApproval", 2: "PendingManualApproval"}
