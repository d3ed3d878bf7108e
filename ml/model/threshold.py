"""Chooses the alert threshold by a named policy, on rows that the model was not fitted on.

Rows with equal scores are alerted together or not at all. On the rows that it was chosen on, a threshold never alerts
more rows than the policy allows. What those rows say about later ones is threshold_evidence.py's subject.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    return _between(below, float(all_scores[all_scores > below].min(initial=1.0)))


def cheapest(
    scores: ArrayLike, labels: ArrayLike, amounts: ArrayLike, *, alert_cost: float, loss_share: float
) -> float:
    """The threshold of least cost: `alert_cost` per alert, and `loss_share` of the amount of each fraud not alerted.

    Args:
        amounts: in the unit of `alert_cost`; an amount below zero counts as zero.

    Returns:
        of equally cheap thresholds the highest, which alerts least.

    Raises:
        ValueError: alerting nothing is cheapest, but scores of 1 cannot stay below a threshold.
    """
    values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    at_stake = np.where(fraud, np.maximum(np.asarray(amounts, dtype=np.float64), 0.0), 0.0)
    levels, group = np.unique(values, return_inverse=True)
    alerts = np.bincount(group)[::-1]  # from the highest score down
    saved = np.bincount(group, weights=at_stake)[::-1]
    gains = np.concatenate([[0.0], np.cumsum(loss_share * saved - alert_cost * alerts)])
    best = int(np.argmax(gains))  # the first of equals; the number of levels that are alerted
    if best == len(levels):
        return 0.0
    below = float(levels[len(levels) - 1 - best])
    if below >= 1:
        raise ValueError(
            f"{alerts[0]} of {len(values)} scores are 1 and too costly to alert: no threshold excludes them"
        )
    return _between(below, float(levels[len(levels) - best]) if best else 1.0)


def choose(threshold: Threshold, scores: ArrayLike, labels: ArrayLike = (), amounts: ArrayLike | None = None) -> float:
    """Applies the policy to scored rows.

    `max_recall_at_fpr`: the lowest threshold that alerts at most the share `value` of the legitimate rows; no other
    threshold within that limit finds more frauds. `alert_budget`: the lowest threshold that alerts at most the share
    `value` of all rows; it needs no labels, so recent traffic can set it. `min_cost`: see `cheapest`; `value` is the
    cost of an alert. `fixed`: `value` itself.

    Args:
        scores: of validation rows, or out-of-fold scores (out_of_fold.py) of the rows that the model was fitted on.
        labels: 0 or 1 for each score; not used by `alert_budget` and `fixed`.
        amounts: for each score; used by `min_cost` only, which needs them.

    Raises:
        ValueError: the policy is unknown, there are no rows to apply it to, or no threshold satisfies it.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if threshold.policy == "fixed":
        return threshold.value
    limited = limited_rows(threshold.policy, len(values), truth)
    if not len(values) or (threshold.policy != "min_cost" and not limited.any()):
        raise ValueError(f"threshold policy {threshold.policy} has no validation rows to work with")
    if threshold.policy == "min_cost":
        if amounts is None:
            raise ValueError("threshold policy min_cost needs an amount column: name it in data.yaml, or set another")
        if threshold.loss_share is None or len(np.asarray(amounts)) != len(values):
            raise ValueError("threshold policy min_cost needs loss_share, and the amount of each row")
        return cheapest(values, truth, amounts, alert_cost=threshold.value, loss_share=threshold.loss_share)
    return lowest(values[limited], max_count(threshold.value, int(limited.sum())), values[~limited])


def limited_rows(policy: str, rows: int, labels: ArrayLike = ()) -> NDArray[np.bool_]:
    """Mask of the rows whose alerts a policy counts: all of them for `alert_budget`, else the legitimate ones.

    Raises:
        ValueError: the policy is unknown, or `labels` are not one for each row.
    """
    if policy == "alert_budget":
        return np.ones(rows, dtype=np.bool_)
    if policy not in ("max_recall_at_fpr", "min_cost", "fixed"):
        raise ValueError(
            f"threshold.policy must be max_recall_at_fpr, alert_budget, min_cost or fixed (got {policy!r})"
        )
    truth = np.asarray(labels)
    if len(truth) != rows:
        raise ValueError(f"threshold policy {policy} needs a label for each of {rows} scores (got {len(truth)})")
    return np.asarray(truth == 0)


def _between(below: float, above: float) -> float:
    middle = below + (above - below) / 2
    return middle if middle > below else above
