"""Tests of how a step starts, reports a failure and exits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement

from ml.steps import job_runner, requirements_check
from ml.steps.job_runner import StepFailed
from tests.steps.step_runs import ROOT

STUB = """#!/bin/bash
printf '%s\\n' "$PYTHONPATH" "$@" >> "$CALLS"
[[ "$*" != *ml.steps.requirements_check* ]] || exit "$LACKING"
"""


def failing(error: Exception) -> None:
    """A step that raises `error`."""
    raise error


def test_failure_reason_is_one_line_on_stderr_and_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks of an error become spaces; the exit code is 1."""
    file = tmp_path / "output" / "failure"
    assert job_runner.run(lambda: failing(StepFailed("first\n  second")), file) == 1
    assert capsys.readouterr().err == "first second\n"
    assert file.read_text() == "first second"


def test_unexpected_error_is_logged_with_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log has the traceback, the reason the type."""
    assert job_runner.run(lambda: failing(OSError("disk full")), tmp_path / "message") == 1
    captured = capsys.readouterr()
    assert captured.err == "OSError: disk full\n"
    assert "Traceback" in captured.out


def test_failure_reason_is_cut_to_1024_characters(tmp_path: Path) -> None:
    """SageMaker shows 1,024 characters."""
    assert job_runner.run(lambda: failing(ValueError("x" * 5000)), tmp_path / "message") == 1
    assert (tmp_path / "message").read_text() == "x" * 1024


def test_successful_step_writes_no_reason(tmp_path: Path) -> None:
    """The exit code is 0 and there is no file."""
    assert job_runner.run(lambda: None, tmp_path / "message") == 0
    assert not (tmp_path / "message").exists()


def run_sh(tmp_path: Path, *arguments: str, lacking: int = 1) -> tuple[int, list[str]]:
    """Runs run.sh in its own code folder with a python3 that records its calls; `lacking`: exit code of the check."""
    code, programs = tmp_path / "code", tmp_path / "bin"
    code.mkdir()
    programs.mkdir()
    for name in ("run.sh", "requirements.txt"):
        shutil.copy(ROOT / "ml" / "steps" / name, code / name)
    stub = programs / "python3"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    environment["LACKING"] = str(lacking)
    done = subprocess.run(["bash", str(code / "run.sh"), *arguments], env=environment, cwd=tmp_path, check=False)
    calls = tmp_path / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize("step", ["prepare", "evaluate"])
def test_run_sh_installs_nothing_for_steps_without_requirements(tmp_path: Path, step: str) -> None:
    """Prepare and Evaluate need only what the image has, so their jobs need no network."""
    status, calls = run_sh(tmp_path, step, "--commit", "x")
    assert (status, calls) == (0, [str(tmp_path / "code"), "-m", f"ml.steps.{step}", "--commit", "x"])


def test_run_sh_installs_missing_packages_then_runs_the_step(tmp_path: Path) -> None:
    """First requirements.txt, then the module with its arguments unchanged; nothing in them is executed."""
    hostile = "a b; touch $HOME/x `id` $(id) ''"
    status, calls = run_sh(tmp_path, "train", "--window-start=", "--window-end", hostile)
    code = str(tmp_path / "code")
    assert status == 0
    assert calls[:4] == [code, "-m", "ml.steps.requirements_check", f"{code}/requirements.txt"]
    calls = calls[4:]
    assert calls[:3] == [code, "-m", "pip"]
    assert {"--require-hashes", "--no-deps", "--no-input"} <= set(calls)
    assert calls[calls.index("-r") + 1] == f"{code}/requirements.txt"
    step = calls[calls.index("-r") + 2 :]
    assert step == [code, "-m", "ml.steps.train", "--window-start=", "--window-end", hostile]


def test_run_sh_skips_pip_if_nothing_is_missing(tmp_path: Path) -> None:
    """pip would take seconds to find nothing to do."""
    status, calls = run_sh(tmp_path, "train", lacking=0)
    assert status == 0
    assert "pip" not in calls
    assert calls[-2:] == ["-m", "ml.steps.train"]


@pytest.mark.parametrize(
    ("lines", "there"),
    [
        ("# nothing\n\n", True),
        (f"numpy=={np.__version__}  # and a word\n", True),
        (
            f"numpy=={np.__version__} \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\npandas=={pd.__version__}\n",
            True,
        ),
        (f"numpy=={np.__version__}\nscikit-learn==0.0.1\n", False),
        ("numpy>=1.20\n", False),
        ("no-such-package-anywhere==1.0\n", False),
        ("--index-url elsewhere\n", False),
    ],
)
def test_requirements_check_needs_exact_versions(tmp_path: Path, lines: str, there: bool) -> None:
    """Every pin must be installed at its version; a line that is not a pin counts as missing."""
    file = tmp_path / "requirements.txt"
    file.write_text(lines)
    assert requirements_check.main([str(file)]) == (0 if there else 1)


def test_run_sh_without_a_step_fails(tmp_path: Path) -> None:
    """Without a step's name nothing runs."""
    status, calls = run_sh(tmp_path)
    assert status != 0
    assert not any(call.startswith("ml.steps") for call in calls if call != "ml.steps.requirements_check")


def test_step_requirements_match_the_lock(repository_root: Path) -> None:
    """A job installs the versions and digests that laptops and the container's tests have."""
    steps = pins(repository_root / "ml/steps/requirements.txt")
    assert steps.keys() == {"imbalanced-learn", "sklearn-compat"}
    assert all(version and digests for version, digests in steps.values())
    for lock in ("run.lock", "container.lock"):
        locked = pins(repository_root / "requirements" / lock)
        assert steps == {name: locked[name] for name in steps}


def test_step_requirements_are_complete(repository_root: Path) -> None:
    """They are installed with --no-deps: each of their requirements is pinned too, or is in the image."""
    steps = pins(repository_root / "ml/steps/requirements.txt")
    image = {"numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "pandas"}
    needed = {
        Requirement(text).name
        for name in steps
        for text in metadata.requires(name) or []
        if not (marker := Requirement(text).marker) or marker.evaluate({"extra": ""})
    }
    assert needed <= image | steps.keys()


def pins(file: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and digests of each package that a lock pins."""
    found = {}
    for line in file.read_text().replace("\\\n", " ").splitlines():
        if match := re.match(r"([\w.-]+)==([^\s;]+)", line):
            found[match[1]] = (match[2], frozenset(re.findall(r"--hash=(\S+)", line)))
    return found
