"""A drift verdict in a few words and figures, for a table of decisions; the whole of it lies in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATISTIC = "Kolmogorov–Smirnov distance"
_ORDER = ("no data", "concept", "schema", "prediction", "data")
_LEAST = 1e-300  # what is left of a p-value below it is rounding
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
    """The findings that fired: what labels say first, then by p-value, then by how far beyond its limit each is."""
    fired = [item for item in judgement["findings"] if item["fired"]]
    fired.sort(key=lambda item: (_ORDER.index(item["kind"]), *_chance(item), -_times(item)))
    quoted = {}
    for item in fired[:_STRONGEST]:
        p_value = item["p_value"]
        chance = "" if p_value is None else f", p = {p_value:.1e}" if p_value > _LEAST else f", p < {_LEAST:.0e}"
        value = _number(item["value"]) if item["value"] is not None else "none"
        name = f"{item['kind']}: {item['statistic']}" + (f" of {item['subject']}" if item["subject"] else "")
        quoted[name] = f"{value} (limit {_number(item['threshold'])}{chance}) {item['detail']}".strip()
    if len(fired) > _STRONGEST:
        quoted["and"] = f"{len(fired) - _STRONGEST} more"
    return quoted


def _chance(item: Mapping[str, Any]) -> tuple[bool, float]:
    """To sort by: those without a p-value last."""
    return item["p_value"] is None, item["p_value"] or 0.0


def _times(item: Mapping[str, Any]) -> float:
    """How many times its limit a finding is: p-values of clear drift are all too small to tell apart."""
    return abs(item["value"] or 0.0) / abs(item["threshold"]) if item["threshold"] else 0.0


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
