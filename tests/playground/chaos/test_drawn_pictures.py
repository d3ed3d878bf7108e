"""Pictures of a shard's runs are drawn once for equal figures."""

from __future__ import annotations

from typing import Any

import pytest

from ml.playground.chaos import drawn_pictures
from ml.report import drift_report, evaluation_plots


def test_picture_is_drawn_once_for_equal_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other arguments are drawn, a caller may change what it got, and afterwards the function is the former one."""
    calls: list[Any] = []

    def draw(evaluation: dict[str, Any], *, days: float | None) -> dict[str, bytes]:
        calls.append((evaluation, days))
        return {"decision.png": f"{evaluation} {days}".encode()}

    monkeypatch.setattr(evaluation_plots, "draw", draw)
    with drawn_pictures.kept():
        first = evaluation_plots.draw({"threshold": 0.5}, days=1.0)
        expected = dict(first)
        first.clear()
        assert evaluation_plots.draw({"threshold": 0.5}, days=1.0) == expected
        assert evaluation_plots.draw({"threshold": 0.5}, days=2.0) != expected
        assert evaluation_plots.draw({"threshold": 0.6}, days=1.0) != expected
    assert calls == [({"threshold": 0.5}, 1.0), ({"threshold": 0.5}, 2.0), ({"threshold": 0.6}, 1.0)]
    assert evaluation_plots.draw is draw


def test_drift_reports_are_drawn_once_too() -> None:
    """The report's module has the function under its own name."""
    original = drift_report.draw
    with drawn_pictures.kept():
        assert drift_report.draw is not original
    assert drift_report.draw is original
