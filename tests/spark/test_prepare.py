"""The Prepare step on a cluster writes what one machine writes, and refuses what that refuses with the same reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.spark import prepare
from ml.spark.cluster import OneProcess
from tests.steps.step_runs import START, Bench


@pytest.fixture(autouse=True)
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many partitions of few rows."""
    monkeypatch.setattr(prepare, "PARTITION_ROWS", 700)
    yield


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A machine with two imports, of which the second repeats rows of the first, and labels that were corrected."""
    made = Bench(tmp_path).lay()
    table = made.data(4_000, 0.05)
    pq.write_table(table, made.processing / "dataset/raw/20260101-abc/transactions.parquet", row_group_size=300)
    made.data(1_000, 0.05, seed=1, day=1)
    made.transactions("20260102-def/transactions", pa.concat_tables([table.slice(10, 40), copies(table)]))
    ids = table["event_id"].to_pylist()
    late = START + timedelta(days=9)
    made.labels("20260110-abc/labels", ids[:50], [1] * 50, [late] * 50)
    made.labels("20260110-def/labels", ids[60:80], [1] * 20, [late] * 20, channel="analyst")
    made.labels("20260110-ghi/labels", [f"copy{i}" for i in range(30)], [0] * 30, [late] * 30)
    return made


def copies(table: pa.Table) -> pa.Table:
    """The first thirty rows as other events, thirty hours later."""
    rows = table.slice(0, 30)
    times = pa.array([time + timedelta(hours=30) for time in rows["event_time"].to_pylist()], rows["event_time"].type)
    ids = pa.array([f"copy{i}" for i in range(30)])
    return rows.set_column(0, "event_id", ids).set_column(1, "event_time", times)


def both(bench: Bench, tmp_path: Path, *arguments: str) -> tuple[int, str, int, str]:
    """Exit code and reason of one machine, and of a cluster."""
    done = bench.run("prepare", *arguments)
    own = bench.processing / "prepared"
    if own.exists():
        shutil.move(own, tmp_path / "expected")
    reason = bench.root / "output/message"
    expected = reason.read_text() if reason.exists() else ""
    reason.unlink(missing_ok=True)
    code = prepare.main(OneProcess(), bench.arguments("prepare", arguments))
    return done.returncode, expected, code, reason.read_text() if reason.exists() else ""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--window-start", "2026-01-01T06:00:00Z", "--window-end", "2026-01-02T20:00:00Z"),
        ("--kind", "threshold"),
    ],
)
def test_files_are_those_of_one_machine(bench: Bench, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Rows, order, counts and windows; repeated ids, corrections, copies and analysts' findings are among them."""
    assert both(bench, tmp_path, *arguments) == (0, "", 0, "")
    names = sorted(file.name for file in (tmp_path / "expected").iterdir())
    assert names == sorted(file.name for file in (bench.processing / "prepared").iterdir())
    for name in names:
        found, expected = bench.processing / "prepared" / name, tmp_path / "expected" / name
        if name.endswith(".json"):
            assert json.loads(found.read_text()) == json.loads(expected.read_text())
        else:
            assert pq.read_table(found).equals(pq.read_table(expected)), name


def test_refusals_are_those_of_one_machine(bench: Bench, tmp_path: Path) -> None:
    """A window without rows, and a transaction that is another one under the same id."""
    window = ("--window-start", "2027-01-01T00:00:00Z")
    code, reason, other, again = both(bench, tmp_path, *window)
    assert (code, other) == (1, 1)
    assert "no transaction is in the window" in reason == again
    table = pq.read_table(bench.processing / "dataset/raw/20260101-abc/transactions.parquet").slice(5, 1)
    bench.transactions("20260103-abc/transactions", table.set_column(3, "V1", pa.array([9.5])))
    code, reason, other, again = both(bench, tmp_path)
    assert (code, other) == (1, 1)
    assert "occurs in two transactions that differ in V1" in reason == again
