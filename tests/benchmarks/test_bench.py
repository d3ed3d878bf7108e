"""The runner of `make bench`: what it measures, writes and compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks import bench
from tests.benchmarks.performance import committed, machine, page
from tests.benchmarks.performance.measured import Bench, BenchFailed, Measured
from tests.benchmarks.performance.test_page import MACHINE, ROWS

KEYS = {"name", "ratio", "ours", "peer", "peer_name", "unit", "size"}


def measured(rows: float, peer: float) -> list[Measured]:
    """One row of a subject."""
    samples = (rows,), (peer,)
    return [Measured(name="train_x1", samples=samples[0], peer_samples=samples[1], unit="s", size="10 rows")]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runner with one subject, 4 times better than its peer, that writes below a temporary folder."""
    monkeypatch.setattr(bench, "OUT", tmp_path)
    monkeypatch.setattr(bench, "SUBJECTS", {"train": lambda how: measured(1.0, 4.0 if how.quick else 8.0)})
    monkeypatch.setattr(machine, "describe", lambda peers: MACHINE)
    return tmp_path


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench.py", *arguments])
    return bench.main()


def commit(monkeypatch: pytest.MonkeyPatch, ratio: float) -> None:
    table = committed.Committed(machine=MACHINE, full=[], quick=[ROWS[0] | {"ratio": ratio}])
    monkeypatch.setattr(committed, "read", lambda: table)


def test_quick_run_writes_its_rows(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bench.json is a list of rows with at least the documented keys."""
    commit(monkeypatch, 5.0)
    assert start(monkeypatch, "--quick") == 0
    (row,) = json.loads((out / "bench.json").read_text())
    assert set(row) >= KEYS
    assert (row["name"], row["ratio"], row["ours"], row["peer"]) == ("train_x1", 4.0, 1.0, 4.0)


def test_quick_run_fails_where_a_ratio_has_fallen(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, and the output has both ratios."""
    commit(monkeypatch, 6.5)
    assert start(monkeypatch, "--quick") == 1
    assert "train_x1: ratio 4 in the best of 1 rounds, committed 6.5" in capsys.readouterr().err


def test_failed_benchmark_fails_the_run(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong answer of a side ends the run with its reason, and writes no table."""

    def fail(how: Bench) -> list[Measured]:
        raise BenchFailed("scores differ")

    monkeypatch.setattr(bench, "SUBJECTS", {"train": fail})
    assert start(monkeypatch) == 1
    assert "scores differ" in capsys.readouterr().err
    assert not (out / "bench.json").exists()


def test_full_run_commits_both_sizes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the full rows beside those of the quick sizes, measured in one run."""
    written: list[committed.Committed] = []
    monkeypatch.setattr(committed, "write", written.append)
    monkeypatch.setattr(page, "write", written.append)
    assert start(monkeypatch) == 0
    table, paged = written
    assert table == paged
    assert [row["ratio"] for row in table.full] == [8.0]
    assert "load" in table.full[0]
    assert [row["ratio"] for row in table.quick] == [4.0]
    assert table.machine == MACHINE


def test_quick_rows_are_written_on_demand(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of the full run and their machine stay, and nothing is compared."""
    commit(monkeypatch, 50.0)
    written: list[committed.Committed] = []
    monkeypatch.setattr(committed, "write", written.append)
    monkeypatch.setattr(page, "write", written.append)
    monkeypatch.setattr(committed, "read", lambda: committed.Committed(machine={"cores": 1}, full=ROWS, quick=[]))
    assert start(monkeypatch, "--quick", "--write") == 0
    table = written[0]
    assert (table.machine, table.full) == ({"cores": 1}, ROWS)
    assert [row["ratio"] for row in table.quick] == [4.0]


def test_partial_run_keeps_the_other_rows(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows replace those of the same names."""
    commit(monkeypatch, 5.0)
    written: list[committed.Committed] = []
    monkeypatch.setattr(committed, "write", written.append)
    monkeypatch.setattr(page, "write", written.append)
    monkeypatch.setattr(committed, "read", lambda: committed.Committed(machine={}, full=ROWS, quick=[]))
    assert start(monkeypatch, "--only", "train") == 0
    assert [row["name"] for row in written[0].full] == [*(row["name"] for row in ROWS[1:]), "train_x1"]
