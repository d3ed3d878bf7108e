"""Summarises a drift verdict for the table of decisions; the full verdict is in the data lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATISTIC = "Kolmogorov–Smirnov distance"
_ORDER = ("no data", "concept", "schema", "prediction", "data")
_SMALLEST_P_VALUE = 1e-300  # smaller p-values are shown as "<", their digits are rounding errors
_MAX_FINDINGS = 6
"""Number of findings that are listed."""


def largest_shift(verdict: Mapping[str, Any]) -> dict[str, str]:
    """The feature with the largest shift, and the counts of mature labels, fired or not."""
    summary = {}
    if verdict["features"]:
        furthest = max(verdict["features"], key=lambda item: item["ks"])
        summary["moved most"] = (
            f"{furthest['name']}: {STATISTIC} {furthest['ks']:.3f}, {furthest['mean_shift']:+.2f} sd"
        )
    counts = (verdict["labels"] or {}).get("confusion")
    if counts:
        frauds = counts["true_positives"] + counts["false_negatives"]
        summary["labels by now"] = (
            f"{counts['true_positives']} of {frauds} frauds alerted, {counts['false_positives']} false alarms"
        )
    return summary


def findings(verdict: Mapping[str, Any]) -> dict[str, str]:
    """The findings that fired: concept first, then by p-value, then by the multiple of the limit."""
    fired = [item for item in verdict["findings"] if item["fired"]]
    fired.sort(key=lambda item: (_ORDER.index(item["kind"]), *_p_value_order(item), -_multiple_of_limit(item)))
    quoted = {}
    for item in fired[:_MAX_FINDINGS]:
        p_value = item["p_value"]
        chance = (
            ""
            if p_value is None
            else f", p = {p_value:.1e}"
            if p_value > _SMALLEST_P_VALUE
            else f", p < {_SMALLEST_P_VALUE:.0e}"
        )
        value = _number(item["value"]) if item["value"] is not None else "none"
        name = f"{item['kind']}: {item['statistic']}" + (f" of {item['subject']}" if item["subject"] else "")
        quoted[name] = f"{value} (limit {_number(item['threshold'])}{chance}) {item['detail']}".strip()
    if len(fired) > _MAX_FINDINGS:
        quoted["and"] = f"{len(fired) - _MAX_FINDINGS} more"
    return quoted


def _p_value_order(item: Mapping[str, Any]) -> tuple[bool, float]:
    """A sort key: findings without a p-value are last."""
    return item["p_value"] is None, item["p_value"] or 0.0


def _multiple_of_limit(item: Mapping[str, Any]) -> float:
    """A finding's value as a multiple of its limit, which ranks findings whose p-values are all 0."""
    return abs(item["value"] or 0.0) / abs(item["threshold"]) if item["threshold"] else 0.0


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
