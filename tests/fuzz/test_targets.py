"""The list of targets names property tests, the page has their figures, and a failure can be replayed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks import shard_tables
from tests.fuzz import run


def functions(test: str) -> list[str]:
    """The tests of a file, or the one that is named."""
    file, _, name = test.partition("::")
    found = re.findall(r"^def (test_\w+)", (run.ROOT / file).read_text("utf-8"), re.M)
    return [each for each in found if name in ("", each)]


@pytest.mark.parametrize("name", run.targets())
def test_target_names_property_tests(name: str) -> None:
    """Each has a writer, an invariant and tests with generated input."""
    about = run.targets()[name]
    assert set(about) == {"writer", "invariant", "tests", "found"}
    for test in about["tests"]:
        assert functions(test), test
        assert "@given(" in (run.ROOT / test.partition("::")[0]).read_text("utf-8"), test


def test_finding_names_a_test_that_holds_it() -> None:
    """Each finding was put right, and has a test of its own."""
    findings = [each for about in run.targets().values() for each in about["found"]]
    assert findings
    assert [each["test"] for each in findings if len(functions(each["test"])) != 1] == []


def test_every_module_of_this_folder_is_in_a_target() -> None:
    """A property test that `make fuzz` leaves out is only run with its fixed examples."""
    named = {Path(test.partition("::")[0]) for about in run.targets().values() for test in about["tests"]}
    here = {
        file.relative_to(run.ROOT)
        for file in Path(__file__).parent.glob("test_*.py")
        if re.search(r"^@given\(", file.read_text("utf-8"), re.M)
    }
    assert here <= named


def test_page_has_the_targets_and_their_figures() -> None:
    """docs/fuzzing.md is what `make fuzz OPTIONS=--page` writes."""
    figures = json.loads(run.FIGURES.read_text("utf-8"))
    assert set(figures) <= set(run.targets())
    assert shard_tables.with_table(run.PAGE, "targets", run.table(figures)) == run.PAGE.read_text("utf-8")


def test_failing_example_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails names the test and keeps its example, which the next run tries first."""
    (tmp_path / "build").mkdir()
    for name in ("tests", "ml", "pyproject.toml"):
        (tmp_path / name).symlink_to(run.ROOT / name)
    (tmp_path / "test_found.py").write_text(
        "from hypothesis import given\nfrom hypothesis import strategies as st\n\n\n"
        "@given(st.integers())\ndef test_small(value):\n    assert value < 1000\n"
    )
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "EXAMPLES", tmp_path / "build/examples")
    options = ["-c", str(tmp_path / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "tests.conftest"]
    played = run.play("found", ["test_found.py", *options], 200)
    assert played.failed == ("test_found.py::test_small",)
    assert played.examples >= 1
    assert list((tmp_path / "build/examples").iterdir())
    again = subprocess.run(
        [*run.command(["test_found.py"], 100), *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "value=1000" in again.stdout
    assert "during reuse phase" in again.stdout


def test_figures_of_rounds_are_added() -> None:
    """Examples and seconds by target."""
    rounds = [{"target": "a", "examples": 5, "seconds": 1.4}, {"target": "a", "examples": 7, "seconds": 1.0}]
    assert run.merged(rounds) == {"a": {"examples": 12, "seconds": 2}}
