"""Says if a model alerts on nearly every transaction of the highest amounts, by evaluation.json. Measures nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ml.gitops.percent import percent

_NEARLY_EVERY = 0.8
"""From this share of alerts on, the band is pointed out: there, the amount alone decides."""
_MIN_ROWS = 20
_HIGHEST = re.compile(r"amount (?P<low>\S+) or more")
"""The name of the band without an upper end."""


def sentence(evaluation: Mapping[str, Any], champion: str) -> str:
    """The highest amounts, if the model alerts on nearly all of them, beside the champion, in plain text; '' if not.

    Args:
        champion: the number of its approval.
    """
    parts = [part for part in evaluation["champion"].get("slices") or () if _is_always(part)]
    return " ".join(_words(part, champion) for part in parts)


def _is_always(part: Mapping[str, Any]) -> bool:
    known = _HIGHEST.fullmatch(part["name"]) and part["false_positive_rate"] is not None
    return bool(known) and part["rows"] >= _MIN_ROWS and _alerts(part, "challenger") >= _NEARLY_EVERY * part["rows"]


def _words(part: Mapping[str, Any], champion: str) -> str:
    ours, theirs = (_alerts(part, model) for model in ("challenger", "champion"))
    found, before = (_found(part, model) for model in ("challenger", "champion"))
    low = part["name"].removeprefix("amount ").removesuffix(" or more")
    return (
        f"Of {part['rows']:,} compared test transactions with an amount of {low} or more, {part['positives']:,} of "
        f"them frauds, it alerts on {ours:,} ({percent(ours / part['rows'])}), {found:,} of them frauds; {champion} on "
        f"{theirs:,}, {before:,} of them frauds."
    )


def _alerts(part: Mapping[str, Any], model: str) -> int:
    """The band's alerts of a model: of its frauds and of its legitimate rows."""
    wrong: float = part["false_positive_rate"][model] * (part["rows"] - part["positives"])
    return _found(part, model) + round(wrong)


def _found(part: Mapping[str, Any], model: str) -> int:
    """The band's frauds on which a model alerts."""
    return round(part["recall"][model] * part["positives"]) if part["recall"] is not None else 0
