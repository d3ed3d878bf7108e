"""Scores every row by a model that was fitted without that row's block of time.

Where few rows can be set aside for validation, these scores choose the threshold instead: all rows count, and none is
scored by a model that has seen its block. Blocks are stretches of time, not random rows, because frauds come in bursts:
a random split would put half of a burst on either side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import threshold
from ml.model.training_settings import OutOfFold, Threshold

Mask = NDArray[np.bool_]


def validation_is_small(settings: OutOfFold, policy: Threshold, labels: ArrayLike) -> bool:
    """Whether the policy allows fewer than `below_alerts` alerts on validation rows with `labels`.

    A policy that allows no share of the rows (`min_cost`, `fixed`) counts frauds instead: with fewer than that, the
    cheapest threshold is a matter of chance. A fixed threshold is never chosen, so it is never out of fold.
    """
    truth = np.asarray(labels)
    if policy.policy == "fixed":
        return False
    if policy.policy == "min_cost":
        return int(np.count_nonzero(truth == 1)) < settings.below_alerts
    limited = threshold.limited_rows(policy.policy, len(truth), truth)
    return threshold.max_count(policy.value, int(limited.sum())) < settings.below_alerts


def time_blocks(rows: int, count: int) -> NDArray[np.intp]:
    """The number of the block, from 0, of each of `rows` rows in order of time; sizes differ by one at most."""
    return np.arange(rows, dtype=np.intp) * count // max(rows, 1)


def scores(rows: int, count: int, fit_and_score: Callable[[Mask, Mask], ArrayLike]) -> NDArray[np.float64]:
    """The out-of-fold score of each of `rows` rows in order of time.

    Args:
        count: the number of blocks.
        fit_and_score: takes two masks of the rows; fits a model on those of the first and returns its scores of those
            of the second, in order.

    Raises:
        ValueError: fewer than two blocks, or fewer rows than blocks; and what `fit_and_score` raises, with the block.
    """
    if not 2 <= count <= rows:
        raise ValueError(f"out-of-fold scores need 2 blocks or more, and a row in each (got {count} of {rows} rows)")
    block, found = time_blocks(rows, count), np.empty(rows)
    for number in range(count):
        held = block == number
        try:
            found[held] = fit_and_score(~held, held)
        except ValueError as error:
            raise ValueError(f"without block {number + 1} of {count} of the rows in order of time: {error}") from error
    return found
