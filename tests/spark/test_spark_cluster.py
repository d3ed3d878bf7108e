"""Executors of Spark give what one process gives, in the same order, although one of them is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ml.model import fit_evidence
from tests.spark.submitted import submit
from tests.steps.step_runs import Bench
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
FILES = ("model.json", "baseline.json", fit_evidence.FILE)
ATTEMPTS = 25_000
"""Spark starts meanwhile: pytest's timeout ends the test sooner."""


def test_executors_give_what_one_process_gives(tmp_path: Path) -> None:
    """Of each item, of kept results, and of pieces that were sent to their buckets."""
    with submit("cluster_program.py", folder=tmp_path) as program:
        code = program.wait()
    assert code == 0, (tmp_path / "errors").read_text()[-2_000:]


def trained(folder: Path, prepared: Path, *, workers: int, lose_executor: bool) -> dict[str, bytes]:
    """The model's files, from a fit in the middle of which an executor that holds rows is ended."""
    model, signals = folder / "model", folder / "signals"
    for made in (model, signals):
        made.mkdir(parents=True)

    def computed() -> list[int]:
        return [int(file.read_text()) for file in signals.glob("computed-*") if file.suffix != ".part"]

    with submit(
        "lost_executor_program.py", *map(str, (prepared, model, signals)), folder=folder, workers=workers
    ) as program:
        try:
            wait_until(lambda: (signals / "waiting").exists() or program.poll() is not None, ATTEMPTS)
            assert program.poll() is None, (folder / "errors").read_text()[-2_000:]
            before = computed()
            if lose_executor:
                os.kill(before[0], signal.SIGKILL)
            (signals / "go").touch()
            code = program.wait()
        finally:
            program.kill()
    assert code == 0, (folder / "errors").read_text()[-2_000:]
    again = len(computed()) - len(before)
    assert again >= before.count(before[0]) if lose_executor else again == 0, "what an executor held is read again"
    return {name: (model / name).read_bytes() for name in FILES}


def test_lost_executor_and_number_of_executors_change_no_bit_of_the_model(tmp_path: Path) -> None:
    """One is ended in the middle of the fit, with rows in its memory, which another one reads again."""
    bench = Bench(tmp_path / "bench").lay()
    bench.data(60_000, 0.02)
    done = bench.run("prepare")
    assert done.returncode == 0, done.stderr
    for file in (bench.processing / "prepared").glob("*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=5_000)
    lost, whole, one = (
        trained(tmp_path / f"{workers}-{lose}", bench.processing, workers=workers, lose_executor=lose)
        for workers, lose in ((2, True), (2, False), (1, False))
    )
    assert lost == whole
    assert one == whole
