"""The page of performance figures, and that the committed one is made from the committed figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.performance import committed, page
from tests.benchmarks.performance.committed import Committed
from tests.benchmarks.performance.measured import ROOT, Measured

SIDE = {"python": "3.11.7", "packages": {"numpy": "2.4.6"}, "blas": ["openblas 0.3.30, kernel Haswell, 2 threads"]}
MACHINE = {
    "processor": "A processor",
    "cores": 2,
    "memory_gb": 25,
    "system": "Linux x86_64",
    "load_before": 0.1,
    "ours": SIDE,
    "peers": SIDE,
}


def row(name: str, ours: float, *peer: float, **more: Any) -> dict[str, Any]:
    fields = {"name": name, "unit": "s", "size": "10 rows", "samples": (ours,), "peer_samples": peer} | more
    return Measured(**fields).to_dict() | {"load": 0.5}


def written(folder: Path) -> dict[str, bytes]:
    """The files below `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


ROWS = [
    row("train_x1", 2.0, 8.0, peer_name="the plain way", target=15.0),
    row("train_x1_memory", 400.0, 500.0, unit="MB"),
    row("train_x10", 20.0, 400.0, target=15.0),
    row("train_x10_memory", 1400.0, 5000.0, unit="MB"),
    row("loop_overhead", 8.25, target=10.0),
]
TABLE = Committed(machine=MACHINE, full=ROWS, quick=[row("train_x1", 1.0, 3.0)])


def test_page_has_every_row_with_its_target() -> None:
    """A row shows ratio, target, both figures, unit, size and the peer's name."""
    text = page.text(TABLE)
    assert "| `train_x1` | **4** | ≥ 15: missed | 2 | 8 | s | 10 rows | the plain way |" in text
    assert "| `train_x1_memory` | **1.25** |  | 400 | 500 | MB | 10 rows |  |" in text
    assert "| `loop_overhead` |  | ≤ 10 s: met | 8.25 |  | s | 10 rows |  |" in text
    assert "Targets met: 2 of 3. Missed:\n- `train_x1`: 4, target ≥ 15\n" in text
    assert text.index("## Training") < text.index("## The loop on the emulators") < text.index("## The quick run")


def test_page_names_machine_versions_and_blas() -> None:
    """A figure without its machine says nothing."""
    text = page.text(TABLE)
    assert "- A processor, 2 cores, 25 GB, Linux x86_64." in text
    assert "The peers: Python 3.11.7, numpy 2.4.6; BLAS: openblas 0.3.30, kernel Haswell, 2 threads." in text


def test_page_says_whether_other_work_ran() -> None:
    """Figures of a shared machine are marked."""
    assert "nothing else ran" in page.text(TABLE)
    busy = Committed(machine=MACHINE | {"load_before": 6.4}, full=ROWS, quick=[])
    assert "6.4. Other work ran beside" in page.text(busy)


def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    """Page and pictures depend on the figures alone."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        page.write(TABLE, folder)
    names = {page.PAGE, page.RATIOS, page.SIZES}
    first, second = (written(folder) for folder in folders)
    assert first == second
    assert set(first) == names
    assert b"train_x10" in first[page.RATIOS]


def test_committed_page_is_made_from_the_committed_figures(tmp_path: Path) -> None:
    """docs/performance.md is never edited: `make bench` writes it, and `bench.py --render` makes it again."""
    page.write(committed.read(), tmp_path)
    for name, content in written(tmp_path).items():
        assert content == (ROOT / "docs" / name).read_bytes(), name
