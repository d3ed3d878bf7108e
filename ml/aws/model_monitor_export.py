"""Exports a window and its reference in SageMaker Model Monitor's file formats.

Model Monitor accepts no new customers. Teams that use it can read these files as they read its own, or use them as the
baseline of a schedule. The schemas are those of "Schema for Statistics", "Schema for Constraints" and "Schema for
Violations" in the SageMaker Developer Guide. The time column is exported as seconds of the day, as the drift check uses
it; captured requests have the original value, so a schedule's own job would report drift of that column. This module
converts only; it makes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STATISTICS, CONSTRAINTS, VIOLATIONS = "statistics.json", "constraints.json", "constraint_violations.json"
CHECKS = {
    "missing": "completeness_check",
    "absent": "missing_column_check",
    "unexpected_field": "extra_column_check",
    "unseen": "categorical_values_check",
    "drift": "baseline_drift_check",
}
"""Kind of finding → name of Model Monitor's check."""
_SKETCH = {"c": 0.64, "k": 2048.0}  # as in the sketches that Model Monitor writes


@dataclass(frozen=True, kw_only=True)
class Column:
    """A numeric column: `counts` between the interior `edges`; `low` and `high` bound the outer bins."""

    name: str
    n: int
    missing: int
    mean: float
    std: float
    low: float | None
    high: float | None
    edges: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Category:
    """A text column: the rows of each of its values."""

    name: str
    missing: int
    counts: Mapping[str, int]

    @property
    def n(self) -> int:
        """The rows with a value."""
        return sum(self.counts.values())


def statistics(rows: int, columns: Iterable[Column | Category]) -> dict[str, Any]:
    """The content of statistics.json. The sketch represents every row, spread evenly within each bin."""
    return {
        "version": 0.0,
        "dataset": {"item_count": rows},
        "features": [_statistics(column) for column in columns],
    }


def _statistics(column: Column | Category) -> dict[str, Any]:
    common = {"num_present": column.n, "num_missing": column.missing}
    if isinstance(column, Category):
        buckets = [{"value": value, "count": count} for value, count in column.counts.items() if count]
        distribution = {"categorical": {"buckets": buckets}}
        return {
            "name": column.name,
            "inferred_type": "String",
            "string_statistics": {"common": common, "distinct_count": len(buckets), "distribution": distribution},
        }
    return {
        "name": column.name,
        "inferred_type": "Fractional",
        "numerical_statistics": {
            "common": common,
            **_moments(column),
            "distribution": {"kll": _distribution(column)},
        },
    }


def constraints(columns: Iterable[Column | Category], *, max_missing: float, max_distance: float) -> dict[str, Any]:
    """The content of constraints.json: the constraints on later rows, from columns of the reference.

    Args:
        max_missing: the share of a column's rows that may be missing beyond what the reference lacked.
        max_distance: the Kolmogorov-Smirnov distance (Model Monitor's L-infinity is the same) that is tolerated.
    """
    return {
        "version": 0.0,
        "features": [
            {"name": column.name} | _domain(column) | {"completeness": max(0.0, _present(column) - max_missing)}
            for column in columns
        ],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": max_distance,
                "comparison_method": "Robust",
                "categorical_comparison_threshold": max_distance,
                "categorical_drift_method": "LInfinity",
            },
        },
    }


def violations(found: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The content of constraint_violations.json, from (column, key of CHECKS, description)."""
    return {
        "violations": [
            {"feature_name": name, "constraint_check_type": CHECKS[kind], "description": words}
            for name, kind, words in found
        ]
    }


def _moments(column: Column) -> dict[str, float]:
    if not column.n or column.low is None or column.high is None:
        return {}
    return {
        "mean": column.mean,
        "sum": column.mean * column.n,
        "std_dev": column.std,
        "min": column.low,
        "max": column.high,
    }


def _domain(column: Column | Category) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"inferred_type": "String", "string_constraints": {"domains": list(column.counts)}}
    positive = column.low is not None and column.low >= 0
    return {"inferred_type": "Fractional", "num_constraints": {"is_non_negative": positive}}


def _present(column: Column | Category) -> float:
    total = column.n + column.missing
    return column.n / total if total else 0.0


def _distribution(column: Column) -> dict[str, Any]:
    """The buckets, and a quantile sketch with the same counts: an item of level h stands for 2**h rows.

    A bin's count is decomposed in binary: one item per set bit at each level below the highest, and the remainder as
    items of the highest level. Items are spaced evenly in the bin.
    """
    if not column.n or column.low is None or column.high is None:
        return {"buckets": [], "sketch": {"parameters": _SKETCH, "data": [[]]}}
    inner = [min(max(edge, column.low), column.high) for edge in column.edges]
    bounds = [column.low, *inner, column.high]
    bins = list(zip(bounds, bounds[1:], column.counts, strict=False))
    top = max(0, (column.n // int(_SKETCH["k"])).bit_length())
    levels: list[list[float]] = [[] for _ in range(top + 1)]
    for low, high, count in bins:
        for level in range(top):
            if count >> level & 1:
                levels[level].append((low + high) / 2)
        whole = count >> top
        levels[top] += [low + (high - low) * (place + 0.5) / whole for place in range(whole)]
    return {
        "buckets": [{"lower_bound": low, "upper_bound": high, "count": float(count)} for low, high, count in bins],
        "sketch": {"parameters": _SKETCH, "data": [sorted(level) for level in levels]},
    }
