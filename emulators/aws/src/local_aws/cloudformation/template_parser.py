"""Parses the templates of moto's CloudFormation, each once: moto parses one up to six times for a request, in Python.

Builds YAML's plain types and CloudFormation's functions only, and executes nothing.
"""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import Any

from moto.cloudformation import models, responses
from moto.cloudformation.utils import yaml_tag_constructor

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment] # the same methods


class _Loader(SafeLoader):
    """Reads the short form of functions as moto does."""


_Loader.add_multi_constructor("", yaml_tag_constructor)


def install() -> None:
    """Replaces the parser of moto's templates, for this process."""
    models.yaml = responses.yaml = SimpleNamespace(
        Loader=_Loader, load=lambda text, Loader: parse(text), add_multi_constructor=lambda *_: None
    )


def parse(text: str) -> Any:
    """The document, which the caller may change. Raises yaml.YAMLError if the text is not YAML."""
    return copy.deepcopy(_parsed(text))


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
