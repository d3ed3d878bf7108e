"""Two approvals and a rollback with their deployments, for the tests of verbs that read the past; not a test itself."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from ml import config
from ml.aws import deployment_records, training_sets
from ml.aws.import_manifest import Source
from ml.aws.labels import store
from ml.aws.lake import Lake
from ml.commands.rollback import rollback
from tests.harness.aws.deployments import finished
from tests.harness.github.bot_environment import BotEnvironment

BUCKET, REQUEST = "lake", "20260401T060000Z-concept-drift"
FIRST, SECOND, BACK = ("2026-03-01T06:00:00Z", "2026-04-01T06:00:00Z", "2026-04-10T06:00:00Z")


def land() -> str:
    """Imports two transactions with a label each and one that comes later; returns the digest of the training set."""
    times = pa.array([datetime(2026, 2, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC"))
    ids, source = pa.array(["a", "b"]), Source(name="february.parquet", sha256="0" * 64, bytes=1)
    labels = pa.table([ids, pa.array([0, 1], pa.int8()), times], schema=store.SCHEMA)
    rows = pa.table({"event_id": ids, "event_time": times, "Amount": pa.array([1.0, 2.0])})
    lake = Lake(BUCKET)
    lake.store(rows, labels, source=source, content_sha256="1" * 64, duplicates=0, quarantined=0)
    store.deliver(BUCKET, labels)
    return training_sets.choose(lake, None, None).sha256


def deployed(bot: BotEnvironment, approval: int, hour: str, **changes: Any) -> None:
    """Records a deployment of main's tip that ended at `hour`."""
    record = config.load_approval(bot.root, approval)
    fields: dict[str, Any] = {
        "commit": bot.workspace.repository.head(),
        "model_package_arn": record.model_package_arn,
        "artifact_sha256": record.artifact.sha256,
        "artifact_uri": record.artifact.uri,
    }
    deployment_records.record(BUCKET, dataclasses.replace(finished(approval, hour), **(fields | changes)))


def play(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> BotEnvironment:
    """Approval 1 served from 1 March on, 2 from 1 April, for a request, and 1 again from 10 April."""
    bot.env.data_sha256 = land()
    monkeypatch.setenv("FRAUDOPS_NOW", FIRST)
    bot.approve(bot.register(-1.0))
    deployed(bot, 1, "2026-03-01T07:00:00Z")
    bot.request(REQUEST)
    monkeypatch.setenv("FRAUDOPS_NOW", SECOND)
    bot.approve(bot.register(2.0, requests=REQUEST))
    deployed(bot, 2, "2026-04-01T07:00:00Z", status="failed", reason="it did not start")
    deployed(bot, 2, "2026-04-01T08:00:00Z")
    monkeypatch.setenv("FRAUDOPS_NOW", BACK)
    back = rollback(bot.root, propose=True).pull_request or 0
    bot.review(back)
    bot.merge(back)
    deployed(bot, 1, "2026-04-10T07:00:00Z")
    return bot
