"""The tables that say why a target is missed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.performance import page, reasons
from tests.benchmarks.performance.committed import Committed
from tests.benchmarks.performance.test_page import MACHINE, row


def stages(name: str, **other: float) -> list[dict[str, Any]]:
    """A profile: .01 s of each stage, except of some others."""
    floors = {"parquet": 0.05, "pass": 0.01, "passes": 6.0}
    figures = dict.fromkeys(reasons.TRAINING.stages, 0.01) | floors | other
    return [row(reasons.row_name(name, stage), seconds) for stage, seconds in figures.items()]


def test_missed_target_has_its_stages_and_limits() -> None:
    """The sums of a profile, the time that the target allows, and the ratios if only some stages took time."""
    missed = row("train_x1_shipped", 0.2, 0.9, target=15.0)
    rows = [missed, *stages("train_x1_shipped", read=0.04, gradients=0.04)]
    text = "\n".join(reasons.lines(rows, page.number))
    assert "| read: Parquet to columns, once for means and edges and once for the rows | 0.04 s, 21% |" in text
    assert "| sum | 0.19 s |" in text
    limits = "| `train_x1_shipped` | 15 | 0.06 s | 0.2 s: 4.5 | 0.05 s: 18 | 0.11 s: 8.18 | 0.13 s: 6.92 |"
    assert limits in text
    reached = (
        "With nothing but the Parquet read, and the fit's passes at memory speed, `train_x1_shipped` would be 8.18."
    )
    assert reached in text
    assert text.count("With nothing but") == 1


def test_rows_of_one_run_share_its_profile() -> None:
    """The Parquet and the CSV peer are compared with the same run of the project."""
    missed = [row("train_x10", 2.0, 20.0, target=15.0), row("train_x10_parquet", 2.0, 18.0, target=10.0)]
    text = "\n".join(reasons.lines([*missed, *stages("train_x10")], page.number))
    assert "| stage | `train_x10` |\n" in text
    assert "| `train_x10` | 15 |" in text
    assert "| `train_x10_parquet` | 10 |" in text


@pytest.mark.parametrize("rows", [[], stages("train_x1"), [row("train_x1", 1.0, 9.0, target=15.0)]])
def test_without_a_missed_target_or_a_profile_there_is_no_table(rows: list[dict[str, Any]]) -> None:
    """A partial run may have one without the other."""
    assert reasons.lines(rows, page.number) == []


def test_page_shows_a_profile_only_for_missed_targets() -> None:
    """Its rows are in no other table."""
    met = Committed(machine=MACHINE, full=[row("train_x1", 1.0, 20.0), *stages("train_x1")], quick=[])
    assert "profile_" not in page.text(met)
    missed = Committed(machine=MACHINE, full=[row("train_x1", 1.0, 9.0, target=15.0), *stages("train_x1")], quick=[])
    text = page.text(missed)
    assert text.index("Missed:") < text.index("| stage | `train_x1` |") < text.index("## Training")
    assert "profile_" not in text


def test_limits_of_reading_are_those_of_its_threads() -> None:
    """Two threads share the parse of the bodies at best; here that alone is slower than the target."""
    missed = row("capture_read_500", 0.2, 0.01, target=1 / 3)
    took = {"envelopes": 0.04, "inputs": 0.1, "answers": 0.01, "rows": 0.01, "bodies": 0.08, "threads": 2.0}
    rows = [missed, *(row(reasons.row_name("capture_read_500", stage), seconds) for stage, seconds in took.items())]
    text = "\n".join(reasons.lines(rows, page.number))
    assert "| inputs: the numbers of the requests | 0.1 s, 62% |" in text
    assert "| 0.333 | 0.03 s | 0.2 s: 0.05 | 0.04 s: 0.25 | 0.06 s: 0.167 |" in text
    assert "parse of the requests' bodies alone, `capture_read_500` would be 0.25." in text
