"""The real drift.yml on both local clouds: traffic that has drifted becomes a commit, and the commit a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.aws import platform
from ml.aws.session import client
from ml.gitops import approvals
from ml.gitops.repository import BOT
from tests.commands import served_world, watched_world
from tests.commands.watched_world import Watched
from tests.workflows import workflow_world
from tests.workflows.workflow_world import World, failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
CHECK = "Check traffic and labels for drift"
REQUEST = "20260501T000000Z-data-drift"


def serve(world: World) -> None:
    """A model of this world, registered and approved; it is not deployed, for its traffic is written by hand."""
    for file in ("ci.yml", "deploy.yml", "train.yml"):
        world.switch(file, on=False)
    model = world.workshop.text(config.MODEL)
    world.push({config.MODEL: watched_world.narrowed(model)}, "Train on four inputs")
    world.forge.world.approve(world.forge.register(0.0))
    world.forge.push()
    assert world.runs() == []
    for file in ("ci.yml", "train.yml"):
        world.switch(file, on=True)


def test_drift_becomes_a_request_and_the_request_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two months drift: one commit of the bot, one training on the days that it names, and nothing the second time."""
    monkeypatch.setattr(served_world, "archive", lambda _, said, **__: watched_world.archive(provenance=said))
    with workflow_world.started(tmp_path) as world:
        workflow_world.equip(world)
        watched = Watched(forge=world.forge, monkeypatch=monkeypatch, folder=tmp_path, bucket=platform.read().bucket)
        watched.at("2026-01-31T12:00:00Z")
        serve(world)

        # February is as it was. The workflow is green, writes its report, and asks for nothing.
        watched.month(2)
        watched.at("2026-03-01T05:17:00Z")
        world.dispatch("drift.yml")
        run = world.fired()["drift.yml"]
        assert passed(run) == {CHECK}
        assert "### Drift: none" in run.summary

        # March and April are not: the second of them makes two of three.
        watched.month(3, shift=0.6)
        watched.at("2026-04-01T05:17:00Z")
        world.dispatch("drift.yml")
        assert set(world.fired()) == {"drift.yml"}
        watched.month(4, shift=0.6)
        watched.at("2026-05-01T05:17:00Z")
        before = world.forge.tip("main")
        world.dispatch("drift.yml")
        fired = world.fired()
        assert passed(fired["drift.yml"]) == {CHECK}
        assert "A new model is asked for" in fired["drift.yml"].summary
        assert "```mermaid" in fired["drift.yml"].summary
        assert watched.requests() == [REQUEST]
        commit = world.forge.api.get_commit(world.forge.tip("main"))
        assert [parent.sha for parent in commit.parents] == [before]
        assert (commit.commit.author.name, [file.filename for file in commit.files]) == (
            BOT.name,
            [f"{config.REQUESTS}/{REQUEST}.yaml"],
        )

        # The push of the workflow's token fires nothing: train.yml was dispatched, on the commit that asks.
        training = fired["train.yml"]
        assert (training.event, training.sha) == ("workflow_dispatch", commit.sha)
        assert passed(training) == {"Train, evaluate, propose"}
        (pull,) = world.forge.api.get_pulls()
        world.workshop.git("fetch", "-q", "origin")
        record = approvals.recorded(world.workshop.repository, f"origin/{pull.head.ref}", 2)
        assert record is not None
        assert record.requests == (REQUEST,)
        assert record.data.window == watched.request(REQUEST).window

        # Checked again, by window: the same verdict, no second request, no second training.
        world.dispatch("drift.yml", window="2026-04-01T00:00:00Z/2026-05-01T00:00:00Z")
        (again,) = world.runs()
        assert passed(again) == {CHECK}
        assert "It was asked for before" in again.summary
        assert watched.requests() == [REQUEST]

        # A check that cannot find out is red, and says why.
        key = "monitoring/fraudops-production/checks/20260401T000000Z_20260501T000000Z.json"
        client("s3").put_object(Bucket=watched.bucket, Key=key, Body=b"no JSON")
        world.dispatch("drift.yml")
        (broken,) = world.runs()
        assert failed(broken) == {CHECK}
        assert "delete it to have the window judged anew" in broken.log
