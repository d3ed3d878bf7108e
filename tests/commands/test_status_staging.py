"""`fraudops status --staging`: staging's pointer, endpoint, group and stacks against Git, on the AWS emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml.audit.disagreement import Disagreement
from ml.aws import registry, s3_objects
from ml.aws.session import client
from ml.cli import app
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.commands.promote import promote
from ml.commands.status import Status, status
from ml.errors import Refused, UsageError
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served, stages
from tests.harness.platform.stages import STAGED, Stages

pytestmark = pytest.mark.slow


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    """Staging serves approval 2 and production 1."""
    with stages.platform(tmp_path, monkeypatch) as found:
        found.approve(found.register(-2.0))
        deploy(found.root, staging=True)
        promote(found.root, merge=True, approver=PERSON)
        deploy(found.root)
        found.approve(found.register(-1.0))
        deploy(found.root, staging=True)
        yield found


def compare(env: Stages) -> Status:
    """The status of staging."""
    return status(env.root, staging=True)


def differing(env: Stages) -> dict[str, str]:
    """The remedy of each subject that differs."""
    return {item.subject: str(item.remedy) for item in compare(env).comparisons if item.state == "differs"}


def test_served_model_of_staging_is_equal_to_git(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a role of its workflow; nothing of production's is compared, and no schedule."""
    found = compare(env)
    assert (found.differs, found.error) == (0, None), found.text
    details = {item.subject: item.detail for item in found.comparisons}
    assert details["package"] == (
        "version 2 alone is Approved in staging-fraudops-model, as the record of approval 0002 says"
    )
    assert details["endpoint"].startswith(f"{STAGED} is InService")
    assert details["stack staging-fraudops-github"] == "not made: no workflow has a role for staging"
    assert {"alarm EndpointErrorsAlarm", "stack staging-fraudops", "policy staging-fraudops DeployRole"} <= set(details)
    assert not {"drift schedule", "stack fraudops", "policy fraudops DeployRole"} & set(details)
    bootstrap(env.root, repository="acme/fraud")
    with monkeypatch.context() as patch:
        patch.setenv("FRAUDOPS_STACK", "staging-fraudops")
        bootstrap(env.root, staging=True, repository="acme/fraud")
    found = compare(env)
    assert (found.differs, found.error) == (0, None), found.text
    details = {item.subject: item.detail for item in found.comparisons}
    assert details["template staging-fraudops-github"] == "equal to infra/github-staging.yaml"
    assert "the template's 1 inline" in details["policy staging-fraudops-github StagingRole"]


def test_changes_by_hand_in_staging_are_named(env: Stages) -> None:
    """With what puts them back; production's status does not see them."""
    (approved,) = registry.packages(env.staging.package_group, status=registry.APPROVED)
    sagemaker = client("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=STAGED, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 0.5}]
    )
    sagemaker.update_model_package(ModelPackageArn=approved.arn, ModelApprovalStatus="Rejected")
    order = json.loads(s3_objects.read(f"s3://{env.staging.bucket}/deploy/desired.json"))
    client("s3").put_object(
        Bucket=env.staging.bucket, Key="deploy/desired.json", Body=json.dumps(order | {"approval": 1}).encode()
    )
    assert env.cloud is not None
    assert env.cloud.flush()
    wanted = dict.fromkeys(("package", "order", "variant"), "deploy-staging.yml")
    assert differing(env) == wanted
    assert isinstance(compare(env).error, Disagreement)
    text = next(item.detail for item in compare(env).comparisons if item.subject == "package")
    assert "staging.yaml names 0002; run gh workflow run deploy-staging.yml, or `fraudops deploy --staging`" in text
    own = {item.subject for item in status(env.root).comparisons if item.state == "differs"}
    assert not own & set(wanted)
    deploy(env.root, staging=True)
    assert differing(env) == {}
    sagemaker.update_model_package(ModelPackageArn=approved.arn, ModelApprovalStatus="Approved")
    s3_objects.write(approved.model_data_url, b"another", "application/gzip")
    assert differing(env) == {"package": "person"}


def test_status_of_staging_needs_a_staging(tmp_path: Path) -> None:
    """And hands nothing over, because only production is put back by itself."""
    workspace = served.repository(tmp_path / "repository")
    with pytest.raises(Refused, match="there is no staging to compare"):
        status(workspace.root, staging=True)
    failed = CliRunner().invoke(app, ["status", "--staging", "--hand-over", "--repo", str(workspace.root)])
    assert isinstance(failed.exception, UsageError)
