"""A drift verdict in a few words and figures, for a table of decisions; the whole of it lies in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATISTIC = "Kolmogorov–Smirnov distance"
_STRONGEST = 6
"""Findings that are quoted."""


def moved(judgement: Mapping[str, Any]) -> dict[str, str]:
    """What moved furthest, and what mature labels say, fired or not."""
    said = {}
    if judgement["features"]:
        furthest = max(judgement["features"], key=lambda item: item["ks"])
        said["moved most"] = f"{furthest['name']}: {STATISTIC} {furthest['ks']:.3f}, {furthest['mean_shift']:+.2f} sd"
    counts = (judgement["labels"] or {}).get("confusion")
    if counts:
        frauds = counts["true_positives"] + counts["false_negatives"]
        said["labels by now"] = (
            f"{counts['true_positives']} of {frauds} frauds alerted, {counts['false_positives']} false alarms"
        )
    return said


def findings(judgement: Mapping[str, Any]) -> dict[str, str]:
    """The findings that fired, those with the smallest p-value first."""
    fired = [item for item in judgement["findings"] if item["fired"]]
    fired.sort(key=lambda item: (item["p_value"] is None, item["p_value"] or 0.0))
    quoted = {}
    for item in fired[:_STRONGEST]:
        chance = f", p = {item['p_value']:.1e}" if item["p_value"] is not None else ""
        value = _number(item["value"]) if item["value"] is not None else "none"
        name = f"{item['kind']}: {item['statistic']}" + (f" of {item['subject']}" if item["subject"] else "")
        quoted[name] = f"{value} (limit {_number(item['threshold'])}{chance}) {item['detail']}".strip()
    if len(fired) > _STRONGEST:
        quoted["and"] = f"{len(fired) - _STRONGEST} more"
    return quoted


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
