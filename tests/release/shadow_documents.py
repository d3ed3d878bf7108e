"""Documents of a shadow's comparison for tests; not a test itself."""

from __future__ import annotations

from typing import Any

from ml.model import metrics


def document(
    *, both: int = 40, gained: int = 6, lost: int = 2, frauds: tuple[int, int, int] | None = None, **changes: Any
) -> dict[str, Any]:
    """A comparison of approvals 7 and 6 over a thousand transactions, with its time over.

    Args:
        both, gained, lost: alerts of both models, of the challenger alone and of production alone.
        frauds: known frauds among them; None if labels are not mature.
        changes: keys to replace.
    """
    rows = 1_000
    counts = {"both": both, "challenger_only": gained, "champion_only": lost, "neither": rows - both - gained - lost}
    known = dict(zip(counts, (*(frauds or (0, 0, 0)), 0), strict=True))
    labelled = rows if frauds else 0

    def share(count: int, of: int = rows) -> dict[str, Any]:
        return metrics.rate(count, of, "none is known").to_dict()

    def model(alone: str) -> dict[str, Any]:
        caught = known["both"] + known[alone]
        alerts = counts["both"] + counts[alone]
        return {
            "recall": share(caught, sum(known.values())),
            "precision": share(caught, alerts if frauds else 0),
            "fraud_amount": 10.0 * caught,
        }

    row = {"event_id": "e-1 | <b>@all</b>", "amount": 12.5, "champion_score": 0.25, "challenger_score": 0.75}
    one, other = known["challenger_only"], known["champion_only"]
    made: dict[str, Any] = {
        "schema": 1,
        "artifact_sha256": "a" * 64,
        "approval": 7,
        "champion": {"approval": 6, "artifact_sha256": "b" * 64},
        "at": "2026-03-02T12:00:00Z",
        "window": {
            "start": "2026-03-01T12:00:00Z",
            "end": "2026-03-02T12:00:00Z",
            "hours": 24,
            "compared_hours": 24.0,
            "over": True,
        },
        "traffic": {
            "requests": 800,
            "rows": rows,
            "rows_a_day": 1_000.0,
            "capture_percentage": 100,
            "sampled_requests": 800,
            "sampled_rows": rows,
            "other_model": 3,
            "unusable": 0,
            "unreadable": 0,
        },
        "errors": {},
        "rows": rows,
        "agreement": {name: share(count) for name, count in counts.items()}
        | {"same_decision": share(rows - gained - lost)},
        "alerts_a_day": {
            "champion": {"value": 42.0, "low": 31.0, "high": 56.0},
            "challenger": {"value": 46.0, "low": 35.0, "high": 61.0},
        },
        "scores": {
            "mean_difference": 0.01,
            "median_absolute": 0.002,
            "p99_absolute": 0.2,
            "largest": 0.6,
            "rank_correlation": 0.93,
        },
        "different": {
            "challenger_only": {"listed": [row] * gained, "more": 0},
            "champion_only": {"listed": [], "more": 0},
        },
        "labels": {
            "rows_with_id": rows,
            "labelled": labelled,
            "mature": frauds is not None,
            "immature_because": "" if frauds else "0 of 1000 rows have a label, 98% are needed",
            "cells": {
                name: {
                    "rows": count,
                    "labelled": count if frauds else 0,
                    "frauds": known[name],
                    "fraud_amount": 10.0 * known[name],
                }
                for name, count in counts.items()
            },
            "champion": model("champion_only"),
            "challenger": model("challenger_only"),
            "p_value": _p_value(one, other),
        },
    }
    return made | changes


def _p_value(one: int, other: int) -> float | None:
    from scipy import stats

    return float(stats.binomtest(one, one + other).pvalue) if one + other else None
