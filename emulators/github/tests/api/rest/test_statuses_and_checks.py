"""Commit statuses and check runs over REST."""

from __future__ import annotations

from typing import Any

from rest_calls import refusal


def test_combined_status_uses_the_latest_of_each_context(emulator: Any, clone: Any) -> None:
    """All contexts must be successful; one failure makes the combined status a failure."""
    api = emulator.api()
    commit = api.get_commit("main")
    assert commit.get_combined_status().state == "pending"
    commit.create_status("pending", "https://example.invalid/run", "Training", "acme/training")
    commit.create_status("success", context="acme/training")
    assert commit.get_combined_status().state == "success"
    commit.create_status("error", context="other")
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("failure", 2)
    assert commit.get_statuses().totalCount == 3
    refusal(lambda: commit.create_status("great"), 422)
    refusal(lambda: commit.create_status("success", description="x" * 141), 422)


def test_check_runs_need_an_app(emulator: Any, clone: Any) -> None:
    """A user cannot create one; an App creates, completes and lists it."""
    sha = emulator.api().get_branch("main").commit.sha
    refusal(lambda: emulator.api().create_check_run("ci", sha), 403)
    api = emulator.api(emulator.workflow_token(checks="write"))
    run = api.create_check_run("ci", sha, status="in_progress")
    run.edit(conclusion="success", output={"title": "Fine", "summary": "All."})
    found = api.get_commit(sha).get_check_runs(check_name="ci")
    assert [(item.status, item.conclusion, item.output.title) for item in found] == [("completed", "success", "Fine")]
