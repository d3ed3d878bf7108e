"""Compares challenger and champion with a paired bootstrap on test rows that the champion was not trained on.

Pairing keeps the correlation between the two models on the same rows, which narrows the interval of the difference.
Decides nothing: gate.py compares the interval with the margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model.metrics import Ranking, blocks, percentiles
from ml.model.training_settings import Challenger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure of both models and challenger minus champion, with the interval of that difference."""

    challenger: float
    champion: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of a comparison; the two differences are set only if `status` is `compared`."""

    status: Literal["none", "compared", "not possible"]
    reason: str
    artifact_sha256: str | None = None
    rows: int = 0
    positives: int = 0
    average_precision: Difference | None = None
    recall: Difference | None = None

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return asdict(self)


NO_CHAMPION = Comparison(status="none", reason="There is no champion to compare with: no model serves yet.")


def unseen(event_times: ArrayLike, fitted: Iterable[Mapping[str, str]]) -> NDArray[np.bool_]:
    """Mask of the rows outside the windows that a model was fitted on and that its threshold was chosen on.

    Args:
        event_times: microseconds since 1970, UTC.
        fitted: `fitted` of the model's baseline.json; start and end are the times of the first and last row.
    """
    times = np.asarray(event_times, dtype=np.int64)
    outside = np.ones(len(times), dtype=np.bool_)
    for window in fitted:
        start, end = (microseconds(window[side]) for side in ("start", "end"))
        outside &= (times < start) | (times > end)
    return outside


def microseconds(text: str) -> int:
    """An ISO 8601 time with an offset as microseconds since 1970, UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a window's times must have an offset, as 2026-03-01T00:00:00Z (got {text!r})")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def compare(
    labels: ArrayLike,
    *,
    challenger: tuple[ArrayLike, ArrayLike],
    champion: tuple[ArrayLike, ArrayLike],
    rule: Challenger,
    seed: int,
    artifact_sha256: str,
) -> Comparison:
    """Compares both models on the same rows, each at its own threshold.

    Args:
        labels: of rows that the champion has not seen; 1 is fraud.
        challenger, champion: scores and decisions (1 = alert) of each model, in the order of `labels`.
        rule: the minimum number of frauds, the number of resamples and the confidence of the intervals.
        seed: of the bootstrap.
        artifact_sha256: digest of the champion's archive.
    """
    fraud = np.asarray(labels) == 1
    rows, positives = len(fraud), int(np.count_nonzero(fraud))
    if positives < rule.min_positives or positives == rows:
        return Comparison(
            status="not possible",
            reason=(
                f"Comparison with the champion is not possible: {positives} frauds among the {rows} test rows that it "
                f"has not seen, and {rule.min_positives} are needed."
            ),
            artifact_sha256=artifact_sha256,
            rows=rows,
            positives=positives,
        )
    precision, recall = _paired_bootstrap(fraud, challenger, champion, rule, seed)
    return Comparison(
        status="compared",
        reason=f"Compared with the champion on {rows} test rows with {positives} frauds that it has not seen.",
        artifact_sha256=artifact_sha256,
        rows=rows,
        positives=positives,
        average_precision=precision,
        recall=recall,
    )


def _paired_bootstrap(
    fraud: NDArray[np.bool_],
    challenger: tuple[ArrayLike, ArrayLike],
    champion: tuple[ArrayLike, ArrayLike],
    rule: Challenger,
    seed: int,
) -> tuple[Difference, Difference]:
    """Differences in average precision and in recall over resamples of the same rows, stratified by class.

    A legitimate row counts only through its cells in the two rankings (metrics.Ranking). Rows with the same pair of
    cells are therefore drawn together: the multinomial over distinct pairs equals the one over rows.
    """
    new, old = Ranking(fraud, challenger[0]), Ranking(fraud, champion[0])
    new_alerts, old_alerts = (np.asarray(decisions)[fraud] == 1 for decisions in (challenger[1], champion[1]))
    pairs, counts = np.unique(new.cell * old.cells + old.cell, return_counts=True)
    new_cell, old_cell = np.divmod(pairs, old.cells)
    positives, negatives = int(fraud.sum()), int(counts.sum())
    random = np.random.default_rng(seed)
    drawn = np.empty((4, rule.resamples))
    start = 0
    for size in blocks(rule.resamples, len(pairs) + positives):
        frauds = random.multinomial(positives, np.full(positives, 1 / positives), size=size)
        rows = random.multinomial(negatives, counts / negatives, size=size)
        drawn[:, start : start + size] = (
            new.average_precision(_sum_by(new.group, new.groups, frauds), _sum_by(new_cell, new.cells, rows)),
            old.average_precision(_sum_by(old.group, old.groups, frauds), _sum_by(old_cell, old.cells, rows)),
            frauds @ new_alerts / positives,
            frauds @ old_alerts / positives,
        )
        start += size
    new_precision, old_precision = (
        float(ranking.average_precision(ranking.frauds_by_group[None], ranking.rows_by_cell[None])[0])
        for ranking in (new, old)
    )
    return (
        _difference(new_precision, old_precision, drawn[0] - drawn[1], rule.confidence),
        _difference(float(new_alerts.mean()), float(old_alerts.mean()), drawn[2] - drawn[3], rule.confidence),
    )


def _sum_by(key: NDArray[np.intp], keys: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums the columns of `counts` that share a key: (resamples, columns) → (resamples, keys)."""
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    sums = np.zeros((len(counts), keys), dtype=np.int64)
    sums[:, key[order][starts]] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def _difference(challenger: float, champion: float, drawn: NDArray[np.float64], confidence: float) -> Difference:
    low, high = percentiles(drawn, confidence)
    return Difference(challenger=challenger, champion=champion, difference=challenger - champion, low=low, high=high)
