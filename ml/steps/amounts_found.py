"""Measures which share of the frauds' amounts each model finds, for people: at its threshold and at other alert rates.

Part of the Evaluate step (evaluate.py). The gate reads none of it. Reads and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml.model import threshold_evidence


def measure(
    labels: ArrayLike, amounts: ArrayLike | None, scored: Mapping[str, tuple[ArrayLike, ArrayLike]]
) -> dict[str, Any] | None:
    """The amount of the frauds, and what each model finds of it.

    Args:
        labels: 1 is fraud.
        amounts: of the same rows; an amount below 0 counts as 0. None if the data has none.
        scored: scores and decisions (1 = alert) of each model by its name, in the order of `labels`.

    Returns:
        None without amounts, or if the frauds' amounts add up to 0. Else rows, frauds and their amount, and for each
        model the share that it finds at its threshold (`value_recall`), and at each of `ALERT_SHARES`.
    """
    if amounts is None:
        return None
    fraud = np.asarray(labels) == 1
    stake = np.where(fraud, np.maximum(np.asarray(amounts, dtype=np.float64), 0.0), 0.0)
    total = float(stake.sum())
    if not total:
        return None
    return {
        "rows": len(fraud),
        "positives": int(fraud.sum()),
        "amount": total,
        "models": {
            name: {
                "value_recall": float(stake[np.asarray(decisions) == 1].sum()) / total,
                "options": _options(scores, labels, amounts),
            }
            for name, (scores, decisions) in scored.items()
        },
    }


def _options(scores: ArrayLike, labels: ArrayLike, amounts: ArrayLike) -> list[dict[str, float]]:
    options = threshold_evidence.options(scores, labels, amounts, days=0, alert_shares=threshold_evidence.ALERT_SHARES)
    return [
        {"alert_share": option.alert_share, "alerts": option.alerts, "value_recall": option.value_recall}
        for option in options
        if option.value_recall is not None
    ]
