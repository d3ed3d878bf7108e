"""The kinds of training runs. Values and their order only; what each kind does is in `ml.steps`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

RunKind = Literal["threshold", "drop", "adapt", "fit"]
THRESHOLD: RunKind = "threshold"
"""The champion's coefficients with a new threshold."""
DROP: RunKind = "drop"
"""The champion without its part for new patterns, with a new threshold: the frauds of that pattern have stopped."""
ADAPT: RunKind = "adapt"
"""The champion as the part for known patterns, and a part for new patterns that is fitted."""
FIT: RunKind = "fit"
"""A first training or a refit: all numbers are fitted to the rows of the training window."""
RUN_KINDS: tuple[RunKind, ...] = (THRESHOLD, DROP, ADAPT, FIT)
"""From the kind that changes least to the one that changes most: a later kind does what an earlier one was to do."""


def parse(text: str) -> RunKind:
    """The kind that `text` names; ValueError if it names none."""
    for kind in RUN_KINDS:
        if text == kind:
            return kind
    raise ValueError(f"a run's kind must be {', '.join(RUN_KINDS)} (got {text!r})")


def widest(kinds: Iterable[RunKind]) -> RunKind:
    """The kind of a run that covers all of `kinds`; `fit` if there are none."""
    return max(kinds, key=RUN_KINDS.index, default=FIT)


def covers(kind: RunKind, requested: RunKind) -> bool:
    """Whether a run of `kind` does what a run of the kind `requested` was to do."""
    return RUN_KINDS.index(kind) >= RUN_KINDS.index(requested)


def needs_champion(kind: RunKind) -> bool:
    """Whether a run of `kind` starts from the model that serves."""
    return kind != FIT


def fits_coefficients(kind: RunKind) -> bool:
    """Whether a run of `kind` fits coefficients; otherwise its training rows only choose the threshold."""
    return kind in (ADAPT, FIT)
