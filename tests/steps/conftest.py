"""Machines on which the steps ran, for the tests of Train and Evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.steps.step_runs import Bench


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A machine on which the three steps ran; tests only read it."""
    bench = Bench(tmp_path_factory.mktemp("finished")).lay()
    bench.data()
    bench.whole()
    return bench


@pytest.fixture
def bench(tmp_path: Path, finished: Bench) -> Bench:
    """A copy of the finished machine's prepared rows and model, which a test may change."""
    made = Bench(tmp_path).lay()
    for folder in ("prepared", "model"):
        (made.processing / folder).mkdir()
        for file in (finished.processing / folder).iterdir():
            (made.processing / folder / file.name).write_bytes(file.read_bytes())
    return made
