"""Step outputs, annotations and summaries keep arbitrary text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.workflow import runner_commands
from tests.harness.fuzzing import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200)


def read(text: str) -> dict[str, str]:
    """GITHUB_OUTPUT as parsed by the runner."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        name, separator, end = line.partition("<<")
        if separator:
            value: list[str] = []
            for following in lines:
                if following == end:
                    break
                value.append(following)
            found[name] = "\n".join(value)
    return found


@settings(examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_output_keeps_any_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Line breaks, equal signs and delimiters in a value create no second output."""
    file = tmp_path / "output"
    file.write_text("")
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    runner_commands.output(reason=text, verdict="passed")
    assert read(file.read_text(encoding="utf-8")) == {"reason": text, "verdict": "passed"}


@settings(examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=100), st.text(min_size=1, max_size=40))
def test_annotation_is_one_line(monkeypatch: pytest.MonkeyPatch, message: str, file: str) -> None:
    """Neither a message nor a file name can start another command."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    line = runner_commands.annotate("error", message, file=file, line=3)
    assert not re.search(r"[\r\n]", line)
    properties, _, _ = line.removeprefix("::").partition("::")
    assert properties.count(",") == 1


def test_summary_is_cut_at_githubs_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut at a line's end with a note; earlier content is kept."""
    file = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    runner_commands.summary("first")
    runner_commands.summary("line of text\n" * 100_000)
    text = file.read_text()
    assert len(text.encode()) <= runner_commands.SUMMARY_LIMIT
    assert text.startswith("first\n\nline of text\n")
    assert text.endswith("line of text\n\n\n… cut off here: GitHub's length limit.\n")


def test_outside_a_workflow_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop there are no outputs and summaries, and annotations are plain lines."""
    monkeypatch.chdir(tmp_path)
    runner_commands.output(a="b")
    runner_commands.summary("x")
    assert list(tmp_path.iterdir()) == []
    assert runner_commands.annotate("warning", "f.yaml: is odd", file="f.yaml", line=2) == "warning: f.yaml:2: is odd"
    assert runner_commands.run_url() is None


def test_run_url_names_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made from the variables that GitHub sets in every run."""
    for key, value in {"SERVER_URL": "https://github.invalid", "REPOSITORY": "o/r", "RUN_ID": "9"}.items():
        monkeypatch.setenv(f"GITHUB_{key}", value)
    assert runner_commands.run_url() == "https://github.invalid/o/r/actions/runs/9"
