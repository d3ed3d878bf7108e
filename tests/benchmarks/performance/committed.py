"""Compares the ratios of a quick run with those of docs/performance.json.

A quick run fails where the best of its rounds is a third below the committed median of the same size. The best counts
because other work on the machine lowers the ratio of some rounds; a real loss lowers them all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.performance.measured import ROOT

FILE = ROOT / "docs/performance.json"
MAX_FALL = 1 / 3


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The committed figures: the rows of the full run, those of the quick one, and the machine."""

    machine: dict[str, Any]
    full: list[dict[str, Any]]
    quick: list[dict[str, Any]]

    def updated(self, *, machine: dict[str, Any], full: list[dict[str, Any]], quick: list[dict[str, Any]]) -> Committed:
        """The table with these rows in place of those of the same names."""
        return Committed(machine=machine, full=_merged(self.full, full), quick=_merged(self.quick, quick))


def _merged(former: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {row["name"] for row in rows}
    return [*(row for row in former if row["name"] not in names), *rows]


def read(path: Path = FILE) -> Committed:
    """The committed table; empty lists if there is none."""
    document = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return Committed(
        machine=document.get("machine", {}), full=document.get("full", []), quick=document.get("quick", [])
    )


def write(table: Committed, path: Path = FILE) -> None:
    """Writes the table that `read` reads."""
    document = {"machine": table.machine, "full": table.full, "quick": table.quick}
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def fallen(committed: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence with both figures for each ratio that has fallen by a third, and for each that is missing.

    Args:
        committed: the rows of the committed quick run.
        found: the rows of this quick run.
    """
    measured = {row["name"]: row for row in found}
    made = []
    for row in committed:
        name, before = row["name"], row["ratio"]
        if before is None:
            continue
        now = measured.get(name)
        if now is None or now["best_ratio"] is None:
            made.append(f"{name}: committed ratio {before:.3g}, and this run did not measure it")
        elif now["size"] != row["size"]:
            made.append(
                f"{name}: measured at {now['size']}, committed at {row['size']}; run make bench and commit docs/"
            )
        elif now["best_ratio"] < before * (1 - MAX_FALL):
            made.append(
                f"{name}: ratio {now['best_ratio']:.3g} in the best of {now['rounds']} rounds, committed "
                f"{before:.3g}: {1 - now['best_ratio'] / before:.0%} lower (at most {MAX_FALL:.0%})"
            )
    return made
