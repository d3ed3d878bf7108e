"""Schedules of workflows on the emulators, which start by themselves where `fraudops local up` runs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml import clock
from ml.gitops.repository import Repository
from ml.playground.emulators import Emulators
from tests.harness.git.repositories import GitWorkspace
from tests.waiting import wait_until

NAME = "acme/ticking"
WORKFLOW = """name: tick
on: {schedule: [{cron: '* * * * *'}]}
permissions: {}
jobs: {tick: {runs-on: ubuntu-latest, steps: [{run: 'echo "due ${{ github.event.schedule }}"'}]}}
"""


def test_due_workflow_starts_without_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands just before a minute until the repository exists, and then passes that minute."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    moments = [minute - timedelta(milliseconds=100)]
    monkeypatch.setattr(clock, "now", lambda: moments[-1])
    workspace = GitWorkspace(root=tmp_path / "checkout", repository=Repository(tmp_path / "checkout"))
    workspace.root.mkdir()
    workspace.git("init", "-q", "-b", "main")
    workspace.write({".github/workflows/tick.yml": WORKFLOW}, "Add a schedule")
    with Emulators(tmp_path / "emulators", schedules=True) as running:
        running.github.create_repository(NAME, seed=workspace.root)
        assert running.actions.runs(NAME) == []
        moments.append(minute)
        wait_until(lambda: running.actions.runs(NAME), attempts=6000)
        running.actions.wait(30)
        runs = running.actions.runs(NAME)
        assert {run.event for run in runs} == {"schedule"}
        assert "due * * * * *" in runs[-1].log
