"""What docs/scale.md is made of: measured runs, lines through them, and how their figures are written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from docs import cost
from tests.benchmarks.performance.page import number

FLAT = 0.15
"""An exponent of memory below it counts as none: a drift check of 20 million rows took 665 MB, no more than 8.5 did."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One measured run: its seconds, processor seconds of all threads, and the largest peak of its processes."""

    subject: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    merge_cpu_seconds: float = 0
    """On instances that share objects: of the merge, which runs in the workflow's job."""
    handed_over_megabytes: float = 0
    """What they hand over to it."""

    def to_dict(self) -> dict[str, Any]:
        """The run as docs/scale.json has it: without the figures that it has not."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value != 0}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A figure as `fixed + slope × millions of rows`, and the exponent between the two largest sizes."""

    fixed: float
    slope: float
    exponent: float

    @classmethod
    def of(cls, rows: Sequence[int], values: Sequence[float]) -> Line:
        """The line with the least relative squared errors; neither part is negative.

        Raises:
            ValueError: there are fewer than two sizes.
        """
        if len(set(rows)) < 2:
            raise ValueError(f"a line needs two sizes or more (got {len(set(rows))})")
        millions, found = np.asarray(rows, dtype=np.float64) / 1e6, np.asarray(values, dtype=np.float64)
        fixed, slope = np.linalg.lstsq(np.column_stack([1 / found, millions / found]), np.ones(len(found)), rcond=None)[
            0
        ]
        if fixed < 0:
            fixed, slope = 0.0, float(np.sum(millions / found) / np.sum((millions / found) ** 2))
        elif slope < 0:
            fixed, slope = float(np.sum(1 / found) / np.sum(1 / found**2)), 0.0
        last = math.log(found[-1] / found[-2]) / math.log(millions[-1] / millions[-2])
        return cls(fixed=float(fixed), slope=float(slope), exponent=last)

    def at(self, rows: float) -> float:
        """The figure for so many rows."""
        return self.fixed + self.slope * rows / 1e6


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The lines of one subject."""

    seconds: Line
    cpu_seconds: Line
    megabytes: Line

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Lines:
        """The lines of runs of several sizes. Memory that hardly grows is flat, at its largest figure."""
        rows, peaks = [run.rows for run in runs], [run.peak_megabytes for run in runs]
        megabytes = Line.of(rows, peaks)
        if megabytes.exponent < FLAT:
            megabytes = dataclasses.replace(megabytes, fixed=max(peaks), slope=0.0)
        return cls(
            seconds=Line.of(rows, [run.seconds for run in runs]),
            cpu_seconds=Line.of(rows, [run.cpu_seconds for run in runs]),
            megabytes=megabytes,
        )


def line_text(line: Line) -> str:
    """A line as the page has it."""
    return f"{number(line.fixed)} + {number(line.slope)} × M"


def usd(figures: cost.Figures, name: str) -> float:
    """A price. Raises ValueError if there is none."""
    price = figures.prices[name].usd
    if price is None:
        raise ValueError(f"{cost.FIGURES}: prices.{name} has no price, which docs/scale.md needs")
    return price


def count(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows // 10**9} billion" if rows >= 10**9 else f"{rows // 10**6} million"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7_200 else f"{seconds / 3_600:.1f} hours"
