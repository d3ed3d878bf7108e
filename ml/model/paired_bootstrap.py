"""Bootstraps the difference in precision and in average precision between two models on the same rows.

Rows are drawn with replacement, frauds and legitimate rows separately, and both models are measured on each draw.
Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model.metrics import Ranking, blocks, percentiles
from ml.model.paired_difference import Difference


@dataclass(frozen=True)
class PairedBootstrap:
    """The number of resamples, the confidence of the intervals, and the seed that each figure starts from."""

    resamples: int
    confidence: float
    seed: int

    def precision(
        self, fraud: NDArray[np.bool_], challenger: NDArray[np.bool_], champion: NDArray[np.bool_]
    ) -> Difference | None:
        """The difference in precision, given who alerts which rows; None if a model alerts nothing.

        Rows of a class count by who alerts them: nobody, the challenger, the champion, or both. Resamples in which a
        model alerts nothing have no precision and are left out.
        """
        if not challenger.any() or not champion.any():
            return None
        random = np.random.default_rng(self.seed)
        cell = challenger + 2 * champion
        counts = [np.bincount(cell[part], minlength=4) for part in (fraud, ~fraud)]
        drawn = [random.multinomial(each.sum(), each / max(each.sum(), 1), self.resamples) for each in counts]
        hits, alarms = ([each[:, mine] + each[:, 3] for mine in (1, 2)] for each in drawn)  # of challenger, champion
        defined = (hits[0] + alarms[0] > 0) & (hits[1] + alarms[1] > 0)
        new, old = (hit[defined] / (hit[defined] + alarm[defined]) for hit, alarm in zip(hits, alarms, strict=True))
        observed = [
            float(np.count_nonzero(fraud & alert) / np.count_nonzero(alert)) for alert in (challenger, champion)
        ]
        return self._difference(observed[0], observed[1], new - old)

    def average_precision(
        self, fraud: NDArray[np.bool_], challenger: NDArray[np.float64], champion: NDArray[np.float64]
    ) -> Difference | None:
        """The difference in average precision, given both models' scores; None if the rows are of one class.

        A legitimate row counts only through its cells in the two rankings (metrics.Ranking). Rows with the same pair of
        cells are therefore drawn together: the multinomial over distinct pairs equals the one over rows.
        """
        if not fraud.any() or fraud.all():
            return None
        random = np.random.default_rng(self.seed)
        new, old = Ranking(fraud, challenger), Ranking(fraud, champion)
        pairs, counts = np.unique(new.cell * old.cells + old.cell, return_counts=True)
        new_cell, old_cell = np.divmod(pairs, old.cells)
        positives, negatives = int(fraud.sum()), int(counts.sum())
        drawn = np.empty(self.resamples)
        start = 0
        for size in blocks(self.resamples, len(pairs) + positives):
            frauds = random.multinomial(positives, np.full(positives, 1 / positives), size=size)
            rows = random.multinomial(negatives, counts / negatives, size=size)
            drawn[start : start + size] = new.average_precision(
                _sum_by(new.group, new.groups, frauds), _sum_by(new_cell, new.cells, rows)
            ) - old.average_precision(_sum_by(old.group, old.groups, frauds), _sum_by(old_cell, old.cells, rows))
            start += size
        observed = [
            float(ranking.average_precision(ranking.frauds_by_group[None], ranking.rows_by_cell[None])[0])
            for ranking in (new, old)
        ]
        return self._difference(observed[0], observed[1], drawn)

    def _difference(self, challenger: float, champion: float, drawn: NDArray[np.float64]) -> Difference:
        low, high = percentiles(drawn, self.confidence)
        return Difference(
            challenger=challenger, champion=champion, difference=challenger - champion, low=low, high=high
        )


def _sum_by(key: NDArray[np.intp], keys: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums the columns of `counts` that share a key: (resamples, columns) → (resamples, keys)."""
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    sums = np.zeros((len(counts), keys), dtype=np.int64)
    sums[:, key[order][starts]] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums
