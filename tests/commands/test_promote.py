"""From an approval to staging and from there to production, on the AWS emulator with a stack for each stage.

Only the training run is left out: packages are registered as the pipeline registers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import deployment_records, registry, s3_objects
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.commands.history import history
from ml.commands.promote import promote
from ml.commands.rollback import rollback
from ml.commands.validate import validate
from ml.errors import Refused, UsageError
from tests.harness.git.repositories import PERSON
from tests.harness.platform import stages
from tests.harness.platform.served import ENDPOINT
from tests.harness.platform.stages import STAGED, Stages

pytestmark = pytest.mark.slow


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    """A repository with serving/staging.yaml, and a stack for each stage on an AWS emulator of its own."""
    with stages.platform(tmp_path, monkeypatch) as found:
        yield found


def registered(env: Stages, sha256: str) -> dict[str, Any]:
    """The record of approval 1 as far as the copy in staging must agree with it."""
    record = config.load_approval(env.root, 1)
    assert record.artifact.sha256 == sha256
    return {"evaluation_sha256": record.evaluation.sha256, "commit": record.commit, "data_sha256": record.data.sha256}


def test_model_goes_to_staging_then_to_production_with_the_same_digest(env: Stages) -> None:
    """The approval moves staging's pointer only; the promotion moves production's; each group has one Approved."""
    env.approve(env.register(-1.0))
    assert env.pointers() == (1, None)
    assert deploy(env.root).state == "nothing to deploy"
    staged = deploy(env.root, staging=True)
    assert (staged.state, staged.endpoint, staged.approval) == ("created", STAGED, 1)
    assert staged.model_package_arn is not None
    assert staged.artifact_sha256 is not None
    digest = staged.artifact_sha256
    assert env.versions(STAGED) == "0001"
    assert env.approved() == ([digest], [])
    copy = registry.package(staged.model_package_arn)
    assert copy.model_data_url.startswith(f"s3://{env.staging.bucket}/")
    assert registered(env, digest).items() <= copy.metadata.items()
    assert copy.metadata["copied_from"] == config.load_approval(env.root, 1).model_package_arn

    promoted = promote(env.root, merge=True, approver=PERSON)
    assert (promoted.approval, promoted.artifact_sha256, promoted.current) == (1, digest, None)
    validate(env.root, registry=True)
    assert env.pointers() == (1, 1)
    assert env.approved() == ([digest], [])
    assert deploy(env.root).approval == 1
    assert env.approved() == ([digest], [digest])
    assert env.digest_served(ENDPOINT) == env.digest_served(STAGED) == digest
    found = history(env.root)
    wrong = [text for turn in found.turns for text in turn.disagreements if "/training-sets/" not in text]
    assert ([turn.approval for turn in found.turns], wrong, found.disagreements) == ([1], [], ())
    assert client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_second_model_waits_in_staging_and_production_rolls_back(env: Stages) -> None:
    """Production serves the first until the promotion; a rollback of its pointer leaves staging as it is."""
    env.approve(env.register(-1.0))
    deploy(env.root, staging=True)
    promote(env.root, merge=True, approver=PERSON)
    deploy(env.root)
    env.approve(env.register(2.0))
    deploy(env.root, staging=True)
    assert (env.versions(STAGED), env.versions(ENDPOINT)) == ("0002", "0001")
    assert env.pointers() == (2, 1)
    assert promote(env.root, merge=True, approver=PERSON).current == 1
    deploy(env.root)
    assert (env.versions(STAGED), env.versions(ENDPOINT)) == ("0002", "0002")
    assert rollback(env.root, merge=True, approver=PERSON).target == 1
    deploy(env.root)
    assert (env.versions(STAGED), env.versions(ENDPOINT)) == ("0002", "0001")
    assert env.pointers() == (2, 1)
    assert [len(each) for each in env.approved()] == [1, 1]
    with pytest.raises(Refused, match="has served in production before"):
        promote(env.root)


def test_only_what_staging_serves_is_promoted(env: Stages) -> None:
    """Not before its deployment to staging, and not if somebody put another configuration there."""
    env.approve(env.register(-1.0))
    with pytest.raises(Refused, match="the latest deployment there is none"):
        promote(env.root)
    deploy(env.root, staging=True)
    client("sagemaker").delete_endpoint(EndpointName=STAGED)
    assert env.cloud is not None
    assert env.cloud.flush()
    with pytest.raises(Refused, match="not what was deployed last"):
        promote(env.root)


def test_deploying_staging_again_registers_no_second_copy(env: Stages) -> None:
    """The copy is found by approval and digest; one whose archive was replaced is refused."""
    env.approve(env.register(-1.0))
    first = deploy(env.root, staging=True)
    again = deploy(env.root, staging=True)
    assert (again.state, again.model_package_arn) == ("unchanged", first.model_package_arn)
    (copy,) = registry.packages(env.staging.package_group)
    s3_objects.write(copy.model_data_url, b"another model", "application/gzip")
    with pytest.raises(Refused, match="Someone has replaced it"):
        deploy(env.root, staging=True)
    history = deployment_records.history(env.staging.bucket)
    assert [item.status for item in history] == ["succeeded", "succeeded"]
    assert deployment_records.history(env.where.bucket) == []


def test_stack_of_staging_needs_its_name(env: Stages) -> None:
    """`--staging` with the platform's own stack would move production to staging's endpoint."""
    with pytest.raises(UsageError, match="set FRAUDOPS_STACK to staging-fraudops"):
        bootstrap(env.root, staging=True)
