"""Checks whether the pins of requirements.txt are installed, so that a job needs no network if they are.

Runs before anything is installed, so it imports the standard library only. It understands the pins that `make lock`
writes. Any other line counts as missing and is left to pip.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!+]+)")


def missing_requirements(file: Path) -> list[str]:
    """The requirements of `file` that are not installed at the pinned version, or that are not pins."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    # A logical line is a pin and its digests.
    lines = (re.sub(r"\s+--hash=\S+", "", line.partition("#")[0]).strip() for line in text.splitlines())
    return [line for line in lines if line and not _is_installed(line)]


def _is_installed(line: str) -> bool:
    pin = _PIN.fullmatch(line)
    try:
        return pin is not None and metadata.version(pin[1]) == pin[2]
    except metadata.PackageNotFoundError:
        return False


def main(arguments: list[str]) -> int:
    """Exits with 0 if nothing is missing; else prints the names to the job's log and exits with 1."""
    missing = missing_requirements(Path(arguments[0]))
    if missing:
        sys.stdout.write(f"to be installed: {', '.join(missing)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
