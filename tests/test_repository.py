"""Rules for files of the repository: locks, types and state."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ml import config
from ml.playground import template_state
from tests.harness import state_guard

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def pins(lock: Path) -> dict[str, str]:
    """Package names and versions of a lock file."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", lock.read_text(), re.M))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_pins_with_hashes_and_names_no_index(lock: Path) -> None:
    """Every requirement of a lock is pinned and hashed, and no line names an index or a link."""
    lines = [line for line in lock.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    for index, line in enumerate(lines):
        if line.startswith(" "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), f"{lock.name}: {line}"
        else:
            assert "==" in line, f"{lock.name}: {line}"
            assert lines[index + 1].lstrip().startswith("--hash="), f"{lock.name}: {line} has no hash"
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_no_lock_has_awscli(lock: Path) -> None:
    """awscli pins another botocore than boto3 needs; boto3 suffices."""
    assert "awscli" not in pins(lock), lock.name


def test_laptop_uses_the_container_versions() -> None:
    """Numerical libraries have the versions of SageMaker's scikit-learn image, so both fit the same model."""
    run, container = pins(ROOT / "requirements/run.lock"), pins(ROOT / "requirements/container.lock")
    for name in ("scikit-learn", "pandas", "imbalanced-learn", "numpy", "scipy"):
        assert run[name] == container[name], name


@pytest.mark.parametrize("lock", ["container", "serving-stack"])
def test_image_locks_hold_the_versions_of_the_image(lock: str) -> None:
    """The environments that replace SageMaker's image have exactly the versions of requirements/image.in."""
    image = dict(re.findall(r"^([\w-]+)==([^ \n]+)", (ROOT / "requirements/image.in").read_text(), re.M))
    assert len(image) >= 10
    locked = pins(ROOT / f"requirements/{lock}.lock")
    assert {name: locked.get(name) for name in image} == image


def test_spark_lock_holds_the_versions_of_the_scikit_learn_image() -> None:
    """Sums have the same bits in both images; jobs install these packages into the Spark image.

    What reads captured traffic and joins labels is not in the scikit-learn image, but in the run lock.
    """
    spark, container, run = (pins(ROOT / f"requirements/{name}.lock") for name in ("spark", "container", "run"))
    installed = pins(ROOT / "ml/spark/requirements.txt")
    assert {name: spark.get(name) for name in installed} == installed
    readers = {"duckdb", "msgspec", "orjson"}
    assert {name: (run if name in readers else container).get(name) for name in installed} == installed


def test_dev_lock_matches_the_run_lock() -> None:
    """The development lock has every pin of the product's lock, at the same version."""
    run, dev = pins(ROOT / "requirements/run.lock"), pins(ROOT / "requirements/dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_read_of_the_repositorys_own_state_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings and records belong to the team that adopts it; only its README and the shipped state may be read."""
    monkeypatch.chdir(ROOT)
    config.load_settings(template_state.FOLDER)
    (ROOT / "model-config/README.md").read_text()
    assert state_guard.take() == []
    for root in (ROOT, Path()):
        config.load_serving(root)
        line = sys._getframe().f_lineno - 1
        assert state_guard.take() == [f"{config.SERVING}, read by tests/test_repository.py:{line}"]


def test_package_ships_type_information() -> None:
    """The package contains py.typed."""
    assert (ROOT / "ml/py.typed").exists()
