"""The interpreter and the commands of a container image on this machine, and how they differ from the image's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local_aws.sagemaker.pipelines.jobs import managed_image

_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(["%d.%d" % sys.version_info[:2], found]))
"""


@dataclass(frozen=True)
class ImageEnvironment:
    """How the jobs of one image run. `differences` says, a line each, what the image has otherwise."""

    python: Path
    commands: frozenset[str] | None = None
    """The commands on a job's PATH beside those of its Python; None for all of this machine."""
    differences: tuple[str, ...] = ()


def managed_environment(folder: Path) -> ImageEnvironment:
    """The environment of the managed scikit-learn image.

    Its interpreter is that of `folder`/.venv-container if the versions there equal the image's, else the one that runs
    the emulator, with the differences.
    """
    own = folder / managed_image.ENVIRONMENT / "bin/python"
    if own.exists() and not version_differences(own, managed_image.PYTHON, managed_image.PACKAGES):
        return ImageEnvironment(own, managed_image.COMMANDS)
    python = Path(sys.executable)
    lines = version_differences(python, managed_image.PYTHON, managed_image.PACKAGES)
    if lines and own.exists():
        lines = (*lines, f"{own.parents[1]} is not used: its versions differ from the image's too")
    return ImageEnvironment(python, managed_image.COMMANDS, lines)


def version_differences(python: Path, expected: str, packages: Mapping[str, str]) -> tuple[str, ...]:
    """How the Python and the packages of `python` differ from the expected versions; empty if they do not."""
    version, found = _versions(python, tuple(packages))
    lines = [f"Python {version} instead of {expected}"] if version != expected else []
    lines += [
        f"{name} {found[name] or 'is missing'} instead of {wanted}"
        for name, wanted in packages.items()
        if found[name] != wanted
    ]
    return tuple(lines)


@cache
def _versions(python: Path, packages: tuple[str, ...]) -> tuple[str, dict[str, str | None]]:
    completed = subprocess.run(
        [str(python), "-I", "-c", _VERSIONS, *packages], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    version, found = json.loads(completed.stdout)
    return version, found


def link_commands(commands: frozenset[str], folder: Path) -> None:
    """Creates `folder` with a link to each of `commands` that this machine has."""
    folder.mkdir()
    places = [Path(place) for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place]
    for name in sorted(commands):
        target = next((place / name for place in places if os.access(place / name, os.X_OK)), None)
        if target is not None:
            (folder / name).symlink_to(target)
