"""What a step's summary says: everything that the next person needs, and nothing that it was told to do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ml.errors import ConfigError
from ml.release import step_summary as release_summary
from ml.release.result import DeploymentResult
from ml.release.smoke_test import Smoke
from ml.training import step_summary
from ml.training.gate_result import GateResult
from tests.report.evaluations import evaluation

RENDERER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
HOSTILE = "<script>x</script> @alice fixes #1 `$(touch x)` [a](http://x.invalid) | ![b](http://y.invalid)\n# big"


def outcome(**changes: object) -> GateResult:
    """A run that passed."""
    made = GateResult(
        verdict="passed",
        reason="Recall 0.90 > 0.60.",
        execution_arn="arn:aws:sagemaker:eu-west-1:123456789012:pipeline/fraudops-training/execution/abc",
        package_arn="arn:aws:sagemaker:eu-west-1:123456789012:model-package/fraudops-model/7",
        version=7,
        commit="b" * 40,
        requests=("20260301T060000Z-data-drift",),
        asked="",
        evaluation=json.loads(json.dumps(evaluation())),
        evaluation_uri="s3://lake/evaluation.json",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of a test


def rendered(markdown: str) -> str:
    """As HTML."""
    return str(RENDERER.render(markdown))


def test_proposal_names_its_pull_request_and_its_evidence() -> None:
    """Where to click, what was measured, what it rests on."""
    text = step_summary.proposed(
        number=12, url="http://git.invalid/pull/12", approval=7, outcome="opened", closed=(9, 10), found=outcome()
    )
    html = rendered(text)
    assert '<a href="http://git.invalid/pull/12">#12</a> was opened' in html
    assert "It replaces #9, #10." in text
    for part in ("average precision", "model-package/fraudops-model/7", "s3://lake/evaluation.json", "data-drift"):
        assert part in html


def test_deployment_is_a_table() -> None:
    """What serves, where, how it was tried, what it superseded."""
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
        history_uri="s3://lake/deploy/history/x.json",
        seconds=61.2,
    )
    html = rendered(release_summary.deployed(done, closed=(4,)))
    for part in ("Approval 0007 serves", "99 known transactions", "arn:6", "#4", "61 s", "history/x.json", "<table>"):
        assert part in html
    assert "no model has been approved yet" in release_summary.deployed(
        DeploymentResult(state="nothing to deploy", commit="c" * 40)
    )


@pytest.mark.parametrize(
    "text",
    [
        step_summary.training_failed(HOSTILE, HOSTILE),
        release_summary.not_deployed(7, HOSTILE, HOSTILE),
        step_summary.not_proposed(HOSTILE, outcome()),
        step_summary.gate_failed(
            outcome(reason=HOSTILE, commit=HOSTILE), recorded="Recorded", issues=[(3, "http://git.invalid/3")]
        ),
        step_summary.gate_failure_evidence(
            outcome(reason=HOSTILE, asked=HOSTILE, requests=(HOSTILE,)), "http://git.invalid/run"
        ),
        release_summary.rollback(HOSTILE, 3, "http://git.invalid/3"),
    ],
    ids=["training-failed", "not-deployed", "not-proposed", "failed", "issue", "rollback"],
)
def test_words_of_others_stay_words(text: str) -> None:
    """No element, link, picture, mention or heading of theirs comes to be."""
    html = rendered(text)
    for forbidden in ("<script", 'href="http://x.invalid"', "<img", "<h1>"):
        assert forbidden not in html
    assert "@alice" not in re.sub(r"<code>.*?</code>", "", html)


@given(reason=st.text(max_size=200), asked=st.text(max_size=200))
def test_any_words_come_back_from_the_file(tmp_path_factory: pytest.TempPathFactory, reason: str, asked: str) -> None:
    """The outcome survives its file, whatever people wrote."""
    reason, asked = (text.encode("utf-8", "ignore").decode() for text in (reason, asked))
    file = tmp_path_factory.mktemp("outcome") / "outcome.json"
    written = outcome(reason=reason, asked=asked)
    written.write(file)
    assert GateResult.read(file) == written
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "not json"])
def test_file_of_another_hand_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file and who writes it."""
    file = tmp_path / "outcome.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"outcome\.json: must be what"):
        GateResult.read(file)
