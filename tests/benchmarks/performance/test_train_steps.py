"""The benchmark of the steps runs them on a lake that it draws."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.performance import train_steps
from tests.benchmarks.performance.measured import Bench


def test_steps_run_on_a_drawn_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step has its seconds and its peak; a quick run measures nothing."""
    bench = Bench(quick=False, folder=tmp_path, peers=Path(sys.executable))
    found = {row.name: row for row in train_steps._measured(bench, 2, 20_000, rounds=2)}
    assert set(found) == {
        *(f"steps_{step}{figure}_x2" for step in train_steps.STEPS for figure in ("", "_processor", "_memory")),
        "steps_x2",
        "steps_memory_x2",
    }
    assert all(len(row.samples) == 2 and min(row.samples) > 0 and row.size == "40,000 rows" for row in found.values())
    monkeypatch.setattr(train_steps, "run", None)
    assert train_steps.measure(Bench(quick=True, folder=tmp_path, peers=Path(sys.executable))) == []
