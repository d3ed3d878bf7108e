"""The real drift.yml on both emulators: drifted traffic leads to a retrain request, and the request to a training."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest

from ml import config
from ml.aws import platform_stack, s3_objects, session_policies
from ml.aws.session import client
from ml.gitops import approvals
from ml.gitops.repository import BOT
from tests.harness.platform import monitored, served
from tests.harness.platform.monitored import MonitoredEndpoint
from tests.harness.workflows import environment, published_site
from tests.harness.workflows.environment import WorkflowEnvironment, failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CHECK, ASK, NOT_RUN = "Check traffic and labels for drift", "Request a retrain", "Report why nothing ran"
HEAL = "Put back what Git says"
REQUEST = "20260501T000000Z-data-drift"


def serve(env: WorkflowEnvironment) -> None:
    """Registers and approves a model without deploying it; the test writes its captured traffic itself."""
    for file in ("ci.yml", "deploy.yml", "train.yml"):
        env.switch(file, on=False)
    model = env.workspace.text(config.DATA)
    env.push({config.DATA: monitored.with_four_inputs(model)}, "Train on four inputs")
    env.bot.env.approve(env.bot.register(0.0))
    env.bot.push()
    assert env.runs() == []
    for file in ("ci.yml", "train.yml"):
        env.switch(file, on=True)


def test_drift_creates_a_request_and_the_request_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two drifted months give one commit of the bot and one training on its window; a second check gives neither."""
    monkeypatch.setattr(served, "archive", lambda _, provenance, **__: monitored.archive(provenance=provenance))
    with environment.started(tmp_path) as env:
        environment.equip(env)
        watched = MonitoredEndpoint(
            bot=env.bot, monkeypatch=monkeypatch, folder=tmp_path, bucket=platform_stack.read().bucket
        )
        watched.at("2026-01-31T12:00:00Z")
        serve(env)

        # February has no drift: the workflow succeeds, writes its report and creates no request.
        watched.month(2)
        watched.at("2026-03-01T05:17:00Z")
        env.dispatch("drift.yml")
        run = env.fired()["drift.yml"]
        assert passed(run) == {CHECK}
        assert "### Drift: none" in run.summary
        (report,) = re.findall(r"\[Open the drift report\]\((http\S+)\)", run.summary)
        with urllib.request.urlopen(report, timeout=30) as page:  # noqa: S310 - the emulator's own address
            assert "In February 2026 no test of the whole window found drift" in page.read().decode()

        # The published site of the account has the report, read with the same role.
        env.bot.api.create_variable("FRAUDOPS_PAGES", "account")
        env.dispatch("pages.yml")
        run = env.fired()["pages.yml"]
        assert passed(run) == {"Build the site with the account", "Publish the site"}
        site = published_site.files(env)
        assert "no test of the whole window found drift" in site["drift.html"].decode()
        assert [name for name in site if name.startswith("drift/")], sorted(site)
        # Its session may do what it did, but for an alarm or a key that this platform does not have, and nothing else.
        (statement,) = json.loads(session_policies.document("site"))["Statement"]
        assert set(statement["Action"]) - published_site.actions(env) <= {"cloudwatch:DescribeAlarms", "kms:Decrypt"}

        # March and April drift; after April two of three windows agree.
        watched.month(3, shift=0.6)
        watched.at("2026-04-01T05:17:00Z")
        env.dispatch("drift.yml")
        assert set(env.fired()) == {"drift.yml"}
        watched.month(4, shift=0.6)
        watched.at("2026-05-01T05:17:00Z")
        before = env.bot.tip("main")
        env.dispatch("drift.yml")
        fired = env.fired()
        assert passed(fired["drift.yml"]) == {CHECK, ASK}
        assert "A retrain is requested" in fired["drift.yml"].summary
        assert "```mermaid" in fired["drift.yml"].summary
        assert watched.requests() == [REQUEST]
        commit = env.bot.api.get_commit(env.bot.tip("main"))
        assert [parent.sha for parent in commit.parents] == [before]
        assert (commit.commit.author.name, [file.filename for file in commit.files]) == (
            BOT.name,
            [f"{config.REQUESTS}/{REQUEST}.yaml"],
        )

        # A push with the workflow's token starts nothing, so train.yml was dispatched on the request's commit.
        training = fired["train.yml"]
        assert (training.event, training.sha) == ("workflow_dispatch", commit.sha)
        assert passed(training) == {"Train, evaluate, propose"}
        (pull,) = env.bot.api.get_pulls()
        env.workspace.git("fetch", "-q", "origin")
        record = approvals.read_record(env.workspace.repository, f"origin/{pull.head.ref}", 2)
        assert record is not None
        assert record.requests == (REQUEST,)
        assert record.data.window == watched.request(REQUEST).window

        # A second check of the same window: the same verdict, no second request, no second training. The inbox has a
        # label file with a fault and one without: the first fails the job, and stops neither the check nor the request.
        put = client("s3").put_object
        put(Bucket=watched.bucket, Key="labels-inbox/bad.csv", Body=b"event_id,label,known_at\na,2,2026-04-02\n")
        put(Bucket=watched.bucket, Key="labels-inbox/good.csv", Body=b"event_id,label,known_at\na,0,2026-04-02\n")
        env.dispatch("drift.yml", window="2026-04-01T00:00:00Z/2026-05-01T00:00:00Z")
        (again,) = env.runs()
        assert again.results == {CHECK: "failure", ASK: "success", HEAL: "skipped", NOT_RUN: "skipped"}
        assert "labels-inbox/bad.csv: line 2, column label: '2' must be 0 (legitimate) or 1 (fraud)" in again.log
        assert "A retrain was requested before" in again.summary
        assert watched.requests() == [REQUEST]
        keys = list(s3_objects.keys(watched.bucket, "labels-inbox/"))
        assert [key.rpartition("/")[2] for key in keys] == ["bad.csv", "good.csv"]
        assert keys[1].startswith("labels-inbox/imported/late-20260402-")
        client("s3").delete_object(Bucket=watched.bucket, Key="labels-inbox/bad.csv")

        # A check with an unreadable stored document fails and names it.
        key = "monitoring/fraudops-production/checks/20260401T000000Z_20260501T000000Z.json"
        client("s3").put_object(Bucket=watched.bucket, Key=key, Body=b"no JSON")
        env.dispatch("drift.yml")
        (broken,) = env.runs()
        assert failed(broken) == {CHECK}
        assert "delete it; the next check evaluates the window again" in broken.log
