"""What people see while a verb works."""

from __future__ import annotations

import pytest

from ml import console


def test_quoted_words_give_the_runner_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a job's log that begins with `::` is shown, and is no command of a workflow."""
    console.note("the job said:\n::add-mask::a\n  ::error::b\nc ::d")
    assert capsys.readouterr().err.splitlines() == ["the job said:", "│ ::add-mask::a", "  │ ::error::b", "c ::d"]
