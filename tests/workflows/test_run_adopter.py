"""A repository with another owner, name, region, stack, endpoint, gate and columns, and two approvals in its state.

Its data have a text column and times since 1970, and its label files have columns of their own.
Its workflow files run by act on both emulators, and the product's tests run in its tree.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import platform_stack
from ml.aws.cloudformation import workflow_roles
from ml.aws.labels import store
from ml.aws.s3_objects import keys
from ml.aws.session import client
from tests.harness.git import adopter, checkout
from tests.harness.git.repositories import GitWorkspace
from tests.harness.platform.stacks import physical
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, passed
from tests.harness.workflows.served_models import approve, at, latest, send

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
CHECKED = {"Detect changes", "Validate model-config", "Plan", "Required checks"}
TRAIN, DEPLOY, CHECK = "Train, evaluate, propose", "Deploy", "Check traffic and labels for drift"
INPUTS = {*adopter.COLUMNS.values(), adopter.CATEGORY} - {adopter.COLUMNS["Class"]}
OF_THE_STATE = (
    "tests/test_config.py",
    "tests/test_cost.py",
    "tests/test_repository.py",
    "tests/aws/pipeline/test_definition.py",
    "tests/commands/test_pipeline_definition.py",
    "tests/commands/test_plan.py",
    "tests/config",
    "tests/infra/test_platform_template.py",
    "tests/model/drift/test_detector.py",
    "tests/playground/test_template_state.py",
    "tests/validation",
)
"""Tests that read settings or records."""


def put_labels(bucket: str, rows: list[dict[str, Any]]) -> None:
    """Puts a file with analysts' findings, all legitimate, into the lake's inbox, with the adopter's columns."""
    known = int(datetime(2026, 3, 20, 6, tzinfo=UTC).timestamp())
    lines = [f"{known};{row['event_id']};Fachabteilung;0\n" for row in rows]
    body = "gemeldet am;Buchung;Quelle;Betrug?\n" + "".join(lines)
    client("s3").put_object(Bucket=bucket, Key="labels-inbox/findings.csv", Body=body.encode())


def names(env: WorkflowEnvironment) -> Iterator[str]:
    """The names and ARNs of what both stacks, the workflows and SageMaker have made in the account."""
    aws = env.clouds.aws
    for stack in (platform_stack.stack_name(), workflow_roles.stack_name()):
        yield from physical(aws, stack).values()
    sagemaker = aws.client("sagemaker")
    listed: tuple[tuple[str, str, str], ...] = (
        ("list_pipelines", "PipelineSummaries", "PipelineArn"),
        ("list_endpoints", "Endpoints", "EndpointArn"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigArn"),
        ("list_models", "Models", "ModelArn"),
        ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupArn"),
    )
    for call, items, arn in listed:
        found: list[dict[str, Any]] = getattr(sagemaker, call)()[items]
        assert found, call
        yield from (item[arn] for item in found)
    yield from (bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"])
    yield from env.clouds.github.state.named(adopter.REPOSITORY).variables.values()


def test_adopters_repository_runs_every_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy.yml serves the second approval; ci.yml passes a change of the gate before and after its merge; train.yml
    trains with it and proposes a third approval, which is deployed; drift.yml imports labels and checks its traffic. No
    default name is used.
    """
    with environment.started(
        tmp_path,
        name=adopter.REPOSITORY,
        region=adopter.REGION,
        stack=adopter.STACK,
        set_state=adopter.set_settings,
    ) as env:
        at(monkeypatch, "2026-02-10T12:00:00Z")
        environment.equip(env)
        environment.fill(env, adopter.transactions)
        approve(env, -1.0, -1.5)  # weak models, so that a trained one is not worse
        env.dispatch("deploy.yml", reason="first deployment")
        assert passed(env.fired()["deploy.yml"]) == {DEPLOY}
        assert env.bot.env.answers()["model_version"] == "0002"

        stricter = config.set_values(env.workspace.text(config.GATE), config.GATE, {"min_recall": 0.57})
        pull = env.propose("stricter", {config.GATE: stricter}, "Ask for more recall")
        check = env.fired()["ci.yml"]
        assert passed(check) == CHECKED
        assert "### model-config is valid" in check.summary
        assert "| `min_recall` | `0.55` | `0.57` |" in check.summary
        env.bot.merge(pull.number)
        runs = env.runs()
        assert {(run.workflow, run.conclusion) for run in runs} == {("train", "success"), ("ci", "success")}
        assert passed(next(run for run in runs if run.workflow == "train")) == {TRAIN}

        (proposal,) = env.bot.api.get_pulls()
        assert proposal.head.ref.startswith("approve/0003")
        assert env.checks(proposal.head.sha) == {"fraudops/ci": "success"}
        env.bot.merge(proposal.number)
        fired = env.fired()
        assert passed(fired["deploy.yml"]) == {DEPLOY}
        assert passed(fired["ci.yml"]) == CHECKED - {"Plan"}
        bucket = platform_stack.read().bucket
        assert send(adopter.ENDPOINT, latest(bucket, 1)) == {"0003"}
        record = config.load_approval(env.bot.root, 3)
        assert record.verdict.status == "passed"
        assert f".dkr.ecr.{adopter.REGION}." in record.container.image
        assert f":{adopter.REGION}:" in record.execution_arn
        assert f"pipeline/{adopter.STACK}-training/" in record.execution_arn

        at(monkeypatch, "2026-03-15T12:00:00Z")
        traffic = latest(bucket, 2_000)
        assert send(adopter.ENDPOINT, traffic) == {"0003"}
        assert env.clouds.aws.flush()
        put_labels(bucket, traffic[:20])
        at(monkeypatch, "2026-04-01T05:17:00Z")
        env.dispatch("drift.yml")
        (run,) = env.runs()
        assert passed(run) == {CHECK}, run.summary
        assert "### Drift: " in run.summary
        (inbox,) = keys(bucket, "labels-inbox/")
        assert re.fullmatch(r"labels-inbox/imported/[^/]+/findings\.csv", inbox)
        ((rows, frauds),) = {(each.rows, each.frauds) for each in store.deliveries(bucket)}
        assert (rows, frauds) == (20, 0)
        key = f"monitoring/{adopter.ENDPOINT}/checks/20260301T000000Z_20260401T000000Z.json"
        verdict = json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())["verdict"]
        assert {"data", "prediction"} <= set(verdict["evaluated"])
        measured = client("cloudwatch").list_metrics(Namespace="Fraudops/Drift")["Metrics"]
        dimensions = [{item["Name"]: item["Value"] for item in each["Dimensions"]} for each in measured]
        assert {each["Endpoint"] for each in dimensions} == {adopter.ENDPOINT}
        assert {each["Feature"] for each in dimensions if "Feature" in each} == INPUTS | {"score"}

        found = set(names(env))
        assert any(f":{adopter.REGION}:" in name for name in found)
        assert {name for name in found if "fraudops" in name or "us-east-1" in name} == set()


def test_suite_passes_in_an_adopters_tree(tmp_path: Path) -> None:
    """Tests that read settings or records pass in a tree whose state has been used for months, and is valid."""
    root = checkout.copy_tracked(tmp_path / "adopted")
    adopter.write(root)
    GitWorkspace.begin(root)
    environment_of_tests = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_", "FRAUDOPS_"))
    } | {"PYTHONPATH": str(root)}
    for arguments in (
        ["-c", "from ml.cli import main; main()", "validate"],
        ["-m", "pytest", "-n", "0", "-m", "not slow and not long", *OF_THE_STATE],
    ):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=root,
            env=environment_of_tests,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
