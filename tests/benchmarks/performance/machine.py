"""What the figures of a run depend on: the machine, its load, and the versions of both sides."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.performance.measured import ROOT, run

OURS = ("numpy", "scipy", "pandas", "pyarrow", "orjson", "duckdb", "uvicorn", "uvloop")
PEERS = (
    "scikit-learn",
    "imbalanced-learn",
    "numpy",
    "scipy",
    "pandas",
    "onnxruntime",
    "evidently",
    "nannyml",
    "flask",
    "gunicorn",
)
BUSY_LOAD = 0.5
"""Load average above the cores' share that this run needs itself, from which on the page warns."""


def describe(peers: Path) -> dict[str, Any]:
    """The machine and the versions, as docs/performance.json has them. Call it before the first benchmark."""
    script = ROOT / "tests/benchmarks/performance/library_versions.py"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 1),
        "ours": run([sys.executable, script, *OURS]).answer,
        "peers": run([peers, script, *PEERS]).answer,
    }


def lines(machine: dict[str, Any]) -> list[str]:
    """The description as sentences."""
    made = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
    ]
    for side, name in (("ours", "the project"), ("peers", "the peers")):
        found = machine[side]
        packages = ", ".join(f"{package} {version}" for package, version in found["packages"].items())
        made.append(f"{name}: Python {found['python']}, {packages}; BLAS: {'; '.join(found['blas'])}")
    if machine["load_before"] > BUSY_LOAD:
        made.append(
            f"load average before the first benchmark: {machine['load_before']}. Other work ran beside: times are too "
            f"long on both sides, and ratios are less certain"
        )
    else:
        made.append(f"load average before the first benchmark: {machine['load_before']}: nothing else ran")
    return made


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        names = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
