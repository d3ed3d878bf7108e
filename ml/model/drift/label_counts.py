"""Counts labels, alerts and frauds of a window by scoring day, as input of the concept-drift tests.

A day's counts are used only if its labels are mature: enough rows have a label, and the day is old enough. Incomplete
labels bias recall, because frauds are reported earlier or later than legitimate transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model.drift.histogram import Reference
from ml.model.metrics import Confusion

_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Counts of rows: all, labelled, confusion counts, and rows and frauds per amount band.

    `confusion` counts rows with a label and a decision; the bands count rows with a label and an amount.
    """

    rows: int
    labelled: int
    confusion: Confusion
    band_rows: tuple[int, ...]
    band_frauds: tuple[int, ...]

    @property
    def coverage(self) -> float:
        """The share of rows with a label; 0 if there are no rows."""
        return self.labelled / self.rows if self.rows else 0.0

    def __add__(self, other: Outcomes) -> Outcomes:
        ours, theirs = asdict(self.confusion), asdict(other.confusion)
        return Outcomes(
            rows=self.rows + other.rows,
            labelled=self.labelled + other.labelled,
            confusion=Confusion(**{name: ours[name] + theirs[name] for name in ours}),
            band_rows=tuple(a + b for a, b in zip(self.band_rows, other.band_rows, strict=True)),
            band_frauds=tuple(a + b for a, b in zip(self.band_frauds, other.band_frauds, strict=True)),
        )

    @classmethod
    def none(cls, bands: int) -> Outcomes:
        """The outcomes of no rows."""
        return cls._from(np.zeros(6 + 2 * bands, dtype=np.int64))

    @classmethod
    def _from(cls, counts: NDArray[np.int64]) -> Outcomes:
        rows, labelled, tp, fp, tn, fn, *bands = counts.tolist()
        half = len(bands) // 2
        return cls(
            rows=rows,
            labelled=labelled,
            confusion=Confusion(true_positives=tp, false_positives=fp, true_negatives=tn, false_negatives=fn),
            band_rows=tuple(bands[:half]),
            band_frauds=tuple(bands[half:]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self) | {"band_rows": list(self.band_rows), "band_frauds": list(self.band_frauds)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Outcomes:
        """The inverse of `to_dict`."""
        return cls(
            rows=document["rows"],
            labelled=document["labelled"],
            confusion=Confusion(**document["confusion"]),
            band_rows=tuple(document["band_rows"]),
            band_frauds=tuple(document["band_frauds"]),
        )


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """The outcomes of each day (UTC) of a window. Parts of a window or of a day add up."""

    bands: int
    days: Mapping[date, Outcomes]

    @classmethod
    def of(
        cls,
        baseline: Mapping[str, Any] | Reference,
        *,
        times: ArrayLike,
        labels: ArrayLike,
        decisions: ArrayLike,
        amounts: ArrayLike,
    ) -> LabelSummary:
        """Counts scored rows, with or without a label.

        Args:
            times: when each row was scored, datetime64 in UTC.
            labels: 1 fraud, 0 legitimate, anything else (-1, NaN) unknown.
            decisions: 1 alert, 0 pass, anything else unknown.
            amounts: each row's amount; NaN if it was not captured.

        Raises:
            ValueError: lengths differ.
        """
        edges = np.asarray(Reference.of(baseline).document["fraud_by_amount"]["edges"], dtype=np.float64)
        truth, actions, amount = np.asarray(labels), np.asarray(decisions), np.asarray(amounts, dtype=np.float64)
        stamps = np.asarray(times).astype("datetime64[D]").astype(np.int64)
        lengths = {len(stamps), len(truth), len(actions), len(amount)}
        if len(lengths) > 1:
            raise ValueError(f"times, labels, decisions and amounts must be equally long (got {sorted(lengths)})")
        unique_days, day_index = np.unique(stamps, return_inverse=True)
        fraud, legitimate = truth == 1, truth == 0
        alert, passed = actions == 1, actions == 0
        known = fraud | legitimate
        bands, size = np.searchsorted(edges, amount, side="right"), len(edges) + 1
        priced = known & np.isfinite(amount)
        every = np.ones(len(truth), dtype=np.bool_)
        kinds = [every, known, fraud & alert, legitimate & alert, legitimate & passed, fraud & passed]
        counts = [np.bincount(day_index[rows], minlength=len(unique_days))[:, None] for rows in kinds]
        for rows in (priced, priced & fraud):
            counts.append(
                np.bincount(day_index[rows] * size + bands[rows], minlength=len(unique_days) * size).reshape(
                    len(unique_days), size
                )
            )
        table = np.concatenate(counts, axis=1)
        days = {_EPOCH + day * _DAY: Outcomes._from(row) for day, row in zip(unique_days.tolist(), table, strict=True)}
        return cls(bands=size, days=days)

    def __add__(self, other: LabelSummary) -> LabelSummary:
        """The summary of both sets of rows.

        Raises:
            ValueError: the amount bands differ.
        """
        if self.bands != other.bands:
            raise ValueError("label summaries can be added only if they share a drift reference")
        empty = Outcomes.none(self.bands)
        days = sorted({*self.days, *other.days})
        return LabelSummary(
            bands=self.bands,
            days={day: self.days.get(day, empty) + other.days.get(day, empty) for day in days},
        )

    def total(self) -> Outcomes:
        """The outcomes of all days, mature or not."""
        return sum(self.days.values(), Outcomes.none(self.bands))

    def mature(self, *, as_of: datetime, min_coverage: float, min_age_days: float) -> LabelSummary:
        """The days whose label coverage and age (from the end of the day to `as_of`) reach the limits."""
        kept = {
            day: outcomes
            for day, outcomes in self.days.items()
            if outcomes.coverage >= min_coverage
            and as_of - datetime(day.year, day.month, day.day, tzinfo=UTC) - _DAY >= timedelta(days=min_age_days)
        }
        return LabelSummary(bands=self.bands, days=kept)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"bands": self.bands, "days": {day.isoformat(): item.to_dict() for day, item in self.days.items()}}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> LabelSummary:
        """The inverse of `to_dict`."""
        days = {date.fromisoformat(day): Outcomes.from_dict(item) for day, item in document["days"].items()}
        return cls(bands=document["bands"], days=days)
