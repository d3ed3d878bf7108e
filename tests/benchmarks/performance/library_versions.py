"""Prints as JSON the versions of packages and the BLAS of the Python that runs it; arguments: the packages.

Imports nothing of the project, because .venv-bench does not have it.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version

import numpy  # noqa: F401 - loads its BLAS
import scipy.linalg  # noqa: F401 - loads its BLAS, which may be another
from threadpoolctl import threadpool_info  # type: ignore[import-untyped] # it ships no types


def main() -> int:
    """Prints one line of JSON."""
    blas = {
        f"{each['internal_api']} {each['version']}, kernel {each.get('architecture', 'unknown')}, "
        f"{each['num_threads']} threads"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    }
    packages = {name: version(name) for name in sys.argv[1:]}
    print(json.dumps({"python": platform.python_version(), "packages": packages, "blas": sorted(blas)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
