"""The profile of reading captured lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # capture_speed.py is a program, which imports capture_lines beside it

from tests.benchmarks import capture_lines, capture_speed
from tests.benchmarks.performance import reasons


@pytest.mark.parametrize("form", capture_lines.FORMS)
def test_every_form_has_its_stages_and_the_floor(form: str) -> None:
    """The stages are those of the page, and the parse of the bodies alone is timed."""
    kind, rows_per_request, encoded = capture_lines.FORMS[form]
    content = list(capture_lines.lines(100, kind=kind, rows_per_request=min(rows_per_request, 50), encoded=encoded))
    took = capture_speed.stages(content)
    assert set(took) == {*reasons.CAPTURE.stages, "bodies"}
    assert all(seconds > 0 for seconds in took.values())
