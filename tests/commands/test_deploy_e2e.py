"""From merge to serving model on the AWS emulator, with the real template, rule, function and endpoint.

Only the training run is left out: packages are registered as the pipeline registers them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import deployment_records, registry
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.commands.rollback import rollback
from ml.errors import DeploymentFailed, Refused
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform

pytestmark = pytest.mark.slow


@pytest.fixture
def env(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A repository, and the platform on an AWS emulator of its own, which delivers no event twice unless a test asks.

    The second delivery may be handled before the first has recorded its outcome, which decides what `deploy` returns.
    """
    workspace = served.repository(tmp_path / "repository")
    with LocalAws(tmp_path / "cloud", **{"double_every": 0} | getattr(request, "param", {})) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root).state == "created"
        yield ServedPlatform(workspace=workspace, cloud=cloud)


def edit_package(arn: str, **changes: Any) -> None:
    """Edits a package after its approval, as is possible in the console."""
    specification = client("sagemaker").describe_model_package(ModelPackageName=arn)["InferenceSpecification"]
    specification["Containers"][0].update(changes)
    client("sagemaker").update_model_package(ModelPackageArn=arn, InferenceSpecification=specification)


def test_model_is_deployed_replaced_and_rolled_back(env: ServedPlatform) -> None:
    """Two deployments and a rollback change the endpoint's answers; exactly one package is Approved."""
    first = env.serve(-1.0)
    assert (first.state, first.approval) == ("created", 1)
    before = env.answers()
    assert before["model_version"] == "0001"
    assert env.serve(2.0).state == "updated"
    assert env.answers()["model_version"] == "0002"
    assert env.answers()["score"] != before["score"]
    assert env.statuses() == {1: "Rejected", 2: "Approved"}
    rollback(env.root, merge=True, approver=PERSON)
    assert deploy(env.root).approval == 1
    assert env.answers() == before
    assert env.statuses() == {1: "Approved", 2: "Rejected"}
    history = deployment_records.history(env.where.bucket)
    assert [(item.approval, item.status) for item in history] == [(1, "succeeded"), (2, "succeeded"), (1, "succeeded")]


@pytest.mark.parametrize("env", [{"double_every": 1}], indirect=True)
def test_events_that_are_delivered_twice_deploy_once(env: ServedPlatform) -> None:
    """Each approval's event comes twice: the right model serves, and one package is Approved."""
    assert env.serve(-1.0).approval == 1
    before = env.answers()
    assert env.serve(2.0).approval == 2
    assert env.cloud is not None
    env.cloud.settle()
    after = env.answers()
    assert (before["model_version"], after["model_version"]) == ("0001", "0002")
    assert env.statuses() == {1: "Rejected", 2: "Approved"}
    sagemaker = client("sagemaker")
    serving = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert serving["EndpointStatus"] == "InService"
    assert serving["EndpointConfigName"].startswith(f"{ENDPOINT}-0002-")


def test_deploying_again_changes_nothing_and_verifies_all(env: ServedPlatform) -> None:
    """A second deployment runs the smoke test and leaves the endpoint unchanged."""
    env.serve(-1.0)
    before = env.endpoint()
    again = deploy(env.root)
    assert (again.state, again.smoke is not None) == ("unchanged", True)
    assert env.endpoint() == before


@pytest.mark.parametrize(
    ("old", "new"), [("sampling_percentage: 100", "sampling_percentage: 20"), ("ml.m5.large", "ml.m5.xlarge")]
)
def test_changed_setting_deploys(env: ServedPlatform, old: str, new: str) -> None:
    """A change of capture rate or instance updates the endpoint; the model stays."""
    env.serve(-1.0)
    before = env.endpoint()
    text = env.workspace.text(config.SERVING)
    assert old in text
    env.workspace.write({config.SERVING: text.replace(old, new)}, "Change a setting")
    assert deploy(env.root).state == "updated"
    after = env.endpoint()
    assert after is not None
    assert after != before
    assert env.answers()["model_version"] == "0001"


def test_package_approved_in_the_registry_is_refused(env: ServedPlatform) -> None:
    """The function refuses a package that Git never approved and a former one; the endpoint is unchanged."""
    env.serve(-1.0)
    env.serve(2.0)
    stranger, before = env.register(5.0), env.endpoint()
    former = registry.packages(env.where.package_group)[0].arn
    for arn in (stranger, former):
        registry.set_status(arn, registry.APPROVED, "by hand")
    refused = {item["model_package_arn"]: item["code"] for item in env.outcomes() if item["outcome"] == "refused"}
    assert refused == {stranger: "not-desired", former: "not-desired"}
    assert env.endpoint() == before
    assert env.answers()["model_version"] == "0002"


def test_package_approved_without_an_order_is_refused(env: ServedPlatform) -> None:
    """No endpoint is created."""
    registry.set_status(env.register(-1.0), registry.APPROVED, "by hand")
    assert {item["code"] for item in env.outcomes()} == {"nothing-desired"}
    assert env.endpoint() is None


def test_replaced_artifact_is_refused_by_verb_and_lambda(env: ServedPlatform) -> None:
    """`deploy` refuses it before the order, and the function if it was replaced after the order."""
    env.serve(-1.0)
    before, package = env.endpoint(), registry.packages(env.where.package_group)[0]
    bucket, _, key = package.model_data_url.removeprefix("s3://").partition("/")
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"another model")
    with pytest.raises(Refused, match="Someone has replaced it"):
        deploy(env.root)
    for status in (registry.PENDING, registry.APPROVED):
        registry.set_status(package.arn, status, "by hand")
    assert "digest" in {item["code"] for item in env.outcomes()}
    assert env.endpoint() == before
    assert env.answers()["model_version"] == "0001"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ModelDataUrl": "s3://elsewhere/model.tar.gz"}, "points at s3://elsewhere"),
        ({"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/evil:1"}, r"image .*evil:1"),
        ({"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://evil/code.tar.gz"}}, "environment"),
    ],
)
def test_package_that_was_edited_is_refused(env: ServedPlatform, change: dict[str, Any], reason: str) -> None:
    """UpdateModelPackage can change an approved package's container; `deploy` then approves nothing."""
    arn = env.register(-1.0)
    env.approve(arn)
    edit_package(arn, **change)
    with pytest.raises(Refused, match=f"{reason}.*changed after its approval"):
        deploy(env.root)
    assert env.statuses() == {1: "PendingManualApproval"}
    assert env.endpoint() is None


def test_failed_model_leaves_the_former_serving(env: ServedPlatform) -> None:
    """If the model's code cannot be loaded, the error names the model that serves, and the failure is recorded."""
    env.serve(-1.0)
    before = env.answers()
    env.approve(env.register(2.0, broken_code=True))
    with pytest.raises(DeploymentFailed, match=r"0002 was not deployed: .*InService on fraudops-production-0001-"):
        deploy(env.root)
    assert env.answers() == before
    last = deployment_records.history(env.where.bucket)[-1]
    assert (last.approval, last.status, last.smoke) == (2, "failed", None)


def test_bootstrap_is_idempotent(env: ServedPlatform) -> None:
    """The second run reports "unchanged"."""
    assert bootstrap(env.root).state == "unchanged"


def test_root_user_may_not_bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before any bucket is created."""
    workspace = served.repository(tmp_path / "repository")
    with LocalAws(tmp_path / "cloud", caller_arn="arn:aws:iam::123456789012:root") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Refused, match="root user"):
            bootstrap(workspace.root)
        assert client("s3").list_buckets()["Buckets"] == []


def test_smoke_requests_have_an_id_prefix(env: ServedPlatform) -> None:
    """Captured smoke-test requests have inference ids that begin with smoke-."""
    env.serve(-1.0)
    assert env.cloud is not None
    assert env.cloud.flush()
    bucket = env.where.bucket
    listed = client("s3").list_objects_v2(Bucket=bucket, Prefix=f"capture/{ENDPOINT}/")["Contents"]
    lines = [
        json.loads(line)
        for item in listed
        for line in client("s3").get_object(Bucket=bucket, Key=item["Key"])["Body"].read().splitlines()
    ]
    assert lines
    assert all(line["eventMetadata"]["inferenceId"].startswith("smoke-") for line in lines)
