"""Sets the time, puts approved models into a repository, and sends traffic to what serves, for tests of workflows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ml.aws.session import client
from ml.playground.endpoint_probe import latest_transactions
from tests.harness.workflows.environment import WorkflowEnvironment


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Sets the clock of the product and of its commits."""
    for name in ("FRAUDOPS_NOW", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, moment)


def approve(env: WorkflowEnvironment, *intercepts: float) -> None:
    """Registers and approves a model of each intercept; the pointer names the last one. No workflow runs meanwhile."""
    for intercept in intercepts:
        env.bot.env.approve(env.bot.register(intercept))
    for file in ("ci.yml", "deploy.yml"):
        env.switch(file, on=False)
    env.bot.push()
    assert env.runs() == []
    for file in ("ci.yml", "deploy.yml"):
        env.switch(file, on=True)


def latest(bucket: str, count: int) -> list[dict[str, Any]]:
    """The lake's latest transactions."""
    prefix = client("s3").list_objects_v2(Bucket=bucket, Prefix="raw/")["Contents"][0]["Key"].split("/")[1]
    return latest_transactions(bucket, prefix, count)


def send(endpoint: str, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Sends transactions to the endpoint, which captures them; returns the versions of the models that answer."""
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps({"instances": [*rows]}).encode(),
    )
    predictions: list[dict[str, Any]] = json.loads(answer["Body"].read())["predictions"]
    assert len(predictions) == len(rows)
    return {prediction["model_version"] for prediction in predictions}
