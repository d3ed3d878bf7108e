"""The body of a promotion's pull request."""

from __future__ import annotations

from ml import config
from ml.aws.deployment_records import Deployment
from ml.gitops.promotions import PromotionBranch
from ml.release import promotion_page
from tests.harness.git.repositories import SERVING, record


def deployment(number: int) -> Deployment:
    """A deployment of approval `number` to staging that succeeded."""
    return Deployment(
        approval=number,
        model_package_arn="arn:staging/7",
        artifact_sha256=record(number).artifact.sha256,
        artifact_uri="s3://staging/model.tar.gz",
        endpoint="fraudops-staging",
        endpoint_config="fraudops-staging-0007-0",
        status="succeeded",
        reason="",
        commit="b" * 40,
        desired="1",
        smoke={"rows": 12, "alerts": 3},
        started="2026-03-01T06:00:00Z",
        finished="2026-03-01T06:10:00Z",
    )


def body(current: int | None) -> str:
    """The body of the promotion of approval 7; production serves `current`."""
    production = config.parse(SERVING.replace("null", str(current or "null")), config.SERVING, config.ServingFile)
    fleet = production.instance.model_copy(update={"type": "ml.t3.medium"})
    staging = production.model_copy(update={"endpoint": "fraudops-staging", "approval": 7, "instance": fleet})
    prepared = PromotionBranch(
        record=record(7), current=current, branch="promote/0007", commit="c" * 40, state="created"
    )
    champion = record(current) if current is not None else None
    return promotion_page.body(prepared, champion, deployment(7), staging, production)


def test_page_names_digest_staging_figures_and_settings() -> None:
    """What moves, where it served, both models' figures, and which settings staging does not have."""
    text = body(6)
    assert "Merging this serves approval 0007 in production in place of approval 0006" in text
    assert f"`sha256:{record(7).artifact.sha256}`" in text
    assert "12 known transactions scored" in text
    assert "| now: 0006 | then: 0007 |" in text
    assert "| `instance.type` | `ml.t3.medium` | `ml.m5.large` |" in text
    assert "`endpoint`" not in text.partition("## Settings")[2]
    assert "A rollback serves approval 0006 again" in text


def test_first_promotion_has_no_champion() -> None:
    """Nothing to compare with, and nothing to go back to."""
    text = body(None)
    assert "as its first model" in text
    assert "## Its figures" in text
    assert "A rollback is not possible yet" in text
