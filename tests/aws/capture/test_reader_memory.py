"""Reading holds a few groups of lines in memory, whatever the window's size; `tests/benchmarks` measures millions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys
from datetime import timedelta
import capture_memory
from ml.aws.capture import reader
from ml.aws.capture import line_stream
rows = int(sys.argv[1])
line_stream.blocks = lambda bucket, found: capture_memory.blocks(rows)
start = capture_memory.START
reading = reader.read("b", "e", start, start + timedelta(days=1), inputs=capture_memory.INPUTS)
assert sum(map(len, reading)) == reading.counts.rows == rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(root: Path, rows: int) -> int:
    """Peak memory (KB) of a process that reads `rows` rows, generated as they are read."""
    paths = [str(root), str(root / "tests"), str(root / "tests" / "benchmarks")]
    process = subprocess.run(
        [sys.executable, "-c", CODE, str(rows)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return int(process.stdout)


def test_memory_does_not_grow_with_the_window(repository_root: Path) -> None:
    """Six times the rows (300 MB) raise the peak by less than 40 %."""
    assert peak(repository_root, 1_200_000) < 1.4 * peak(repository_root, 200_000)
