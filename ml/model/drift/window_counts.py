"""Summarises a window of scored traffic as integer counts on the bins of the drift reference.

Summaries of parts (hours, shards, machines) add up to exactly the summary of all rows. Makes no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model.drift.additive_sums import CHUNK, finite
from ml.model.drift.histogram import Reference, Tally

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class WindowSummary:
    """All counts of a window's traffic that the drift tests use.

    `columns` has a tally per input of the reference; `unexpected` counts rows per column name that it does not have.
    `decided` counts rows with a decision, `alerts` the alerts among them. `risk` holds rows per bin of the calibration,
    first passed, then alerted. `hours` counts rows per hour since 1970 (UTC) if times were given.
    """

    rows: int
    columns: Mapping[str, Tally]
    unexpected: Mapping[str, int]
    scores: Tally
    decided: int
    alerts: int
    risk: tuple[tuple[int, ...], tuple[int, ...]]
    hours: Mapping[int, int]

    @classmethod
    def of(
        cls,
        baseline: Mapping[str, Any] | Reference,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        names: Sequence[str] | None = None,
        scores: ArrayLike | None = None,
        decisions: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> WindowSummary:
        """Summarises rows. Takes about 1 ms for 200,000 values.

        Args:
            baseline: the model's baseline.json, or a `Reference` of it for many batches.
            inputs: columns by name, or an array of shape (rows, columns). Non-finite values count as missing.
            names: the columns of a two-dimensional `inputs`; those of the reference if None.
            scores: one per row; NaN if the response was not captured.
            decisions: 1 alert, 0 pass, anything else unknown; one per row.
            times: datetime64 in UTC, one per row.

        Raises:
            ValueError: lengths differ, or the number of columns does not match `names`.
        """
        reference = Reference.of(baseline)
        rows, columns, unexpected = _tallies(reference, inputs, names)
        values, actions = _per_row("scores", scores, rows), _per_row("decisions", decisions, rows)
        score = Tally.of(reference.scores, values) if values is not None else Tally.absent(reference.scores, rows)
        hours: dict[int, int] = {}
        if times is not None:
            stamps = np.asarray(times).astype("datetime64[h]").astype(np.int64)
            if len(stamps) != rows:
                raise ValueError(f"times must have one value per row (got {len(stamps)} for {rows} rows)")
            unique_hours, counts = np.unique(stamps, return_counts=True)
            hours = dict(zip(unique_hours.tolist(), counts.tolist(), strict=True))
        return cls(
            rows=rows,
            columns=columns,
            unexpected=unexpected,
            scores=score,
            decided=0 if actions is None else int(np.count_nonzero((actions == 0) | (actions == 1))),
            alerts=0 if actions is None else int(np.count_nonzero(actions == 1)),
            risk=_risk(reference, values, actions),
            hours=hours,
        )

    @classmethod
    def empty(cls, baseline: Mapping[str, Any] | Reference) -> WindowSummary:
        """The summary of no rows, as the start of a sum."""
        reference = Reference.of(baseline)
        return cls.of(reference, np.empty((0, len(reference.names))))

    def __add__(self, other: WindowSummary) -> WindowSummary:
        """The summary of both sets of rows.

        Raises:
            ValueError: the drift references differ.
        """
        same_columns = list(self.columns) == list(other.columns) and all(
            len(self.columns[name].bins) == len(other.columns[name].bins) for name in self.columns
        )
        if (
            not same_columns
            or len(self.risk[0]) != len(other.risk[0])
            or len(self.scores.bins) != len(other.scores.bins)
        ):
            raise ValueError("summaries can be added only if they share a drift reference")
        return WindowSummary(
            rows=self.rows + other.rows,
            columns={name: tally + other.columns[name] for name, tally in self.columns.items()},
            unexpected=_summed(self.unexpected, other.unexpected),
            scores=self.scores + other.scores,
            decided=self.decided + other.decided,
            alerts=self.alerts + other.alerts,
            risk=(
                tuple(map(int.__add__, self.risk[0], other.risk[0])),
                tuple(map(int.__add__, self.risk[1], other.risk[1])),
            ),
            hours=_summed(self.hours, other.hours),
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> WindowSummary:
        """The inverse of `to_dict`."""
        passed, alerted = document["risk"]
        return cls(
            rows=document["rows"],
            columns={name: Tally.from_dict(item) for name, item in document["columns"].items()},
            unexpected=dict(document["unexpected"]),
            scores=Tally.from_dict(document["scores"]),
            decided=document["decided"],
            alerts=document["alerts"],
            risk=(tuple(passed), tuple(alerted)),
            hours={int(hour): count for hour, count in document["hours"].items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema": SCHEMA,
            "rows": self.rows,
            "columns": {name: tally.to_dict() for name, tally in self.columns.items()},
            "unexpected": dict(self.unexpected),
            "scores": self.scores.to_dict(),
            "decided": self.decided,
            "alerts": self.alerts,
            "risk": [list(part) for part in self.risk],
            "hours": {str(hour): count for hour, count in self.hours.items()},
        }


def _tallies(
    reference: Reference, inputs: Mapping[str, ArrayLike] | ArrayLike, names: Sequence[str] | None
) -> tuple[int, dict[str, Tally], dict[str, int]]:
    if isinstance(inputs, Mapping):
        given = {name: np.asarray(values) for name, values in inputs.items()}
        lengths = sorted({len(values) for values in given.values()})
        if len(lengths) > 1:
            raise ValueError(f"inputs must have one value per row in each column (got {lengths})")
        rows = lengths[0] if lengths else 0
        tallies = {
            column.name: Tally.of(column, given[column.name]) if column.name in given else Tally.absent(column, rows)
            for column in reference.columns
        }
        return rows, tallies, {name: rows for name in given if name not in reference.names}
    matrix, titles = np.asarray(inputs), tuple(names or reference.names)
    if matrix.ndim != 2 or matrix.shape[1] != len(titles):
        raise ValueError(f"inputs must have the shape (rows, {len(titles)}) (got {matrix.shape})")
    total: dict[str, Tally] = {}
    unexpected: dict[str, int] = {}
    step = CHUNK if matrix.flags.c_contiguous else max(len(matrix), 1)  # column-major input needs no copy
    for start in range(0, max(len(matrix), 1), step):
        transposed = matrix[start : start + step].T
        transposed = np.ascontiguousarray(transposed) if matrix.flags.c_contiguous else transposed
        _, part, chunk_unexpected = _tallies(reference, dict(zip(titles, transposed, strict=True)), None)
        total = {name: total[name] + tally if total else tally for name, tally in part.items()}
        unexpected = _summed(unexpected, chunk_unexpected)
    return len(matrix), total, unexpected


def _per_row(name: str, values: ArrayLike | None, rows: int) -> NDArray[Any] | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (rows,):
        raise ValueError(f"{name} must have one value per row (got shape {array.shape} for {rows} rows)")
    return array


def _risk(
    reference: Reference, scores: NDArray[Any] | None, decisions: NDArray[Any] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Passed and alerted rows per bin of the calibration."""
    if reference.risk is None:
        return (), ()
    binner = reference.risk
    zeros = (0,) * (len(binner.edges) + 1)
    if scores is None or decisions is None:
        return zeros, zeros
    alerted = binner.count(finite(scores[decisions == 1])).bins
    decided = (decisions == 0) | (decisions == 1)
    every = binner.count(finite(scores if decided.all() else scores[decided])).bins
    return tuple((every - alerted).tolist()), tuple(alerted.tolist())


def _summed(a: Mapping[Any, int], b: Mapping[Any, int]) -> dict[Any, int]:
    return {key: a.get(key, 0) + b.get(key, 0) for key in sorted({*a, *b})}
