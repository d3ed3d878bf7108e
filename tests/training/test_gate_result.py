"""GateResult is written to a file and read back unchanged; any other file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ConfigError
from ml.training.gate_result import GateResult
from tests.training.gate_results import passed


@given(reason=st.text(max_size=200), asked=st.text(max_size=200))
def test_result_survives_its_file(tmp_path_factory: pytest.TempPathFactory, reason: str, asked: str) -> None:
    """Any text in its fields is read back unchanged, and no draft is left beside the file."""
    reason, asked = (text.encode("utf-8", "ignore").decode() for text in (reason, asked))
    file = tmp_path_factory.mktemp("outcome") / "outcome.json"
    written = passed(reason=reason, asked=asked)
    written.write(file)
    assert GateResult.read(file) == written
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "not json"])
def test_file_that_train_did_not_write_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file and the command that writes it."""
    file = tmp_path / "outcome.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"outcome\.json: must be what .*fraudops train --outcome"):
        GateResult.read(file)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file and the command that writes it."""
    with pytest.raises(ConfigError, match=r"outcome\.json: no such file; `fraudops train --outcome"):
        GateResult.read(tmp_path / "outcome.json")
