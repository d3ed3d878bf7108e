"""Parses YAML strictly, in bounded time and memory; every error has its line.

Any text gives a document or a YamlInvalid, and never another exception. Builds YAML's plain types only, and executes
nothing.
"""

from __future__ import annotations

import copy
import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ml.errors import ConfigError

MAX_DEPTH = 50
"""Levels of nested lists and mappings."""
MAX_SIZE = 1_000_000
"""Characters and values of a document, with what an alias refers to counted at each place."""
MAX_PROBLEM = 300
"""Characters of a problem in a message."""
_MAX_VALUE = 80  # characters of a value in a message
# A verb reads the same settings and records at many places and commits, and PyYAML takes tens of milliseconds for each.
_KEPT_DOCUMENTS = 256
_MAX_KEPT = 20_000  # characters of a text whose document is kept


class YamlInvalid(ValueError):
    """The text is not acceptable YAML. `line` and `column` start with 1; None if the problem has no place."""

    def __init__(self, problem: str, line: int | None, column: int | None = None) -> None:
        super().__init__(shortened(problem))
        self.line, self.column = line, column


class _Loader(yaml.SafeLoader):
    """YAML's safe loader with limits. A duplicate key is an error, and a time keeps its offset."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Composes a node; refuses deep nesting before Python's stack ends."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # PyYAML's stubs lack its types
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and any("\ud800" <= character <= "\udfff" for character in node.value):
            raise yaml.MarkedYAMLError(
                problem=f"{shortened(node.value, _MAX_VALUE)!r} has half of a surrogate pair",
                problem_mark=node.start_mark,
            )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; names its place if it is not what its form or its tag says."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, datetime) and value.tzinfo is not None:
                value.astimezone(UTC)  # within a day of year 1 or 9999 an offset may leave no time of UTC
        except yaml.YAMLError:
            raise
        except Exception as error:  # PyYAML's constructors let errors of int(), float(), date() and others escape
            kind = node.tag.rpartition(":")[2]
            text = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            raise yaml.MarkedYAMLError(
                problem=f"{shortened(text, _MAX_VALUE)!r} is not a valid {kind}", problem_mark=node.start_mark
            ) from error
        return value


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
        if key.value in seen:
            raise yaml.MarkedYAMLError(
                problem=f"key {shortened(key.value, _MAX_VALUE)!r} is given twice", problem_mark=key.start_mark
            )
        seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(text: str) -> Any:
    """The document in `text`, the caller's own; None if it is empty. Short texts are parsed once per process.

    Raises:
        YamlInvalid: it is not YAML, has two documents, a value that its tag does not allow, or exceeds a limit.
    """
    return copy.deepcopy(_kept(text)) if len(text) <= _MAX_KEPT else _parse(text)[1]


@functools.lru_cache(_KEPT_DOCUMENTS)
def _kept(text: str) -> Any:
    return _parse(text)[1]


def compose(text: str) -> yaml.Node | None:
    """The nodes of `text` with their places, without values; raises YamlInvalid as `load` does."""
    return _parse(text)[0]


def load_bytes(content: bytes, path: Path) -> Any:
    """The document in the bytes of `path`.

    Raises:
        ConfigError: they are not UTF-8 or not acceptable YAML; the message names file and line.
    """
    try:
        return load(decode(content, path))
    except YamlInvalid as error:
        raise ConfigError(f"{path}: {explain(error)}") from error


def decode(content: bytes, path: Path) -> str:
    """The text of the file `path`; ConfigError with the line if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line}: must be UTF-8 (byte {error.start} is not)") from error


def explain(error: YamlInvalid) -> str:
    """The problem after its place, for a message that begins with the file."""
    column = f", column {error.column}" if error.column else ""
    where = f"line {error.line}{column}: " if error.line else ""
    return f"{where}not valid YAML: {error}"


def shortened(text: str, limit: int = MAX_PROBLEM) -> str:
    """`text` in one line of at most `limit` characters."""
    line = " ".join(text[: limit * 2].split())
    return line if len(text) <= limit and len(line) <= limit else f"{line[: limit - 1]}…"


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None
            _check_size(node)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlInvalid(f"character U+{int(error.character):04X} is not allowed", line) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = str(getattr(error, "problem", None) or error)
        raise YamlInvalid(problem, mark.line + 1 if mark else None, mark.column + 1 if mark else None) from error


def _check_size(root: yaml.Node) -> None:
    """Refuses a document whose size, with aliases expanded, is above MAX_SIZE; visits each node once."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value)
        key = id(node)
        if key in open_nodes:
            raise yaml.MarkedYAMLError(problem="an alias refers to a value that holds it", problem_mark=node.start_mark)
        if key not in sizes:
            open_nodes.add(key)
            children = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
            sizes[key] = 1 + sum(map(size, children))
            open_nodes.remove(key)
            if sizes[key] > MAX_SIZE:
                raise yaml.MarkedYAMLError(
                    problem=f"larger than {MAX_SIZE} characters, aliases expanded", problem_mark=node.start_mark
                )
        return sizes[key]

    size(root)
