"""An evaluation of generated scores, in the format of evaluation.json; not a test itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ml.model import metrics, threshold_evidence

CHAMPION = "e" * 64
HOSTILE_VALUE = "<script>alert(1)</script> | @alice"
WRONG: dict[str, float] = {"challenger": 0.01, "champion": 0.012, "difference": -0.002, "low": -0.01, "high": 0.006}
COMPARED: dict[str, Any] = {
    "status": "compared",
    "reason": "Compared with the champion on 3900 test rows with 40 frauds that it has not seen.",
    "artifact_sha256": CHAMPION,
    "rows": 3900,
    "positives": 40,
    "average_precision": {"challenger": 0.91, "champion": 0.88, "difference": 0.03, "low": -0.01, "high": 0.07},
    "recall": {"challenger": 0.95, "champion": 0.95, "difference": 0.0, "low": -0.025, "high": 0.025},
    "precision": {"challenger": 0.51, "champion": 0.5, "difference": 0.01, "low": -0.08, "high": 0.1},
    "false_positive_rate": {
        "challenger": 0.0078,
        "champion": 0.008,
        "difference": -0.0002,
        "low": -0.002,
        "high": 0.0016,
    },
    "slices": [
        {
            "name": "amount below 20",
            "rows": 2000,
            "positives": 3,
            "precision": None,
            "average_precision": None,
            "recall": {"challenger": 1.0, "champion": 1.0, "difference": 0.0, "low": -0.6, "high": 0.6},
            "false_positive_rate": WRONG,
        },
        {
            "name": "amount 20 or more",
            "rows": 1900,
            "positives": 0,
            "precision": None,
            "average_precision": None,
            "recall": None,
            "false_positive_rate": WRONG,
        },
    ],
}
ALONE: dict[str, Any] = {
    "status": "none",
    "reason": "There is no champion to compare with: no model serves yet.",
    "artifact_sha256": None,
    "rows": 0,
    "positives": 0,
    "average_precision": None,
    "recall": None,
    "precision": None,
    "false_positive_rate": None,
    "slices": [],
}
ROW_COUNTS = {
    "read": 12_200,
    "repeated_ids": 0,
    "outside_window": 200,
    "unlabelled": 0,
    "used": 12_000,
    "duplicates": 7,
    "duplicates_across_parts": 2,
}


def evaluation(*, champion: dict[str, Any] | None = None, seed: int = 1) -> dict[str, Any]:
    """4,000 rows with some forty frauds, scored well but not perfectly, over two days."""
    random = np.random.default_rng(seed)
    labels = (random.random(4000) < 0.01).astype(int)
    scores = 1 / (1 + np.exp(-(random.normal(size=4000) - 4 + labels * (5 + random.normal(size=4000)))))
    threshold = float(np.quantile(scores[labels == 0], 0.992))
    decisions = (scores >= threshold).astype(int)
    counts = metrics.Confusion.of(labels, decisions)
    figures = metrics.measure(labels, scores, decisions, alert_budget=0.01, seed=seed)
    window = {"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-03T00:00:00+00:00"}
    return {
        "schema": 2,
        "kind": "fit",
        "verdict": {
            "status": "passed",
            "reason": "Recall is enough.",
            "checks": [
                {"name": "recall", "passed": True, "observed": 0.9, "limit": 0.6, "detail": "Recall 0.90 > 0.60."},
            ],
        },
        "metrics": {name: figure.to_dict() for name, figure in figures.items()},
        "confusion": dataclasses.asdict(counts),
        "rows": 4000,
        "positives": counts.positives,
        "threshold": {"policy": "max_recall_at_fpr", "value": 0.008, "score": threshold},
        "threshold_change": None,
        "row_counts": ROW_COUNTS,
        "alert_budget": 0.01,
        "champion": champion or ALONE,
        "windows": {part: window | {"rows": 4000, "frauds": 40} for part in ("train", "validation", "test")},
        "fit": {
            "expected": {
                "figure": "false_positive_rate",
                "value": 0.0071,
                "low": 0.0009,
                "high": 0.0251,
                "count": 2,
                "of": 285,
                "blocks": 5,
                "dispersion": 1.0,
                "source": "validation",
            },
            "synthetic_rows": 12,
            "notes": [],
        },
        "budget": {
            "shortfall": None,
            "exceeded": False,
            "needed": None,
            "days": 2.0,
            "options": [
                option.to_dict()
                for option in threshold_evidence.options(
                    scores, labels, np.full(4000, 10.0), days=2.0, alert_shares=(0.01, 0.05)
                )
            ],
        },
        "by_kind": _by_kind(labels, decisions, compared=champion is not None),
        "curves": {
            "precision_recall": metrics.precision_recall_curve(labels, scores),
            "compared": _compared_curves(labels, scores, random) if champion is not None else None,
        },
        "provenance": {"commit": "b" * 40, "config_sha256": "c" * 64, "data_sha256": "d" * 64},
        "artifact": {"sha256": "a" * 64, "bytes": 12345},
    }


def _compared_curves(labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], random: Any) -> dict[str, Any]:
    """Both models on 3,900 of the rows; the champion's scores are the new model's, disturbed."""
    truth, ours = labels[:3900], scores[:3900]
    theirs = ours * np.exp(random.normal(scale=0.6, size=3900))
    drawn = {
        name: metrics.precision_recall_curve(truth, each) for name, each in (("challenger", ours), ("champion", theirs))
    }
    return {"rows": 3900, "positives": int(truth.sum()), **drawn}


def _by_kind(labels: np.ndarray[Any, Any], decisions: np.ndarray[Any, Any], *, compared: bool) -> dict[str, Any]:
    """Counts of two kinds of rows, the champion's as many as the new model's."""
    kinds = []
    for by, name, inside in (
        ("hour", "00:00 to 04:00", np.arange(4000) < 1000),
        ("category", f"shop: {HOSTILE_VALUE}", np.arange(4000) >= 1000),
    ):
        counts = {"alerts": int(decisions[inside].sum()), "found": int((decisions & labels)[inside].sum())}
        models = {"challenger": counts} | ({"champion": counts} if compared else {})
        kind = {"by": by, "name": name, "rows": int(inside.sum()), "positives": int(labels[inside].sum())}
        kinds.append(kind | {"models": models})
    return {"rows": 4000, "positives": int(labels.sum()), "kinds": kinds}


def schema_1(made: dict[str, Any]) -> dict[str, Any]:
    """`made` as earlier versions wrote it: without the champion's curve, and without counts by kind."""
    earlier = {name: value for name, value in made.items() if name != "by_kind"}
    return earlier | {"schema": 1, "curves": {"precision_recall": made["curves"]["precision_recall"]}}


def blind() -> dict[str, Any]:
    """The evaluation of a model without alerts: precision is null with a reason."""
    labels, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    decisions = np.zeros(4, dtype=int)
    figures = metrics.measure(labels, scores, decisions, alert_budget=0.01, seed=1)
    return evaluation() | {
        "metrics": {name: figure.to_dict() for name, figure in figures.items()},
        "confusion": dataclasses.asdict(metrics.Confusion.of(labels, decisions)),
        "rows": 4,
        "positives": 1,
        "curves": {"precision_recall": metrics.precision_recall_curve(labels, scores), "compared": None},
    }


def wasting(made: dict[str, Any]) -> dict[str, Any]:
    """`made` with a threshold far below the score of the last fraud that it finds: 400 more false alarms."""
    counts = dict(made["confusion"])
    counts["false_positives"] += 400
    counts["true_negatives"] -= 400
    alerts = counts["true_positives"] + counts["false_positives"]
    value = counts["true_positives"] / alerts
    precision = made["metrics"]["precision"] | {"value": value, "low": value - 0.02, "high": value + 0.02}
    precision |= {"of": alerts}
    return made | {
        "confusion": counts,
        "metrics": made["metrics"] | {"precision": precision},
        "threshold": made["threshold"] | {"score": 1e-6},
    }
