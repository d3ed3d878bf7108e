"""A pull request adds an estimator in one file; the unchanged workflow files train, approve, serve and monitor it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml import config
from ml.aws import platform_stack, s3_objects
from ml.aws.session import client
from ml.model import artifact
from tests.harness import estimator_files
from tests.harness.workflows import environment
from tests.harness.workflows.environment import passed
from tests.harness.workflows.served_models import approve, at, latest, send

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
CHECKED = {"Detect changes", "Validate model-config", "Plan", "Required checks"}
TRAIN, DEPLOY, CHECK = "Train, evaluate, propose", "Deploy", "Check traffic and labels for drift"
ENDPOINT = "fraudops-production"


def test_second_estimator_is_trained_approved_served_and_monitored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file and one key: the gate passes it beside a champion of another kind, and drift.yml judges its traffic."""
    with environment.started(tmp_path) as env:
        at(monkeypatch, "2026-02-10T12:00:00Z")
        environment.equip(env)
        environment.fill(env)
        approve(env, -1.0)  # a weak champion to compare with
        bucket = platform_stack.read().bucket

        model = config.set_values(
            env.workspace.text(config.MODEL), config.MODEL, {"estimator": estimator_files.NAIVE_BAYES}
        )
        serving = config.set_values(
            env.workspace.text(config.SERVING), config.SERVING, {"capture.sampling_percentage": 100}
        )
        files: dict[str | Path, str] = {
            config.MODEL: model,
            config.SERVING: serving,
            estimator_files.FILE: estimator_files.text(),
        }
        pull = env.propose("naive-bayes", files, "Add naive Bayes")
        check = env.fired()["ci.yml"]
        assert passed(check) >= CHECKED
        assert "### model-config is valid" in check.summary
        assert "| `estimator` | `logistic_regression` | `naive_bayes` |" in check.summary
        env.bot.merge(pull.number)
        runs = env.runs()
        (trained,) = (run for run in runs if run.workflow == "train")
        assert passed(trained) == {TRAIN}, trained.log

        (proposal,) = env.bot.api.get_pulls()
        assert proposal.head.ref.startswith("approve/0002")
        env.bot.merge(proposal.number)
        assert passed(env.fired()["deploy.yml"]) == {DEPLOY}
        record = config.load_approval(env.bot.root, 2)
        assert record.verdict.status == "passed"
        archive = artifact.read(s3_objects.read(record.artifact.uri))
        (part,) = archive.model.document.parts
        assert part.features == () and len(part.bins) == 30
        assert not any("estimators" in name for name in archive.files)

        at(monkeypatch, "2026-03-15T12:00:00Z")
        assert send(ENDPOINT, latest(bucket, 2_000)) == {"0002"}
        assert env.clouds.aws.flush()
        at(monkeypatch, "2026-04-01T05:17:00Z")
        env.dispatch("drift.yml")
        (run,) = env.runs()
        assert passed(run) == {CHECK}, run.summary
        assert "### Drift: " in run.summary
        key = f"monitoring/{ENDPOINT}/checks/20260301T000000Z_20260401T000000Z.json"
        verdict = json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())["verdict"]
        assert {"data", "prediction"} <= set(verdict["evaluated"])
