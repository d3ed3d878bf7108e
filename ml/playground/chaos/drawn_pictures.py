"""Draws each picture of a shard's runs once: most runs draw the same figures, and equal figures give equal bytes.

Drawing makes no call and writes no file, so that no fault can meet it. Only the time of a run changes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ml.report import drift_report, evaluation_plots

_PLACES: tuple[ModuleType, ...] = (evaluation_plots, drift_report)
"""Where the verbs look up `draw`, of approvals and of drift reports."""


@contextmanager
def kept() -> Iterator[None]:
    """Within it, `draw` returns what it drew for equal arguments before."""
    originals = [(module, module.draw) for module in _PLACES]
    for module, original in originals:
        setattr(module, "draw", _once(original))  # noqa: B010 - a module's attribute, for mypy
    try:
        yield
    finally:
        for module, original in originals:
            setattr(module, "draw", original)  # noqa: B010 - as above


def _once(original: Callable[..., dict[str, bytes]]) -> Callable[..., dict[str, bytes]]:
    drawn: dict[bytes, dict[str, bytes]] = {}

    def draw(*arguments: Any, **named: Any) -> dict[str, bytes]:
        # Equal arguments may have different bytes; they are then drawn again.
        key = pickle.dumps((arguments, sorted(named.items())))
        if key not in drawn:
            drawn[key] = original(*arguments, **named)
        return dict(drawn[key])

    return draw
