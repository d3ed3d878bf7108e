"""Chooses the alert threshold on validation rows by a named policy.

Rows with equal scores are alerted together or not at all. On the rows that it was chosen on, a threshold never alerts
more rows than the policy allows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ml.model.training_settings import Threshold


def max_count(share: float, rows: int) -> int:
    """The largest count of rows that is at most `share` of `rows`; exact although `share * rows` is rounded."""
    allowed = math.floor(share * rows)
    return allowed + 1 if rows and (allowed + 1) / rows <= share else allowed


def lowest(limited: ArrayLike, allowed: int, others: ArrayLike = ()) -> float:
    """The lowest threshold that at most `allowed` of the scores `limited` reach (score >= threshold).

    It is halfway between the highest score that must stay below it and the next higher score of `limited` and
    `others`, so that rounding in the last bit of a score never changes a decision.

    Raises:
        ValueError: more than `allowed` of the scores are 1, so no threshold up to 1 can separate them.
    """
    scores = np.asarray(limited, dtype=np.float64)
    if allowed >= len(scores):
        return 0.0
    below = float(np.partition(scores, len(scores) - 1 - allowed)[len(scores) - 1 - allowed])
    if below >= 1:
        raise ValueError(
            f"{np.count_nonzero(scores >= 1)} of {len(scores)} scores are 1, more than the {allowed} that the "
            f"threshold policy allows: no threshold can separate them"
        )
    all_scores = np.concatenate([scores, np.asarray(others, dtype=np.float64)])
    above = float(all_scores[all_scores > below].min(initial=1.0))
    middle = below + (above - below) / 2
    return middle if middle > below else above


def choose(threshold: Threshold, scores: ArrayLike, labels: ArrayLike) -> float:
    """Applies the policy to scores and labels (0 or 1) of the validation rows.

    `max_recall_at_fpr`: the lowest threshold that alerts at most the share `value` of the legitimate rows; no other
    threshold within that limit finds more frauds. `alert_budget`: the lowest threshold that alerts at most the share
    `value` of all rows. `fixed`: `value` itself.

    Raises:
        ValueError: the policy is unknown, there are no rows to apply it to, or no threshold satisfies it.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if threshold.policy == "fixed":
        return threshold.value
    if threshold.policy == "max_recall_at_fpr":
        limited, others = values[truth == 0], values[truth == 1]
    elif threshold.policy == "alert_budget":
        limited, others = values, values[:0]
    else:
        raise ValueError(
            f"threshold.policy must be max_recall_at_fpr, alert_budget or fixed (got {threshold.policy!r})"
        )
    if not len(limited):
        raise ValueError(f"threshold policy {threshold.policy} has no validation rows to work with")
    return lowest(limited, max_count(threshold.value, len(limited)), others)
