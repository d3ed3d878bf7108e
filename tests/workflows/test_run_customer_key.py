"""The real train.yml, deploy.yml and drift.yml on a platform that encrypts with a key of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from local_aws.authorization import usage

from ml import config
from ml.aws import platform_stack
from ml.aws.session import client
from ml.playground.endpoint_probe import latest_transactions
from tests.harness.platform import permissions
from tests.harness.platform.served import ENDPOINT
from tests.harness.platform.stacks import physical
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CAPTURED = datetime(2026, 3, 15, 12, tzinfo=UTC)


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Sets the clock of the product and of its commits."""
    for name in ("FRAUDOPS_NOW", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, moment)


def invoke(env: WorkflowEnvironment, bucket: str) -> None:
    """Sends transactions to the endpoint, which captures them in March 2026."""
    (manifest,) = [key for key in keys(bucket, "raw/") if key.endswith("transactions.parquet")]
    rows = latest_transactions(bucket, manifest.split("/")[1], 2_000)
    env.clouds.aws.clock.set(CAPTURED)
    try:
        client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, ContentType="application/json", Accept="application/json",
            Body=json.dumps({"instances": rows}).encode(),
        )  # fmt: skip
        assert env.clouds.aws.flush()
    finally:
        env.clouds.aws.clock.set(None)


def keys(bucket: str, prefix: str = "") -> Iterator[str]:
    """The keys of the lake's objects."""
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def notify(env: WorkflowEnvironment) -> None:
    """Makes a step of the pipeline fail, as an event, and an invocation of the deploy function."""
    platform = platform_stack.read()
    where = f"{platform.region}:{env.clouds.aws.account}"
    detail = {
        "pipelineArn": f"arn:aws:sagemaker:{where}:pipeline/{platform_stack.pipeline_name()}",
        "stepType": "Training",
        "currentStepStatus": "Failed",
    }
    event = {"Source": "aws.sagemaker", "DetailType": "SageMaker Model Building Pipeline Execution Step Status Change"}
    client("events").put_events(Entries=[{**event, "Detail": json.dumps(detail)}])
    client("lambda").invoke(FunctionName=platform.deploy_function, InvocationType="Event", Payload=b"{}")
    assert env.clouds.aws.flush()


def test_platform_with_a_key_trains_deploys_and_checks_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is denied, each statement about the key is needed, and every object of the lake has the key."""
    with environment.started(tmp_path) as env:
        at(monkeypatch, "2026-02-10T12:00:00Z")
        environment.equip(env, "Encryption=customer-key", "JobLogGroups=create", "EndpointLogGroup=create")
        environment.fill(env)
        platform = platform_stack.read()
        env.set_values(config.GATE, {"min_recall": 0.61}, "Ask for more")
        runs = env.runs()
        assert {(run.workflow, run.conclusion) for run in runs} == {("train", "success"), ("ci", "success")}
        env.switch("ci.yml", on=False)
        env.bot.merge(1)
        assert passed(env.fired()["deploy.yml"]) == {"Deploy"}
        invoke(env, platform.bucket)
        at(monkeypatch, "2026-04-01T05:17:00Z")
        env.dispatch("drift.yml")
        (run,) = env.runs()
        assert passed(run) == {"Check traffic and labels for drift"}
        assert list(keys(platform.bucket, f"monitoring/{ENDPOINT}/checks/20260301"))
        notify(env)
        aws, ids = env.clouds.aws, physical(env.clouds.aws, platform_stack.stack_name())
        assert aws.client("sqs").receive_message(QueueUrl=ids["DeadLetters"])["Messages"][0]["Body"] == "{}"
        heads = [client("s3").head_object(Bucket=platform.bucket, Key=key) for key in keys(platform.bucket)]
        assert {(head["ServerSideEncryption"], head["SSEKMSKeyId"]) for head in heads} == {
            ("aws:kms", platform.key_arn)
        }
    report = usage.report(aws.folder)
    about_keys = {each for each in permissions.unjustified(report) if each[2].startswith("kms:")}
    assert about_keys <= permissions.expected_of_others(keyed=[permissions.COUNT])
    assert permissions.contradicted(report) == set()
    assert permissions.redundant(report) == set()
