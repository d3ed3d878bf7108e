"""Checks whether the pins of requirements.txt are installed, so that a job needs no network if they are.

Runs before anything is installed, on the standard library alone. It reads the pins that `make lock` writes and nothing
else: whatever it cannot read is pip's to judge.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!+]+)")


def lacking(file: Path) -> list[str]:
    """The requirements of `file` that are not installed at the version pinned, and those that are no pins."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    # A logical line is a pin and the digests that pip is to hold it to.
    lines = (re.sub(r"\s+--hash=\S+", "", line.partition("#")[0]).strip() for line in text.splitlines())
    return [line for line in lines if line and not _there(line)]


def _there(line: str) -> bool:
    pin = _PIN.fullmatch(line)
    try:
        return pin is not None and metadata.version(pin[1]) == pin[2]
    except metadata.PackageNotFoundError:
        return False


def main(arguments: list[str]) -> int:
    """0 where nothing is lacking; else 1, and the names on standard output, which is the job's log."""
    missing = lacking(Path(arguments[0]))
    if missing:
        sys.stdout.write(f"to be installed: {', '.join(missing)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
