"""Step summaries and issue texts of training runs."""

from __future__ import annotations

import pytest

from ml.training import step_summary
from tests.harness.github.rendered_markdown import HOSTILE, assert_hostile_text_is_inert, render
from tests.training.gate_results import passed


def test_proposal_names_its_pull_request_and_its_evidence() -> None:
    """It links the pull request and shows the metrics, the package, the evaluation and the requests."""
    text = step_summary.proposed(
        number=12, url="http://git.invalid/pull/12", approval=7, outcome="opened", closed=(9, 10), found=passed()
    )
    html = render(text)
    assert '<a href="http://git.invalid/pull/12">#12</a> was opened' in html
    assert "It replaces #9, #10." in text
    for part in ("average precision", "model-package/fraudops-model/7", "s3://lake/evaluation.json", "data-drift"):
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        step_summary.training_failed(HOSTILE, HOSTILE),
        step_summary.not_proposed(HOSTILE, passed()),
        step_summary.gate_failed(
            passed(reason=HOSTILE, commit=HOSTILE), recorded="Recorded", issues=[(3, "http://git.invalid/3")]
        ),
        step_summary.gate_failure_evidence(
            passed(reason=HOSTILE, asked=HOSTILE, requests=(HOSTILE,)), "http://git.invalid/run"
        ),
    ],
    ids=["training-failed", "not-proposed", "gate-failed", "issue"],
)
def test_untrusted_text_is_inert(text: str) -> None:
    """It adds no element, link, image, mention or heading."""
    assert_hostile_text_is_inert(text)
