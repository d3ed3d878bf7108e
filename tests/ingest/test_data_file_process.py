"""A process can exit right after reading a data file, with its own exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ENDS_AFTER_READING = """
import os, sys
from ml.ingest import data_file
from ml.model.training_settings import Columns
from tests.harness.columns import ulb_columns

columns = ulb_columns(tuple(f"V{i}" for i in range(1, 29)))
codes = []
for attempt in range(30):
    child = os.fork()
    if not child:
        data_file.read(sys.argv[1], columns)
        sum(range(attempt * 10_000))  # no other thread gets the interpreter for some milliseconds
        sys.exit(4)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(codes)
"""


def test_process_can_exit_right_after_reading(tmp_path: Path, repository_root: Path) -> None:
    """A process that rejects a file exits at once; no reader thread may hold the bytes of the file then.

    (With Arrow's own threads one ending in three was an abort: "terminate called without an active exception".)
    """
    names = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"]
    row = ",".join(["1", *["0.123456"] * 28, "1", "0"])
    path = tmp_path / "a.csv"
    path.write_text("\n".join([",".join(names), *[row] * 300]))
    done = subprocess.run(
        [sys.executable, "-c", _ENDS_AFTER_READING, str(path)],
        cwd=repository_root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{[4] * 30}\n", "")
