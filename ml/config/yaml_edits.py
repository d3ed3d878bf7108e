"""Changes values of a YAML text by key; every other byte, comments included, stays.

It changes values that exist and that are written in one line or in brackets. It never adds a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ml.config import yaml_documents
from ml.config.yaml_documents import YamlInvalid
from ml.errors import ConfigError


def set_values(text: str, path: Path, changes: Mapping[str, Any]) -> str:
    """`text`, the content of `path`, with other values at the given keys.

    Args:
        changes: the new value by key; dots lead into mappings, as in `split.train`. Values of YAML's plain types.

    Raises:
        ConfigError: the text is not YAML, lacks a key, or the value is a mapping or list in indented lines.
    """
    for key, value in changes.items():
        text = _set_value(text, path, key, value)
    return text


def _set_value(text: str, path: Path, key: str, value: Any) -> str:
    try:
        root, expected = yaml_documents.compose(text), yaml_documents.load(text)
    except YamlInvalid as error:
        raise ConfigError(f"{path}: {yaml_documents.explain(error)}") from error
    *parents, last = key.split(".")
    node, parent = root, expected
    for part in parents:
        node, parent = _child(node, part, path, key), parent[part]
    node = _child(node, last, path, key)
    parent[last] = value
    start, end = node.start_mark.index, node.end_mark.index
    # If the key has no value, the mark is directly after its colon.
    changed = f"{text[:start]}{'' if start < end else ' '}{_inline(value)}{text[end:]}"
    try:
        found = yaml_documents.load(changed)
    except YamlInvalid:
        found = None
    if found != expected:
        raise ConfigError(f"{path}: {key} must be written on its own, in one line or in brackets, to be changed")
    return changed


def _child(node: yaml.Node | None, part: str, path: Path, key: str) -> yaml.Node:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    found = [value for name, value in pairs if name.value == part]
    if not found:
        raise ConfigError(f"{path}: has no key {key}, whose value was to be changed")
    child: yaml.Node = found[0]
    return child


def _inline(value: Any) -> str:
    # As an item of a list in brackets, so that the text is also valid where the old value is in brackets.
    text: str = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**31)
    return text.strip().removeprefix("[").removesuffix("]")
