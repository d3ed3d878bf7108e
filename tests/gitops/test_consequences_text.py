"""The parts of an approval's pull request that say what merging does, with and without a staging."""

from __future__ import annotations

from ml import config
from ml.gitops import consequences_text
from tests.harness.git.repositories import SERVING, record


def test_page_says_that_production_stays() -> None:
    """With the endpoints of both stages, and how the model gets to production."""
    production = config.parse(SERVING.replace("null", "6"), config.SERVING, config.ServingFile)
    staging = production.model_copy(update={"endpoint": "fraudops-staging", "approval": None})
    summary = consequences_text.summary(record(7), production, staging)
    assert "in staging, on `fraudops-staging`. Production stays as it is" in summary
    text = consequences_text.sections(record(7), production, staging)
    assert "which serves 0006 until then" in text
    assert "`fraudops promote --propose`" in text
    assert "Revert only the commit `Serve approval 0007 in staging`" in text
    assert "which serves nothing until then" in consequences_text.sections(record(7), staging, staging)


def test_page_without_a_staging_names_production() -> None:
    """What is replaced, and that deploy.yml does it."""
    production = config.parse(SERVING.replace("null", "6"), config.SERVING, config.ServingFile)
    summary = consequences_text.summary(record(7), production, None)
    assert summary == "**Merging this serves approval 0007 on `fraudops-production` in place of approval 0006.**"
    assert "1. `deploy.yml` verifies the package" in consequences_text.sections(record(7), production, None)
