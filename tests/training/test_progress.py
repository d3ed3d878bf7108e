"""Progress of an execution: lines in a log, or a live display on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from ml import console
from ml.aws.executions import Execution, Step
from ml.training.progress import Steps

START = datetime(2026, 1, 1, tzinfo=UTC)


def step(name: str, status: str, *, seconds: float | None = None, cached: bool = False) -> Step:
    """A step in a given state."""
    ended = None if seconds is None else START + timedelta(seconds=seconds)
    return Step(
        name=name,
        status=status,
        started=START,
        ended=ended,
        reason="",
        job_arn="",
        package_arn="",
        message="",
        cached=cached,
    )


def execution(*steps: Step) -> Execution:
    """An execution with these steps."""
    return Execution(arn="arn", status="Executing", reason="", modified=START, steps=steps)


def shown(monkeypatch: pytest.MonkeyPatch, *states: Execution, terminal: bool) -> str:
    """The output for an execution that goes through `states`."""
    written = io.StringIO()
    monkeypatch.setattr(
        console, "err", Console(file=written, force_terminal=terminal, width=100, soft_wrap=True, highlight=False)
    )
    with Steps() as steps:
        for state in states:
            steps(state)
    return written.getvalue()


def test_log_gets_a_line_when_a_step_begins_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is one line with its duration, however often it is polled; a cached step names its source."""
    text = shown(
        monkeypatch,
        execution(step("Prepare", "Executing")),
        execution(step("Prepare", "Executing")),
        execution(step("Prepare", "Succeeded", seconds=12.34), step("Train", "Executing")),
        execution(step("Prepare", "Succeeded", seconds=12.34), step("Train", "Failed", seconds=2)),
        execution(step("Evaluate", "Succeeded", seconds=0, cached=True)),
        terminal=False,
    )
    assert text.splitlines() == [
        "… Prepare",
        "✓ Prepare (12.3 s)",
        "… Train",
        "✗ Train failed (2.0 s)",
        "✓ Evaluate (taken from an earlier execution with the same inputs)",
    ]


def test_terminal_shows_running_and_finished_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running step is shown with its seconds; finished steps stay as lines."""
    states = execution(step("Prepare", "Executing")), execution(step("Prepare", "Succeeded", seconds=1.0))
    text = shown(monkeypatch, *states, terminal=True)
    assert "✓ Prepare (1.0 s)" in text
    assert "\x1b[?25h" in text  # the cursor is back


def test_retried_step_is_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails, runs again and succeeds has three lines."""
    states = (execution(step("Train", status, seconds=1.0)) for status in ("Failed", "Executing", "Succeeded"))
    assert len(shown(monkeypatch, *states, terminal=False).splitlines()) == 3
