"""Which comparison a promotion needs, and what is refused without it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml import config
from ml.aws.deployment_records import Deployment
from ml.aws.platform_stack import Platform
from ml.aws.shadow_store import ShadowStore
from ml.errors import Refused
from ml.release import shadow_evidence, shadow_verdict
from ml.release.shadow_evidence import ShadowEvidence
from ml.release.staged_deployment import StagedDeployment
from tests.harness.aws import moto_server
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import SERVING, record
from tests.release.shadow_documents import document

DEPLOYED = finished(7, "2026-03-01T12:00:00Z")
PLAIN = config.parse(SERVING, config.SERVING, config.ServingFile)
SHADOW = config.Shadow(hours=24, max_rows=1_000)


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def find(
    *, shadow: config.Shadow | None = SHADOW, current: int | None = 6, deployed: Deployment = DEPLOYED
) -> ShadowEvidence | None:
    """The evidence for approval 7, with this roll-out and approval in production and this deployment to staging."""
    rollout = PLAIN.rollout.model_copy(update={"traffic": "shadow", "shadow": shadow})
    production = PLAIN.model_copy(update={"rollout": rollout, "approval": current})
    where = Platform(
        region="eu-west-1",
        account="123456789012",
        bucket="lake",
        execution_role_arn="arn:role",
        package_group="group",
        deploy_function="function",
        topic_arn="arn:topic",
        pipeline="training",
    )
    staged = StagedDeployment(where=where, latest=deployed, since=datetime(2026, 3, 1, 12, tzinfo=UTC))
    return shadow_evidence.find(record(7), production, staged)


def store(**changes: Any) -> None:
    """Stores a comparison of approval 7."""
    made = document(**changes)
    made["decision"], made["reason"] = shadow_verdict.decide(made)
    ShadowStore("lake", DEPLOYED).write({key: value for key, value in made.items() if key != "artifact_sha256"})


def test_complete_comparison_is_found() -> None:
    """Whatever it says: a person decides."""
    store(errors={"400": 1})
    found = find()
    assert found is not None
    assert found.document["decision"] == "reject"
    assert found.uri.startswith("s3://lake/deploy/shadow/0007-")


def test_none_is_needed_without_a_shadow_or_a_model_to_compare_with() -> None:
    """A first model has no traffic."""
    assert find(shadow=None) is None
    assert find(current=None) is None


def test_comparison_that_compared_nothing_is_refused() -> None:
    """A challenger that answers everything with an error ends in a reason that more time does not change."""
    store(errors={"500": 800}, rows=0, at="2026-03-03T12:00:00Z", failing_since="2026-03-02T12:00:00Z")
    with pytest.raises(Refused, match=r"has compared nothing: 800 of 800 requests .* More time does not change that"):
        find()


def test_comparison_of_another_deployment_is_not_used() -> None:
    """The same archive in another configuration, e.g. another serving image."""
    store()
    with pytest.raises(Refused, match="0007 has not been compared yet as fraudops-production-0007-ba9876543210"):
        find(deployed=finished(7, "2026-03-02T12:00:00Z", endpoint_config="fraudops-production-0007-ba9876543210"))


def test_promotion_without_a_complete_comparison_is_refused() -> None:
    """None, one whose time is not over, one with another model, and one of less time."""
    with pytest.raises(Refused, match="approval 0007 has not been compared yet"):
        find()
    store(window=document()["window"] | {"over": False, "compared_hours": 3.0})
    with pytest.raises(Refused, match=r"not complete: 3\.0 of 24 hours .* over at 2026-03-02T12:00:00Z"):
        find()
    store(errors={"500": 1}, at="2026-03-09T12:00:00Z", failing_since="2026-03-09T12:00:00Z")
    with pytest.raises(Refused, match=r"again; requests with server errors are sent again until 2026-03-10T12:00:00Z$"):
        find()
    store(champion={"approval": 5, "artifact_sha256": "b" * 64})
    with pytest.raises(Refused, match="compares approval 0007 with approval 0005, and production serves 0006 now"):
        find()
    store()
    assert find() is not None
    with pytest.raises(Refused, match=r"is of 24 hours, and .* states 48"):
        find(shadow=config.Shadow(hours=48, max_rows=1_000))
