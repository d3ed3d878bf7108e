"""The demo's line about the Python of its jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local_aws.sagemaker.pipelines.jobs import managed_image

from ml.playground import job_interpreter


def make_interpreter(path: Path, python: str) -> None:
    """A program in the place of a Python, which reports version `python` and the packages of the image."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps([python, dict(managed_image.PACKAGES)])}'\n")
    path.chmod(0o755)


def test_environment_with_the_versions_of_the_image_is_named(tmp_path: Path) -> None:
    """The line names .venv-container if its versions are those of the image."""
    make_interpreter(tmp_path / ".venv-container/bin/python", managed_image.PYTHON)
    line = job_interpreter.describe(tmp_path / "local-images.yaml")
    assert line == (
        "jobs run in .venv-container/bin/python, with the Python and the packages of SageMaker's scikit-learn image"
    )


def test_other_versions_are_said_with_the_remedy(tmp_path: Path) -> None:
    """Without the environment, or with one of other versions, jobs run in this Python, and the line says why."""
    absent = job_interpreter.describe(tmp_path / "local-images.yaml")
    assert absent.startswith(f"jobs run in {sys.executable}, whose versions differ from those of SageMaker's")
    assert "`make demo` installs these into .venv-container if this machine has Python 3.12" in absent
    make_interpreter(tmp_path / ".venv-container/bin/python", "3.11")
    assert job_interpreter.describe(tmp_path / "local-images.yaml") == absent


def test_interpreter_of_the_image_map_is_named(tmp_path: Path) -> None:
    """An interpreter from local-images.yaml comes before .venv-container, and nothing is said about its versions."""
    for name in ("own", ".venv-container"):
        make_interpreter(tmp_path / name / "bin/python", managed_image.PYTHON)
    images = tmp_path / "local-images.yaml"
    images.write_text("images:\n  - {match: '*/sagemaker-scikit-learn:*', interpreter: ./own/bin/python}\n")
    assert job_interpreter.describe(images) == "jobs run in own/bin/python"
