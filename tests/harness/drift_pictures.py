"""Draws the plots of equal drift checks once per process; not a test itself.

Drawing takes longer than the rest of a drift check, and most tests check the same months. What the plots show, and that
equal counts give equal bytes, is what tests/report/test_drift_report.py tests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ml.model.drift.detector import DriftVerdict, Reference, Rules, WindowSummary
from ml.report import drift_report

_draw = drift_report.draw
_drawn: dict[str, dict[str, bytes]] = {}


def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws no plots again that this process has drawn, for the rest of the test."""
    monkeypatch.setattr(drift_report, "draw", draw)


def draw(
    reference: Reference, verdict: DriftVerdict, summary: WindowSummary, history: Sequence[DriftVerdict], rules: Rules
) -> dict[str, bytes]:
    """As `drift_report.draw`: its plots depend on its arguments alone, which are plain values."""
    key = repr((json.dumps(reference.document, sort_keys=True), verdict, summary, tuple(history), rules))
    if key not in _drawn:
        _drawn[key] = _draw(reference, verdict, summary, history, rules)
    return dict(_drawn[key])
