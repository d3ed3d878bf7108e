"""Compares challenger and champion on test rows that the champion was not trained on, as a whole and by kind.

Pairing keeps the correlation between the two models on the same rows, which narrows the interval of the difference.
Decides nothing: gate.py compares the interval with the margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import paired_difference
from ml.model.paired_bootstrap import PairedBootstrap
from ml.model.paired_difference import Difference
from ml.model.training_settings import Challenger

AMOUNT_LEVELS = (0.5, 0.9, 0.99)  # quantiles of the test rows' amounts that divide the bands of a comparison
Cause = Literal["few frauds", "missing inputs"]
"""Why a comparison is not possible: too few frauds among the rows that the champion has not seen (or nothing but
frauds), or the data no longer have its inputs, which no number of frauds changes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Challenger and champion on the same rows; a figure that one of them does not have is None."""

    recall: Difference | None = None
    precision: Difference | None = None
    false_positive_rate: Difference | None = None
    average_precision: Difference | None = None


@dataclass(frozen=True, kw_only=True)
class Slice(Figures):
    """A kind of rows: an amount band, or the rows of a known or a new pattern."""

    name: str
    rows: int
    positives: int


@dataclass(frozen=True, kw_only=True)
class Comparison(Figures):
    """Result of a comparison; figures and slices are set only if `status` is `compared`, `cause` if `not possible`."""

    status: Literal["none", "compared", "not possible"]
    reason: str
    cause: Cause | None = None
    artifact_sha256: str | None = None
    rows: int = 0
    positives: int = 0
    slices: tuple[Slice, ...] = ()

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
    slices: Mapping[str, ArrayLike] = MappingProxyType({}),
) -> Comparison:
    """Compares both models on the same rows, each at its own threshold.

    Args:
        labels: of rows that the champion has not seen; 1 is fraud.
        challenger, champion: scores and decisions (1 = alert) of each model, in the order of `labels`.
        rule: the minimum number of frauds, the number of resamples and the confidence of the intervals.
        seed: of the bootstrap.
        artifact_sha256: digest of the champion's archive.
        slices: masks of the rows by the name of their kind. With k slices, the intervals within each have a chance of
            error of 1/k of the others', so that all of them together have that of one (Bonferroni).
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
            cause="few frauds",
            artifact_sha256=artifact_sha256,
            rows=rows,
            positives=positives,
        )
    new, old = (
        (np.asarray(scores, dtype=np.float64), np.asarray(decisions) == 1)
        for scores, decisions in (challenger, champion)
    )
    narrow = 1 - (1 - rule.confidence) / max(len(slices), 1)
    parts = []
    for name, mask in slices.items():
        chosen = np.asarray(mask, dtype=np.bool_)
        inside = (fraud[chosen], (new[0][chosen], new[1][chosen]), (old[0][chosen], old[1][chosen]))
        figures = _figures(*inside, PairedBootstrap(rule.resamples, narrow, seed))
        parts.append(Slice(name=name, rows=int(chosen.sum()), positives=int(fraud[chosen].sum()), **vars(figures)))
    return Comparison(
        status="compared",
        reason=f"Compared with the champion on {rows} test rows with {positives} frauds that it has not seen.",
        artifact_sha256=artifact_sha256,
        rows=rows,
        positives=positives,
        slices=tuple(parts),
        **vars(_figures(fraud, new, old, PairedBootstrap(rule.resamples, rule.confidence, seed))),
    )


def amount_bands(amounts: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows by amount, divided at the rows' quantiles 50, 90 and 99 %; equal quantiles give fewer bands."""
    values = np.asarray(amounts, dtype=np.float64)
    edges = np.unique(np.quantile(values, AMOUNT_LEVELS)) if len(values) else np.empty(0)
    band = np.searchsorted(edges, values, side="right")
    names = [f"amount below {edges[0]:g}"] if len(edges) else ["amount"]
    names += [f"amount {low:g} to {high:g}" for low, high in pairwise(edges)]
    names += [f"amount {edges[-1]:g} or more"] if len(edges) else []
    return {name: band == number for number, name in enumerate(names) if np.any(band == number)}


def patterns(log_odds: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows by the part of a model that gives them the higher log-odds; none for a model of one part.

    Args:
        log_odds: (rows, parts), the part for known patterns first.
    """
    if log_odds.shape[1] < 2:
        return {}
    new = log_odds[:, 1] > log_odds[:, 0]
    return {"known pattern": ~new, "new pattern": new}


_Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]  # scores, and which rows are alerted


def _figures(fraud: NDArray[np.bool_], new: _Scored, old: _Scored, bootstrap: PairedBootstrap) -> Figures:
    return Figures(
        recall=paired_difference.of_rates(new[1][fraud], old[1][fraud], bootstrap.confidence),
        false_positive_rate=paired_difference.of_rates(new[1][~fraud], old[1][~fraud], bootstrap.confidence),
        precision=bootstrap.precision(fraud, new[1], old[1]),
        average_precision=bootstrap.average_precision(fraud, new[0], old[0]),
    )
