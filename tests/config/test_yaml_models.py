"""YAML is read strictly, in bounded time, and every error has its place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.config import yaml_documents
from ml.errors import ConfigError
from tests.harness.fuzzing import examples


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
    """The error names the file, the line and the position of the byte."""
    (tmp_path / "a.yaml").write_bytes(b"# a\ncaf\xe9: 1\n")
    with pytest.raises(ConfigError, match=r"a\.yaml: line 2: must be UTF-8 \(byte 7 is not\)"):
        config.read(tmp_path, Path("a.yaml"), config.GateFile)


def test_text_is_parsed_once_and_each_document_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a document is not in the next one of the same text; an error comes again, and a long text is parsed
    again."""
    text, parsed, original = "once: [1, {two: 2026-01-01T00:00:00Z}]\n", [], yaml.SafeLoader.get_single_node

    def count(loader: yaml.SafeLoader) -> Any:
        parsed.append(loader)
        return original(loader)

    monkeypatch.setattr(yaml.SafeLoader, "get_single_node", count)
    first = yaml_documents.load(text)
    first["once"][1]["three"] = 3
    del first["once"][0]
    assert yaml_documents.load(text) == {"once": [1, {"two": datetime(2026, 1, 1, tzinfo=UTC)}]}
    assert len(parsed) == 1
    for _ in range(2):
        with pytest.raises(yaml_documents.YamlInvalid, match="given twice"):
            yaml_documents.load("once: 1\nonce: 2\n")
    long = f"# {'x' * 20_000}\nlong: [1]\n"
    yaml_documents.load(long)["long"].clear()
    assert yaml_documents.load(long) == {"long": [1]}
    assert len(parsed) == 5


def test_every_problem_has_its_line() -> None:
    """A field that is given has its own line, a missing one the line of its parent."""
    text = (
        "min_recall: 2\nmax_false_positive_rate: 0.1\ndecides: point\nmin_positives: 1\nchallenger:\n  resamples: 5\n"
    )
    with pytest.raises(config.FileInvalid) as caught:
        config.parse(text, config.GATE, config.GateFile)
    lines = {message.split(": ", 1)[1].split()[0]: line for line, message in caught.value.problems}
    assert lines["min_recall"] == 1
    assert lines["challenger.resamples"] == 6
    assert {line for field, line in lines.items() if field not in ("min_recall", "challenger.resamples")} == {5}


def test_line_of_a_list_item_is_its_own() -> None:
    """A path into a list gives the line of the item; a path that does not exist gives its nearest parent."""
    text = "a:\n  - x\n  - y: 1\n"
    assert config.line_of(text, ["a", 1, "y"]) == 3
    assert config.line_of(text, ["a", 0]) == 2
    assert config.line_of(text, ["a", 7]) == 1
    assert config.line_of(text, ["b"]) is None


def lines(count: int, line: str) -> str:
    """`count` lines, each with its number."""
    return "".join(line.format(number) + "\n" for number in range(count))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2026-13-45", "'2026-13-45' is not a valid timestamp"),
        ("2026-02-30T10:00:00Z", "is not a valid timestamp"),
        ("0x_", "'0x_' is not a valid int"),
        ("0b_", "is not a valid int"),
        ("!!int ''", "is not a valid int"),
        ("!!bool perhaps", "'perhaps' is not a valid bool"),
        ("!!float x", "is not a valid float"),
        ("!!timestamp yesterday", "'yesterday' is not a valid timestamp"),
        ("!!binary 'a'", "failed to decode base64 data"),
        ("!!map x", "'x' is not a valid map"),
        ("!!python/name:os.system x", "could not determine a constructor"),
        ("9" * 5_000, "is not a valid int"),
        ("{<<: 3}", "expected a mapping or list of mappings for merging"),
        ("{<<: [1]}", "expected a mapping for merging"),
        ("*missing", "found undefined alias"),
        ("&a [*a]", "an alias refers to a value that holds it"),
        ("&a {x: *a}", "an alias refers to a value that holds it"),
        ("[" * 60 + "]" * 60, "nested deeper than 50 levels"),
        ("[" * 100_000, "nested deeper than 50 levels"),
        ('"\\ud800"', "half of a surrogate pair"),
        ("a\x07b", "character U+0007 is not allowed"),
        ("a\ufffeb", "character U+FFFE is not allowed"),
        ("\t- x", "found character"),
        ("'", "found unexpected end of stream"),
    ],
)
def test_every_kind_of_yaml_error_names_file_and_line(value: str, problem: str) -> None:
    """A value that YAML or its tag does not allow is a ConfigError of bounded length with its place."""
    with pytest.raises(config.FileInvalid) as caught:
        config.parse(f"# a comment\nmin_recall: {value}\n", config.GATE, config.GateFile)
    message = str(caught.value)
    assert message.startswith(f"{config.GATE}: line "), message
    assert problem in message
    assert [line for line, _ in caught.value.problems] in ([2], [3])
    assert len(message) < 600


def test_second_document_is_refused() -> None:
    """A file is one document."""
    with pytest.raises(ConfigError, match=r"gate\.yaml: line 2, column 1: not valid YAML: but found another document"):
        config.parse("a: 1\n--- 2\n", config.GATE, config.GateFile)


def test_aliases_are_expanded_up_to_a_limit() -> None:
    """A small text whose aliases expand to gigabytes is refused, without expanding them; a modest alias is read."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    merges = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    for bomb in (f"l0: &l0 lol\n{levels}", f"m0: &m0 {{a: 1}}\n{merges}"):
        with pytest.raises(
            ConfigError, match=r"gate\.yaml: line \d+, .*larger than 1000000 characters, aliases"
        ) as caught:
            config.parse(bomb, config.GATE, config.GateFile)
        assert len(str(caught.value)) < 300
    assert yaml_documents.load("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}") == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": {"x": 1, "y": 2},
    }


def test_messages_are_bounded() -> None:
    """Many problems, long keys and long values give a short message, in time that does not grow with their square."""
    for text in (
        lines(5_000, "key{}: 1"),
        f"{'k' * 100_000}: 1",
        f"min_recall: {'v' * 100_000}",
        f"min_recall: [{'1, ' * 50_000}]",
        f"{'k' * 100_000}: 1\n" * 2,
        f"min_recall: *{'a' * 100_000}",
        f"min_recall: !{'t' * 100_000} 1",
    ):
        with pytest.raises(config.FileInvalid) as caught:
            config.parse(text, config.GATE, config.GateFile)
        assert len(str(caught.value)) < 8_000
        assert len(caught.value.problems) <= 20
    with pytest.raises(config.FileInvalid, match=r"; and 4985 more$"):
        config.parse(lines(5_000, "key{}: 1"), config.GATE, config.GateFile)


@examples(300)
@given(st.text(alphabet="a1-:[]{}&*!<>|'\"\n #,?%@`~.0x_\t\u00e9\ud800\x00", max_size=60))
def test_any_text_is_a_gate_or_a_config_error(text: str) -> None:
    """No text makes another exception, and every message names the file."""
    try:
        config.parse(text, config.GATE, config.GateFile)
    except config.FileInvalid as error:
        assert str(error).startswith(f"{config.GATE}: ")
