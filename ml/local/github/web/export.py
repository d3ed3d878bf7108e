"""Export."""

from pathlib import Path
from typing import Any


def write(github: Any, folder: Path) -> list[Path]:
    """Write."""
    return []
