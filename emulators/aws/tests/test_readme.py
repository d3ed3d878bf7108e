"""The examples of README.md run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.processes.daemon import Daemon

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of an emulator that `local-aws up` started in the test's folder."""
    daemon = Daemon(tmp_path / ".local-aws")
    command = [sys.executable, "-m", "local_aws.cli", "up", "--folder", str(daemon.folder)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    yield {**os.environ, **daemon.environment(), "PYTHONWARNINGS": "ignore"}
    daemon.stop()


@pytest.mark.slow
def test_readme_examples_print_what_the_readme_shows(environment: dict[str, str], tmp_path: Path) -> None:
    """hello.py and pipeline.py, written from the page, run with the files beside them."""
    text = README.read_text("utf-8")
    for name, code in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", text, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    expected = re.findall(r"```text\n(.*?)```", text, re.DOTALL)[0]  # a later block shows an error message
    for name, output in (("hello.py", "hello\n"), ("pipeline.py", expected)):
        command = [sys.executable, name]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout == output


def test_readme_evaluates_policies(tmp_path: Path) -> None:
    """The example of the evaluator prints a denial and AWS's message."""
    [code] = re.findall(r"```python\n(from local_aws\.iam.*?)```", README.read_text("utf-8"), re.DOTALL)
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == (
        "False User: arn:aws:iam::123456789012:user/ana is not authorized to perform: s3:GetObject on resource: "
        '"arn:aws:s3:::lake/bo/x" because no identity-based policy allows the s3:GetObject action\n'
    )
