"""Parses YAML strictly, in bounded time and memory; every error has its line.

Builds YAML's plain types only, and executes nothing.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_DEPTH = 50
"""Levels of nested lists and mappings."""
MAX_SIZE = 100_000
"""Characters and values of a document, with what an alias refers to counted at each place."""
_MAX_PROBLEM = 300  # characters of a problem in a message


class YamlInvalid(ValueError):
    """The text is not acceptable YAML; the message begins with the line, the first being 1, where one is known."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses deep nesting, duplicate keys and values that its tags do not allow."""

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
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; names its place if it is not what its form or its tag says."""
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # PyYAML's constructors let errors of int(), float(), date() and others escape
            problem = f"not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"key {key.value[:80]!r} is given twice", problem_mark=key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(content: bytes) -> tuple[Any, yaml.Node | None]:
    """The document in `content`, and its root node, which has the places of its values; both None if it is empty.

    Raises:
        YamlInvalid: it is not UTF-8 or not YAML, has two documents, or exceeds a limit.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlInvalid(f"line {line}: must be UTF-8 (byte {error.start} is not)") from error
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None
            _check_size(node)
            return loader.construct_document(node), node
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlInvalid(f"line {line}: character U+{int(error.character):04X} is not allowed") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = " ".join(str(getattr(error, "problem", None) or error).split())[:_MAX_PROBLEM]
        raise YamlInvalid(f"line {mark.line + 1}: {problem}" if mark else problem) from error


def line_of(root: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line, the first being 1, of the value at a place: keys and indexes from the root, as far as they exist."""
    node = root
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == part), None)
        else:
            items = node.value if isinstance(node, yaml.SequenceNode) else []
            found = items[part] if isinstance(part, int) and part < len(items) else None
        if found is None:
            break
        node = found
    return node.start_mark.line + 1 if node is not None else 1


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
                problem = f"larger than {MAX_SIZE} characters, aliases expanded"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return sizes[key]

    size(root)
