"""A gate failure is handed over with the evidence of its issue; anything else in the document is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.errors import ConfigError
from ml.gitops import gate_lines
from ml.training import gate_failure, step_summary
from ml.training.gate_result import GateResult
from tests.report.evaluations import blind
from tests.training.gate_results import passed


def failed() -> GateResult:
    """A failed gate with figures of every form."""
    evaluation = {**blind()}
    evaluation["verdict"] = {
        "status": "failed",
        "reason": "Recall 0.5 < 0.6.",
        "checks": [{"name": "recall", "passed": False, "observed": 0.5, "limit": 0.6, "detail": "Recall 0.5 < 0.6."}],
    }
    return passed(
        verdict="failed",
        reason="Recall 0.5 < 0.6.",
        package_arn=None,
        version=None,
        asked="@a #1",
        evaluation=evaluation,
    )


def test_record_and_issue_have_the_same_evidence() -> None:
    """The text of the issue, and every field of the record, are those of the job that trained."""
    written = gate_failure.write(failed())
    found = gate_failure.read(written)
    assert step_summary.gate_failure_evidence(found, None) == step_summary.gate_failure_evidence(failed(), None)
    assert (found.verdict, found.kind, found.commit) == ("failed", failed().kind, failed().commit)
    assert found.requests == failed().requests
    assert (found.execution_arn, found.evaluation_uri) == (failed().execution_arn, failed().evaluation_uri)
    assert len(written) < 20_000


def test_checks_have_the_marks_of_the_pull_request() -> None:
    """A check that shows a loss, or cannot tell, is not marked as passed in the issue either."""
    result = failed()
    checks = [
        *result.evaluation["verdict"]["checks"],
        {"name": "champion_precision", "passed": True, "detail": "Precision is worse.", "outcome": "worse"},
        {"name": "champion_recall_low", "passed": True, "detail": "Low.", "outcome": "cannot tell"},
    ]
    evaluation = {
        **result.evaluation,
        "verdict": result.evaluation["verdict"] | {"checks": checks},
        "champion": {"status": "compared", "slices": [{"name": "low", "positives": 3}]},
    }
    result = replace(result, evaluation=evaluation)
    found = gate_failure.read(gate_failure.write(result)).evaluation
    assert gate_lines.lines(found) == gate_lines.lines(evaluation)
    assert [line[:4] for line in gate_lines.lines(found)] == ["- ❌ ", "- ⚠️", "- ❓ "]
    assert "low (3 frauds)" in gate_lines.lines(found)[2]


def test_question_of_the_budget_reaches_the_issue() -> None:
    """It stands before the checks, with the cost of other budgets and the files that answer it."""
    result = failed()
    assert "max_false_positive_rate" not in step_summary.gate_failure_evidence(result, None)
    asked = "The alert budget no longer suffices: a person must decide."
    budget = {**result.evaluation["budget"], "shortfall": asked, "exceeded": True}
    result = replace(result, evaluation={**result.evaluation, "budget": budget})
    text = step_summary.gate_failure_evidence(gate_failure.read(gate_failure.write(result)), None)
    assert text == step_summary.gate_failure_evidence(result, None)
    assert gate_failure.read(gate_failure.write(result)).evaluation["budget"]["exceeded"] is True
    assert text.index(f"**{asked}**") < text.index("| alerts on at most |") < text.index("`max_false_positive_rate`")
    assert "\n\nAlerts a day are of labelled transactions.\n\n" in text
    short = replace(result, evaluation={**result.evaluation, "budget": {**budget, "days": 1.0}})
    handed = gate_failure.read(gate_failure.write(short))
    assert step_summary.gate_failure_evidence(short, None) == step_summary.gate_failure_evidence(handed, None)
    assert asked in step_summary.gate_failed(result, recorded="Recorded", issues=[(1, "https://github.test/1")])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("commit: b", "commit: ../../ml/", r"commit must match"),
        ("execution/abc", "execution/../../main", r"execution_arn must match"),
        ("- 20260301T060000Z-data-drift", "- ../approvals/0001", r"requests\.0 must match"),
        ("reason: Recall", "path: ml/cli\nreason: Recall", r"path is not a known key"),
        ("passed: false", "passed: maybe", r"checks\.0\.passed"),
        ("alerts: 40", "alerts: many", r"budget\.options\.0\.alerts must be"),
        ("value: null", "value: high", r"metrics\.\w+\.value must be a number"),
    ],
)
def test_hostile_document_is_refused(old: str, new: str, says: str) -> None:
    """The error names the field; no path and no branch can be made of it."""
    text = gate_failure.write(failed())
    assert old in text
    with pytest.raises(ConfigError, match=says):
        gate_failure.read(text.replace(old, new, 1))
