"""Draws the plots of equal evaluations once per process; not a test itself.

Drawing takes longer than the rest of `fraudops propose`, and most tests propose packages with the same figures. What
the plots show, and that equal figures give equal bytes, also in another process, is what
tests/report/test_evaluation_plots.py tests.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from ml.report import evaluation_plots

_OF_ONE_PACKAGE = ("provenance", "artifact")
_draw = evaluation_plots.draw


def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws no plots again that this process has drawn, for the rest of the test."""
    monkeypatch.setattr(evaluation_plots, "draw", draw)


def draw(evaluation: Mapping[str, Any], *, days: float | None) -> dict[str, bytes]:
    """As `evaluation_plots.draw`, for which the digests of the packages are missing, since plots show none."""
    champion = {key: value for key, value in evaluation["champion"].items() if key != "artifact_sha256"}
    shown = {key: value for key, value in evaluation.items() if key not in _OF_ONE_PACKAGE}
    return dict(_drawn(json.dumps({**shown, "champion": champion}, sort_keys=True), days))


@functools.cache
def _drawn(evaluation: str, days: float | None) -> dict[str, bytes]:
    return _draw(json.loads(evaluation), days=days)
