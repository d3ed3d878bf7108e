"""Links the running virtual environment into the workflows' tool cache, so that they need not install another.

The setup action keeps one environment for each lock and finds it by its key. This environment serves as that one only
if it has every version that the lock pins.
"""

from __future__ import annotations

import functools
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ml import virtual_environment

LOCKS = Path(__file__).resolve().parents[2] / "requirements"


def link_environment(tools: Path, locks: Path = LOCKS) -> list[Path]:
    """Links this virtual environment below `tools` for every lock in `locks` that it satisfies; returns the links."""
    if sys.prefix == sys.base_prefix:
        return []  # the system's Python is no virtual environment
    made = []
    for name in virtual_environment.LOCKS:
        lock = locks / f"{name}.lock"
        if lock.is_file() and is_satisfied(lock):
            link = virtual_environment.folder(lock, tools)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(sys.prefix, target_is_directory=True)
            made.append(link)
    return made


def is_satisfied(lock: Path) -> bool:
    """Whether every pin of `lock` that applies to this Python is installed here, at that version."""
    return all(_installed_version(name) == version for name, version in _pins(lock))


@functools.cache
def _installed_version(name: str) -> str | None:
    """Cached, because the locks pin the same packages and the metadata of each is parsed on every access."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _pins(lock: Path) -> list[tuple[str, str]]:
    pins = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith((" ", "#")):
            continue
        try:
            pin = Requirement(line.removesuffix("\\").strip())
        except InvalidRequirement:
            return [(line, "")]  # not a pin, so that nothing installed satisfies it
        if pin.marker is None or pin.marker.evaluate():
            pins.append((_canonical(pin.name), str(pin.specifier).removeprefix("==")))
    return pins


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
