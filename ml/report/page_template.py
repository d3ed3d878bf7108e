"""Renders the pages of this folder: templates/page.html is their frame. A page loads nothing and runs no script."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def environment(package: str = "ml.report", **filters: Callable[..., Any]) -> Environment:
    """An environment that escapes every value and refuses names that are not given.

    Args:
        package: whose templates it finds, before those of this folder.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("ml.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= filters
    return made


def png_address(content: bytes) -> str:
    """A PNG as an address that a page holds itself."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
