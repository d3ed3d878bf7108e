"""Says whether everything that a requirements file asks for is installed, so that pip need not be started to find out.

pip takes seconds to say that there is nothing to do, in every job. Where this cannot tell, pip is asked.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path


def installed(file: Path) -> bool:
    """Whether each line of `file` is fulfilled here. What a package needs in turn came with it."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        return False
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if not text:
                continue
            wanted = Requirement(text)
            if not wanted.specifier.contains(metadata.version(wanted.name), prereleases=True):
                return False
    except (InvalidRequirement, metadata.PackageNotFoundError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(0 if installed(Path(sys.argv[1])) else 1)
