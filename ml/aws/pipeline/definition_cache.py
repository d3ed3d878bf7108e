"""Keeps pipeline definitions in the runner's tool cache, because the SageMaker SDK takes seconds to import.

An entry is named after everything that the definition depends on: platform, settings, this package's code, the Python
and every installed distribution. So an entry is never outdated; what changes has another name. It is trusted as the
environment beside it, whose packages would build it. Without RUNNER_TOOL_CACHE, as on a laptop, or on a runner that
keeps no tool cache, every definition is built.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ml.atomic_file import replacing

if TYPE_CHECKING:
    from ml.aws.platform_stack import Platform
    from ml.config import ModelFile

_PACKAGE = Path(__file__).resolve().parents[2]
"""The folder of `ml`."""


def cached(platform: Platform, training: ModelFile, build: Callable[[], str]) -> str:
    """The definition that `build` returns for these inputs, from the tool cache if it has it."""
    tools = os.environ.get("RUNNER_TOOL_CACHE")
    if not tools:
        return build()
    file = Path(tools) / "fraudops/definitions" / f"{key(platform, training)}.json"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if _is_whole(text):
        return text
    text = build()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as draft:
        draft.write_text(text, encoding="utf-8")
    return text


def key(platform: Platform, training: ModelFile, package: Path = _PACKAGE) -> str:
    """The sha256 of everything that a definition depends on; `package` is the folder of the code that builds it."""
    parts = {
        "platform": asdict(platform),
        "settings": training.model_dump(mode="json"),
        "python": sys.version,
        "distributions": _distributions(),
        "code": _digest(package),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _is_whole(text: str) -> bool:
    """Whether an entry is a document; after a power cut a file may be shorter than it was written."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _distributions() -> list[str]:
    """Name and version of every installed distribution, as the folders of their metadata are called."""
    folders = {Path(entry) for entry in sys.path if entry}
    return sorted(found.name for folder in folders if folder.is_dir() for found in folder.glob("*.dist-info"))


def _digest(folder: Path) -> str:
    """The sha256 of the paths and the contents of all modules below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()
