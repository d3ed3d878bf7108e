"""The runs of a workflow, as GitHub lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ml.gitops import workflow_runs
from tests.harness.github.scripted import Script, answer, serving

PATH = "/actions/workflows/deploy.yml/runs"


def run(number: int, status: str, conclusion: str | None) -> dict[str, Any]:
    """A run as GitHub describes it."""
    return {
        "id": number,
        "html_url": f"https://git.invalid/o/r/actions/runs/{number}",
        "display_title": "deploy: try it",
        "status": status,
        "conclusion": conclusion,
        "created_at": "2026-05-02T05:00:00Z",
        "updated_at": "2026-05-02T05:10:00Z",
    }


def test_runs_are_read_in_their_order() -> None:
    """One that waits for its reviewer has not ended; a cancelled one has."""
    listed = {"total_count": 2, "workflow_runs": [run(2, "waiting", None), run(1, "completed", "cancelled")]}
    script = Script().on("GET", PATH, answer(listed))
    with serving(script):
        waiting, cancelled = workflow_runs.recent(script.github(), "deploy.yml", branch="main")
    assert (waiting.id, waiting.ended, waiting.conclusion) == (2, False, "")
    assert (cancelled.ended, cancelled.conclusion, cancelled.title) == (True, "cancelled", "deploy: try it")
    assert cancelled.updated == datetime(2026, 5, 2, 5, 10, tzinfo=UTC)


def test_unknown_workflow_has_no_runs() -> None:
    """GitHub answers 404."""
    script = Script()
    with serving(script):
        assert workflow_runs.recent(script.github(), "deploy.yml", branch="main") == []
