"""Compares challenger and champion on the same test rows, without rows that the champion was trained on.

The question is whether the challenger is worse by more than chance and the stated margin explain; the answer comes
from a paired bootstrap, which keeps what both models owe to the same hard rows. gate.py decides what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model.metrics import Ranking, blocks, percentiles
from ml.model.training_settings import Challenger

SEEN = ("train", "validation")  # a model's coefficients and its threshold come from these parts
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
    """What came of comparing; the two figures are there only where `status` is `compared`."""

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


def unseen(event_times: ArrayLike, windows: Mapping[str, Mapping[str, Any]]) -> NDArray[np.bool_]:
    """Which rows lie outside the times that a model was trained on or had its threshold chosen on.

    Args:
        event_times: microseconds since 1970, UTC.
        windows: `windows` of the model's baseline.json; start and end are the times of the first and last row.
    """
    times = np.asarray(event_times, dtype=np.int64)
    outside = np.ones(len(times), dtype=np.bool_)
    for part in SEEN:
        start, end = (microseconds(windows[part][side]) for side in ("start", "end"))
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
    """Both models on the same rows, each at its own threshold.

    Args:
        labels: of rows that the champion has not seen; 1 is fraud.
        challenger, champion: scores and decisions (1 = alert) of each, in the order of `labels`.
        rule: how many frauds it takes, how many resamples, and the confidence of the intervals.
        seed: of the bootstrap.
        artifact_sha256: which archive the champion is.
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
    precision, recall = _paired(fraud, challenger, champion, rule, seed)
    return Comparison(
        status="compared",
        reason=f"Compared with the champion on {rows} test rows with {positives} frauds that it has not seen.",
        artifact_sha256=artifact_sha256,
        rows=rows,
        positives=positives,
        average_precision=precision,
        recall=recall,
    )


def _paired(
    fraud: NDArray[np.bool_],
    challenger: tuple[ArrayLike, ArrayLike],
    champion: tuple[ArrayLike, ArrayLike],
    rule: Challenger,
    seed: int,
) -> tuple[Difference, Difference]:
    """Average precision and recall of both over resamples of the same rows, stratified by class.

    A legitimate row matters only through the cells that it has in the two rankings (metrics.Ranking), so rows that
    share both are drawn together: the multinomial over distinct pairs of cells is that of the rows.
    """
    ours, theirs = Ranking(fraud, challenger[0]), Ranking(fraud, champion[0])
    ours_found, theirs_found = (np.asarray(decisions)[fraud] == 1 for decisions in (challenger[1], champion[1]))
    pairs, counts = np.unique(ours.cell * theirs.cells + theirs.cell, return_counts=True)
    our_cell, their_cell = np.divmod(pairs, theirs.cells)
    positives, negatives = int(fraud.sum()), int(counts.sum())
    random = np.random.default_rng(seed)
    drawn = np.empty((4, rule.resamples))
    done = 0
    for size in blocks(rule.resamples, len(pairs) + positives):
        f = random.multinomial(positives, np.full(positives, 1 / positives), size=size)
        r = random.multinomial(negatives, counts / negatives, size=size)
        drawn[:, done : done + size] = (
            ours.average_precision(_gather(f, ours.group, ours.groups), _gather(r, our_cell, ours.cells)),
            theirs.average_precision(_gather(f, theirs.group, theirs.groups), _gather(r, their_cell, theirs.cells)),
            f @ ours_found / positives,
            f @ theirs_found / positives,
        )
        done += size
    observed = [
        float(ours.average_precision(ours.frauds_by_group[None], ours.rows_by_cell[None])[0]),
        float(theirs.average_precision(theirs.frauds_by_group[None], theirs.rows_by_cell[None])[0]),
        float(ours_found.mean()),
        float(theirs_found.mean()),
    ]
    return (
        _difference(observed[0], observed[1], drawn[0] - drawn[1], rule.confidence),
        _difference(observed[2], observed[3], drawn[2] - drawn[3], rule.confidence),
    )


def _gather(weights: NDArray[np.int64], place: NDArray[np.intp], places: int) -> NDArray[np.int64]:
    """Adds up the columns of `weights` that share a place: (resamples, columns) → (resamples, places)."""
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    gathered = np.zeros((len(weights), places), dtype=np.int64)
    gathered[:, place[order][starts]] = np.add.reduceat(weights[:, order], starts, axis=1)
    return gathered


def _difference(challenger: float, champion: float, drawn: NDArray[np.float64], confidence: float) -> Difference:
    low, high = percentiles(drawn, confidence)
    return Difference(challenger=challenger, champion=champion, difference=challenger - champion, low=low, high=high)
