"""Says that a model alerts on nearly every transaction of an amount band, from evaluation.json. Measures nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ml.gitops.percent import percent

_NEARLY_EVERY = 0.8
"""From this share of alerts on, the band is pointed out: there, the amount alone decides."""
_MIN_ROWS = 20
_NAME = re.compile(r"amount (?:(?P<low>\S+) or more|below (?P<high>\S+)|(?P<from>\S+) to (?P<to>\S+))")


def sentence(evaluation: Mapping[str, Any], champion: str) -> str:
    """The bands on whose transactions the model alerts nearly always, beside the champion, in plain text; '' if none.

    Args:
        champion: the number of its approval.
    """
    parts = [part for part in evaluation["champion"].get("slices") or () if _is_always(part)]
    if not parts:
        return ""
    return f"It alerts on {'; '.join(_words(part, champion) for part in parts)}."


def _is_always(part: Mapping[str, Any]) -> bool:
    known = part["name"].startswith("amount ") and part["false_positive_rate"] is not None
    return known and part["rows"] >= _MIN_ROWS and _alerts(part, "challenger") >= _NEARLY_EVERY * part["rows"]


def _words(part: Mapping[str, Any], champion: str) -> str:
    ours, theirs = (_alerts(part, model) for model in ("challenger", "champion"))
    rows, frauds = part["rows"], part["positives"]
    return (
        f"{ours:,} of the {rows:,} test transactions with an {_band(part['name'])} ({percent(ours / rows)}; {champion} "
        f"on {theirs:,}), of which {frauds:,} are frauds"
    )


def _alerts(part: Mapping[str, Any], model: str) -> int:
    """The band's alerts of a model: of its frauds and of its legitimate rows."""
    frauds: int = part["positives"]
    found: float = part["recall"][model] * frauds if part["recall"] is not None else 0.0
    wrong: float = part["false_positive_rate"][model] * (part["rows"] - frauds)
    return round(found + wrong)


def _band(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    if found["low"]:
        return f"amount of {found['low']} or more"
    return f"amount below {found['high']}" if found["high"] else f"amount of {found['from']} to {found['to']}"
