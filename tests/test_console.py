"""Tests of progress output."""

from __future__ import annotations

import pytest

from ml import console


def test_note_escapes_workflow_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A quoted line that begins with `::` is printed, and is not a workflow command."""
    console.note("the job said:\n::add-mask::a\n  ::error::b\nc ::d")
    assert capsys.readouterr().err.splitlines() == ["the job said:", "│ ::add-mask::a", "  │ ::error::b", "c ::d"]
