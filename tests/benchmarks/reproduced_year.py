"""Plays a simulated year and trains each of its approvals again, as on another processor and another day.

    .venv/bin/python -m tests.benchmarks.reproduced_year --out build/reproduced --months 12

Writes reproduced.json: approval by approval, whether the archive has the same digest, and the seconds. Ends with 1 if
one has not. Minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ml import clock, config
from ml.commands.reproduce import reproduce
from ml.playground import demo_round, simulated_year
from ml.simulate import scenario
from ml.simulate.year_traffic import ROWS

MACHINE = {
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "OPENBLAS_NUM_THREADS": "3",
    "OMP_NUM_THREADS": "3",
}
"""A processor without AVX2, for which the libraries choose other loops, and another number of threads than cores."""


def reproduce_all(root: Path) -> list[dict[str, Any]]:
    """Trains every approval of the checkout's main again, 400 days later."""
    found = []
    later = {"FRAUDOPS_NOW": clock.stamp(clock.now() + timedelta(days=400))}
    before = {name: os.environ.get(name) for name in MACHINE | later}
    os.environ.update(MACHINE | later)
    try:
        for file in sorted((root / config.APPROVALS).glob("*.yaml")):
            record, begun = config.load_approval(root, int(file.stem)), time.monotonic()
            again = reproduce(root, record.approval)
            found.append(
                {
                    "approval": record.approval,
                    "kind": record.kind,
                    "rows": record.data.rows,
                    "sha256": record.artifact.sha256,
                    "reproduced": again.reproduced,
                    "differences": list(again.differences),
                    "seconds": round(time.monotonic() - begun, 1),
                }
            )
    finally:
        _restore(before)
    return found


def _restore(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def main() -> int:
    """Plays and compares; 1 if an approval was not reproduced."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="A folder, emptied first.")
    parser.add_argument("--scenario", default=scenario.DEFAULT)
    parser.add_argument("--months", type=int, default=simulated_year.MONTHS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    table: list[dict[str, Any]] = []

    def compare_first(operator: Any, *arguments: Any, **options: Any) -> Any:
        table.extend(reproduce_all(operator.root))
        return demo_round.summarize(operator, *arguments, **options)

    with patch.object(simulated_year, "summarize", compare_first):  # the emulators stop when the year returns
        simulated_year.run(
            Path(__file__).resolve().parents[2],
            out=given.out,
            scenario_name=given.scenario,
            months=given.months,
            rows=given.rows,
            seed=given.seed,
        )
    document = {"machine": MACHINE, "approvals": table}
    (given.out / "reproduced.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0 if table and all(row["reproduced"] for row in table) else 1


if __name__ == "__main__":
    raise SystemExit(main())
