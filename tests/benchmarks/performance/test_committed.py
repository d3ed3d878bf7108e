"""The comparison of a quick run with docs/performance.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.performance import committed
from tests.benchmarks.performance.committed import Committed
from tests.benchmarks.performance.measured import Measured

SIZE = "10 rows"


def before(ratio: float | None, name: str = "train_x1") -> list[dict[str, Any]]:
    return [{"name": name, "ratio": ratio, "size": SIZE}]


def now(*peer: float, name: str = "train_x1", size: str = SIZE) -> list[dict[str, Any]]:
    samples = tuple(1.0 for _ in peer) or (1.0,)
    return [Measured(name=name, samples=samples, peer_samples=peer, unit="s", size=size).to_dict()]


def test_ratio_that_fell_by_a_third_is_named_with_both_figures() -> None:
    """The sentence has the name, this run's best ratio and the committed one."""
    (problem,) = committed.fallen(before(12.0), now(7.5, 7.9, 7.0))
    assert problem == "train_x1: ratio 7.9 in the best of 3 rounds, committed 12: 34% lower (at most 33%)"


def test_one_good_round_is_enough() -> None:
    """Work beside lowers the ratio of some rounds, which is no failure."""
    assert committed.fallen(before(12.0), now(2.0, 3.0, 8.5)) == []


@pytest.mark.parametrize("ratio", [None, 0.5, 8.0, 100.0])
def test_ratio_that_did_not_fall_is_no_problem(ratio: float | None) -> None:
    """Rows without a ratio are not compared, and a larger ratio is welcome."""
    assert committed.fallen(before(ratio), now(100.0)) == []


def test_ratio_that_was_not_measured_is_a_problem() -> None:
    """A benchmark cannot disappear."""
    (problem,) = committed.fallen(before(12.0), now(12.0, name="score_row"))
    assert problem == "train_x1: committed ratio 12, and this run did not measure it"
    assert committed.fallen(before(12.0), now()) == [problem]


def test_ratio_of_another_size_is_a_problem() -> None:
    """Ratios depend on the size, so a changed size needs a new table."""
    (problem,) = committed.fallen(before(12.0), now(12.0, size="20 rows"))
    assert problem.startswith("train_x1: measured at 20 rows, committed at 10 rows")


def test_table_is_read_as_written(tmp_path: Path) -> None:
    """A missing table is an empty one."""
    path = tmp_path / "performance.json"
    assert committed.read(path) == Committed(machine={}, full=[], quick=[])
    table = Committed(machine={"cores": 2}, full=before(2.0), quick=before(1.0))
    committed.write(table, path)
    assert committed.read(path) == table


def test_rows_of_a_partial_run_replace_those_of_the_same_names() -> None:
    """The other rows stay."""
    table = Committed(machine={"cores": 1}, full=before(2.0) + before(3.0, "score_row"), quick=before(1.0))
    found = table.updated(machine={"cores": 2}, full=before(4.0), quick=[])
    assert found.machine == {"cores": 2}
    assert {row["name"]: row["ratio"] for row in found.full} == {"score_row": 3.0, "train_x1": 4.0}
    assert found.quick == before(1.0)
