"""Step summaries of deployments and rollbacks."""

from __future__ import annotations

import pytest

from ml.release import step_summary
from ml.release.result import DeploymentResult
from ml.release.smoke_test import Smoke
from tests.harness.github.rendered_markdown import HOSTILE, assert_hostile_text_is_inert, render


def test_deployment_is_a_table() -> None:
    """It names what serves, the endpoint's smoke test, a warning about its canary, and what was superseded."""
    done = DeploymentResult(
        state="updated",
        commit="c" * 40,
        approval=7,
        model_package_arn="arn:7",
        artifact_sha256="a" * 64,
        endpoint="fraudops-production",
        endpoint_config="fraudops-production-0007-abc",
        superseded=("arn:6",),
        smoke=Smoke(rows=99, alerts=3, largest_difference=0.0),
        canary_warning="The last answers of the canary were not compared",
        history_uri="s3://lake/deploy/history/x.json",
        seconds=61.2,
    )
    html = render(step_summary.deployed(done, closed=(4,)))
    for part in (
        "Approval 0007 serves",
        "99 known transactions",
        "arn:6",
        "#4",
        "61 s",
        "history/x.json",
        "not compared",
        "<table>",
    ):
        assert part in html


def test_nothing_to_deploy_is_explained() -> None:
    """Without an approval the summary says that no model has been approved yet."""
    text = step_summary.deployed(DeploymentResult(state="nothing to deploy", commit="c" * 40))
    assert "no model has been approved yet" in text


@pytest.mark.parametrize(
    "text",
    [step_summary.not_deployed(7, HOSTILE, HOSTILE), step_summary.rollback(HOSTILE, 3, "http://git.invalid/3")],
    ids=["not-deployed", "rollback"],
)
def test_untrusted_text_is_inert(text: str) -> None:
    """It adds no element, link, image, mention or heading."""
    assert_hostile_text_is_inert(text)
