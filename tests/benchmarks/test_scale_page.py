"""docs/scale.md is what its figures give, and its lines are those of its runs."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import scale_page
from tests.benchmarks.performance.measured import ROOT
from tests.benchmarks.scale_figures import Line, Lines, Run


def runs() -> list[Run]:
    """The committed runs."""
    return [Run(**each) for each in json.loads(scale_page.FILE.read_text("utf-8"))]


def test_a_line_through_exact_points_is_found() -> None:
    """Two seconds, and three more for each million rows."""
    rows = [1_000_000, 3_000_000, 10_000_000]
    line = Line.of(rows, [5.0, 11.0, 32.0])
    assert line.fixed == pytest.approx(2.0)
    assert line.slope == pytest.approx(3.0)
    assert line.at(100_000_000) == pytest.approx(302.0)
    assert line.exponent == pytest.approx(0.887, abs=1e-3)


def test_no_part_of_a_line_is_negative() -> None:
    """A figure that falls with size is flat, and one that begins below zero has no fixed part."""
    rows = [1_000_000, 10_000_000]
    flat, steep = Line.of(rows, [5.0, 4.0]), Line.of(rows, [0.5, 10.0])
    assert flat.slope == 0.0
    assert 4.0 < flat.fixed < 5.0
    assert steep.fixed == 0.0
    assert 0.5 < steep.slope < 1.0


def test_one_size_gives_no_line() -> None:
    """A slope needs two sizes."""
    with pytest.raises(ValueError, match="two sizes or more"):
        Line.of([1_000_000, 1_000_000], [1.0, 2.0])


def test_the_committed_page_is_that_of_its_figures() -> None:
    """`scale.py --render` changes nothing: figures, prices and speeds are those of the files."""
    assert (ROOT / "docs" / scale_page.PAGE).read_text("utf-8") == scale_page.text(runs())


def test_every_subject_was_measured_at_several_sizes() -> None:
    """Training, import and drift on one machine, training and drift on Spark with one and two executors,
    drift on one and two instances that share the objects."""
    sizes: dict[str, int] = {}
    for run in runs():
        sizes[run.subject] = sizes.get(run.subject, 0) + 1
    assert set(sizes) == set(scale_page.NAMES)
    assert min(sizes.values()) >= 2


def test_memory_that_hardly_grows_is_flat() -> None:
    """A line through it would add gigabytes at a billion rows."""
    flat = [
        Run(subject="drift", rows=rows, seconds=1.0, cpu_seconds=1.0, peak_megabytes=peak)
        for rows, peak in ((1_000_000, 600.0), (10_000_000, 660.0))
    ]
    assert Lines.of(flat).megabytes.at(1e9) == 660.0
