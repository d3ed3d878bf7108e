"""YAML is read strictly: a mapping, without tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.errors import ConfigError


def test_text_that_is_no_mapping_is_refused() -> None:
    """A list, a word or nothing at all is not a configuration."""
    for text in ("", "- 1", "word"):
        with pytest.raises(ConfigError, match="must be a mapping"):
            config.parse(text, config.GATE, config.GateFile)


def test_yaml_tags_build_nothing() -> None:
    """A tag that would make a Python object is an error, not an object."""
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.parse("min_recall: !!python/object/apply:os.getcwd []", config.GATE, config.GateFile)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The error names the file and the position of the byte."""
    (tmp_path / "a.yaml").write_bytes(b"caf\xe9: 1\n")
    with pytest.raises(ConfigError, match=r"a\.yaml: must be UTF-8 \(byte 3 is not\)"):
        config.read(tmp_path, Path("a.yaml"), config.GateFile)


def test_every_problem_has_its_line() -> None:
    """A field that is given has its own line, a missing one the line of its parent."""
    text = "min_recall: 2\nmax_false_positive_rate: 0.1\nmin_positives: 1\nchallenger:\n  resamples: 5\n"
    with pytest.raises(config.FileInvalid) as caught:
        config.parse(text, config.GATE, config.GateFile)
    lines = {message.split(": ", 1)[1].split()[0]: line for line, message in caught.value.problems}
    assert lines["min_recall"] == 1
    assert lines["challenger.resamples"] == 5
    assert {line for field, line in lines.items() if field not in ("min_recall", "challenger.resamples")} == {4}


def test_line_of_a_list_item_is_its_own() -> None:
    """A path into a list gives the line of the item; a path that does not exist gives its nearest parent."""
    text = "a:\n  - x\n  - y: 1\n"
    assert config.line_of(text, ["a", 1, "y"]) == 3
    assert config.line_of(text, ["a", 0]) == 2
    assert config.line_of(text, ["a", 7]) == 1
    assert config.line_of(text, ["b"]) is None
