"""The statement of an approval: what it contains, who gets none, and what its verification refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import clock, config
from ml.aws.signing_key import KeyUnavailable
from ml.config import statement_file
from ml.errors import Refused
from ml.playground.template_state import FOLDER as SHIPPED
from ml.records import provenance
from tests.harness.aws import empty_account
from tests.harness.git.repositories import GitWorkspace, record
from tests.harness.platform import statements

DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [
        {"Name": name, "Type": "String", "DefaultValue": "s3://none/"} for name in ("CodeUri", "SettingsUri")
    ],
    "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}],
}
ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    """A repository on main with model-config/."""
    return GitWorkspace.make(tmp_path / "repository")


SETTINGS = (SHIPPED / config.MODEL).read_text()


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An emulator without keys, and its administrator."""
    with empty_account.running(tmp_path / "aws", monkeypatch) as account:
        yield account


def execute(aws: LocalAws) -> str:
    """Runs a pipeline that does nothing; the ARN of its execution."""
    role = aws.client("iam").create_role(RoleName="jobs", AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))["Role"]
    sagemaker = aws.client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="p", PipelineDefinition=json.dumps(DEFINITION), RoleArn=role["Arn"], ClientRequestToken="t" * 32
    )
    parameters = [{"Name": "CodeUri", "Value": "s3://lake/code/abc/"}]
    started = sagemaker.start_pipeline_execution(PipelineName="p", PipelineParameters=parameters)
    aws.settle(30)
    return str(started["PipelineExecutionArn"])


def commit(workspace: GitWorkspace, approved: config.ApprovalRecord, content: bytes | None) -> str:
    """Commits a record and its statement; returns the commit."""
    files: dict[str | Path, str] = {config.approval_path(approved.approval): config.dump(approved)}
    if content is not None:
        files[config.statement_path(approved.approval)] = content.decode()
    return workspace.write(files, "Approve")


def test_statement_names_inputs_outputs_and_builder(
    aws: LocalAws, workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commit, settings, data, code, definition and lock of the containers; the workflow, its run and the evaluation."""
    key = statements.create_key()
    lock = "numpy==2\n"
    locks: dict[str | Path, str] = {"ml/steps/requirements.txt": lock, "ml/spark/requirements.txt": "pyspark==3\n"}
    trained = workspace.write(locks | {config.MODEL: SETTINGS}, "Settings and locks")
    champion = config.Champion(
        approval=6,
        model_package_arn=record(6).model_package_arn,
        artifact_sha256=record(6).artifact.sha256,
        comparison="compared",
        reason="better",
    )
    approved = record(7, commit=trained, execution_arn=execute(aws), champion=champion)
    for name, value in {
        "SERVER_URL": "https://git.invalid",
        "REPOSITORY": "o/r",
        "RUN_ID": "5",
        "RUN_ATTEMPT": "2",
        "WORKFLOW_REF": "o/r/.github/workflows/train.yml@refs/heads/main",
    }.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    content = provenance.sign(workspace.repository, approved)
    assert content is not None
    found = statement_file.parse_statement(content, config.statement_path(7))
    assert found.key == key
    assert statement_file.differences(found.statement, approved) == []
    build, run = found.statement.predicate.build_definition, found.statement.predicate.run_details
    inputs: dict[str, Any] = {item.name: item for item in build.resolved_dependencies}
    assert inputs["source"].uri == "git+https://git.invalid/o/r"
    assert inputs["code"].uri == "s3://lake/code/abc/"
    definition = hashlib.sha256(json.dumps(DEFINITION).encode()).hexdigest()
    assert inputs["pipeline definition"].digest == {"sha256": definition}
    assert inputs["ml/steps/requirements.txt"].digest == {"sha256": hashlib.sha256(lock.encode()).hexdigest()}
    assert "ml/spark/requirements.txt" not in inputs  # no job of compute.engine single installs it
    assert inputs["champion"].digest == {"sha256": record(6).artifact.sha256}
    assert build.external_parameters["requests"] == list(approved.requests)
    assert run.builder.id == "https://git.invalid/o/r/.github/workflows/train.yml@refs/heads/main"
    assert run.metadata.invocation_id == "https://git.invalid/o/r/actions/runs/5/attempts/2"
    listed = aws.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=approved.execution_arn)
    (step,) = listed["PipelineExecutionSteps"]
    assert run.metadata.started_on == clock.stamp(step["StartTime"])
    assert run.metadata.finished_on == clock.stamp(step["EndTime"])
    (evaluation,) = run.byproducts
    assert evaluation.digest == {"sha256": approved.evaluation.sha256}
    assert provenance.verify(workspace.repository, commit(workspace, approved, content), approved)


def test_outside_a_workflow_the_caller_is_the_builder(aws: LocalAws, workspace: GitWorkspace) -> None:
    """A statement claims no workflow that did not run."""
    statements.create_key()
    trained = workspace.write({config.MODEL: SETTINGS}, "Settings")
    approved = record(7, commit=trained, execution_arn=execute(aws))
    content = provenance.sign(workspace.repository, approved)
    assert content is not None
    found = statement_file.parse_statement(content, config.statement_path(7)).statement
    assert found.predicate.run_details.builder.id.startswith("arn:aws:")
    assert found.predicate.run_details.metadata.invocation_id == approved.execution_arn


def test_without_a_key_there_is_no_statement(
    aws: LocalAws, workspace: GitWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning names the command that makes the key; no execution is read."""
    assert provenance.sign(workspace.repository, record(7)) is None
    printed = capsys.readouterr()
    assert "approval 0007 gets no signed statement of provenance" in printed.out + printed.err


def test_statement_must_be_signed_with_the_key_of_the_account(aws: LocalAws, workspace: GitWorkspace) -> None:
    """A signature that nobody made, one of another key, and a changed payload are refused; the file is named."""
    key, other = statements.create_key(), statements.create_key(alias="alias/other")
    good = json.loads(statements.signed(record(7), key))
    forged = json.loads(statements.unsigned(record(7)))
    changed = good | {"payload": forged["payload"].swapcase()}
    for content in (
        statements.unsigned(record(7)),
        statements.signed(record(7), other),
        json.dumps(good | {"payload": json.loads(statements.signed(record(8), other))["payload"]}).encode(),
    ):
        revision = commit(workspace, record(7), content)
        with pytest.raises(Refused, match=r"0007\.intoto\.json was not signed with alias/fraudops-provenance"):
            provenance.verify(workspace.repository, revision, record(7))
    revision = commit(workspace, record(7), json.dumps(changed).encode())
    with pytest.raises(Refused, match=r"0007\.intoto\.json: .*restore the file as train\.yml wrote it"):
        provenance.verify(workspace.repository, revision, record(7))


def test_statement_of_another_model_is_refused(aws: LocalAws, workspace: GitWorkspace) -> None:
    """A good signature of another approval's statement, and a record whose digest was changed after it."""
    key = statements.create_key()
    revision = commit(workspace, record(7), statements.signed(record(8), key))
    with pytest.raises(Refused, match=r"the statement of another model than .*0007\.yaml: artifact is 0+8, and"):
        provenance.verify(workspace.repository, revision, record(7))
    revision = commit(workspace, record(9), statements.signed(record(9), key))
    with pytest.raises(Refused, match=r"artifact is 0+9, and the record has"):
        provenance.verify(workspace.repository, revision, record(9, artifact=record(8).artifact))


def test_missing_statement_is_accepted_of_old_approvals_alone(aws: LocalAws, workspace: GitWorkspace) -> None:
    """Those whose record is older than the first statement; a later one was taken off its statement."""
    key, repository = statements.create_key(), workspace.repository
    assert not provenance.verify(repository, commit(workspace, record(2), None), record(2))
    revision = commit(workspace, record(3), statements.signed(record(3), key))
    assert provenance.first_statement(repository, revision) == revision
    assert provenance.verify(repository, revision, record(3))
    assert not provenance.verify(repository, revision, record(2))
    later = commit(workspace, record(4), None)
    with pytest.raises(
        Refused, match=rf"0004\.yaml has no statement of provenance: .*have one since commit {revision[:12]}"
    ):
        provenance.verify(repository, later, record(4))


def test_number_below_the_first_signed_one_is_not_older(aws: LocalAws, workspace: GitWorkspace) -> None:
    """A package that was never approved keeps its low number, and its record is written after the first statement."""
    key, repository = statements.create_key(), workspace.repository
    commit(workspace, record(5), statements.signed(record(5), key))
    revision = commit(workspace, record(3), None)
    with pytest.raises(Refused, match=r"0003\.yaml has no statement of provenance"):
        provenance.verify(repository, revision, record(3))


def test_deleted_statements_still_count(aws: LocalAws, workspace: GitWorkspace) -> None:
    """A commit that removes every statement switches nothing off, neither for old records nor for new ones."""
    key, repository = statements.create_key(), workspace.repository
    commit(workspace, record(3), statements.signed(record(3), key))
    workspace.git("rm", "-q", config.statement_path(3).as_posix())
    workspace.git("commit", "-qm", "Remove the statements")
    revision = commit(workspace, record(4), None)
    for number in (3, 4):
        with pytest.raises(Refused, match=rf"000{number}\.yaml has no statement of provenance"):
            provenance.verify(repository, revision, record(number))


def test_statement_without_a_key_is_not_verified(aws: LocalAws, workspace: GitWorkspace) -> None:
    """An account whose key is gone accepts nothing that has a statement."""
    revision = commit(workspace, record(7), statements.unsigned(record(7)))
    with pytest.raises(KeyUnavailable, match="NotFoundException"):
        provenance.verify(workspace.repository, revision, record(7))
