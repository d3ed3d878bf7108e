"""The environment that runs this, offered to the workflows on this machine in place of one they would install.

GitHub's runners make the environment of a lock once and keep it; a laptop has it already, if what is installed here is
what the lock pins. Then the setup action finds it by its key and installs nothing; where it is not, it is not offered.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ml import virtual_environment

LOCKS = Path(__file__).resolve().parents[2] / "requirements"


def offer(tools: Path, locks: Path = LOCKS) -> list[Path]:
    """Links this Python's virtual environment below `tools` for every lock in `locks` that it fulfils; the links."""
    if sys.prefix == sys.base_prefix:
        return []  # not a virtual environment: its Python is the machine's, and nobody's to hand out
    made = []
    for name in virtual_environment.LOCKS:
        lock = locks / f"{name}.lock"
        if lock.is_file() and fulfilled(lock):
            link = virtual_environment.folder(lock, tools)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(sys.prefix, target_is_directory=True)
            made.append(link)
    return made


def fulfilled(lock: Path) -> bool:
    """Whether every pin of `lock` that applies to this Python is installed here, at that version."""
    installed = {_canonical(found.name): found.version for found in metadata.distributions()}
    return all(installed.get(name) == version for name, version in _pins(lock))


def _pins(lock: Path) -> list[tuple[str, str]]:
    pins = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith((" ", "#")):
            continue
        try:
            pin = Requirement(line.removesuffix("\\").strip())
        except InvalidRequirement:
            return [(line, "")]  # no pin: nothing installed is called that
        if pin.marker is None or pin.marker.evaluate():
            pins.append((_canonical(pin.name), str(pin.specifier).removeprefix("==")))
    return pins


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
