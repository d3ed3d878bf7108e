"""What a benchmark returns, and how it is timed: alternated rounds, medians, processes of their own.

A ratio is how many times better the project is than the peer: of times and memory peer / project, of rates
project / peer. Both sides of a round run directly after each other, and every other round runs them in reverse order,
so that load of the machine beside meets both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[3]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One benchmark: the figures of every round of the project, and of the peer in the same rounds.

    `peer_samples` is empty where there is no peer. `target` is the ratio to reach; without a peer it is the figure of
    the project that must not be exceeded. None: no target.
    """

    name: str
    samples: tuple[float, ...]
    peer_samples: tuple[float, ...] = ()
    peer_name: str | None = None
    unit: str
    size: str
    higher_is_better: bool = False
    target: float | None = None

    @property
    def ours(self) -> float:
        """The project's median."""
        return statistics.median(self.samples)

    @property
    def peer(self) -> float | None:
        """The peer's median; None without a peer."""
        return statistics.median(self.peer_samples) if self.peer_samples else None

    @property
    def ratio(self) -> float | None:
        """The ratio of the medians; None without a peer."""
        return None if self.peer is None else self._ratio(self.ours, self.peer)

    @property
    def best_ratio(self) -> float | None:
        """The largest ratio of a round; None without a peer. Load beside lowers some rounds, rarely all."""
        if not self.peer_samples:
            return None
        return max(self._ratio(*pair) for pair in zip(self.samples, self.peer_samples, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.ours <= self.target if self.ratio is None else self.ratio >= self.target

    def _ratio(self, ours: float, peer: float) -> float:
        return ours / peer if self.higher_is_better else peer / ours

    def to_dict(self) -> dict[str, Any]:
        """The row as bench.json and docs/performance.json have it."""
        return {
            "name": self.name,
            "ratio": self.ratio,
            "ours": self.ours,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "unit": self.unit,
            "size": self.size,
            "best_ratio": self.best_ratio,
            "target": self.target,
            "met": self.met,
            "rounds": len(self.samples),
        }


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How a run measures: quick or full, the folder for its files, and the Python that has the peers."""

    quick: bool
    folder: Path
    peers: Path

    def rounds(self, full: int, quick: int = 3) -> int:
        """The number of rounds of this run."""
        return quick if self.quick else full


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that ended: the JSON of its last line of output, and its peak of resident memory."""

    answer: dict[str, Any]
    peak_megabytes: float


class BenchFailed(Exception):
    """A benchmark cannot be measured, or its results differ from the peer's; the message says which."""


def alternate(ways: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Calls each way once in each of `rounds` rounds, in reverse order in every other; the results by way."""
    found: dict[K, list[T]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            found[name].append(ways[name]())
    return found


def fastest(call: Callable[[int], float]) -> int:
    """The number of threads, one or one for each core, with which `call` takes less time: the better of two trials."""
    return min({1, os.cpu_count() or 1}, key=lambda threads: min(call(threads), call(threads)))


def cores() -> list[int]:
    """The cores that this process may use; a container may have others than the first."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def limited(threads: int) -> dict[str, str]:
    """The environment variables that limit the threads of linear algebra."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def run(command: Sequence[str | Path], *, threads: int | None = None) -> Ended:
    """Runs a process to its end in the project's root folder.

    Its peak memory is what the kernel reports to `wait4`. The kernel counts the memory of the process that forks in, so
    this one must stay small: nothing here holds data.

    Args:
        threads: of linear algebra; None leaves the libraries their default.

    Raises:
        BenchFailed: the exit code is not 0.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({} if threads is None else limited(threads))
    with subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not lines:
        raise BenchFailed(f"exit code {process.returncode} of {' '.join(map(str, command))}")
    return Ended(answer=json.loads(lines[-1]), peak_megabytes=usage.ru_maxrss / 1024)


def peak_megabytes() -> float:
    """The peak of resident memory since this program began; `ru_maxrss` would include the process that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def script(name: str, *options: str) -> Any:
    """Runs a benchmark that is a program of its own, tests/benchmarks/NAME.py; returns what it wrote to build/bench.

    Its exit code 1 says that a promise of its own is missed: the page shows the figures anyway.

    Raises:
        BenchFailed: it wrote nothing.
    """
    out = ROOT / f"build/bench/{name}.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, f"tests/benchmarks/{name}.py", *options]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    if done.returncode not in (0, 1) or not out.exists():
        raise BenchFailed(f"exit code {done.returncode} of {' '.join(command)}")
    return json.loads(out.read_text("utf-8"))
