"""Counts labels, alerts and frauds of a window by scoring day, as input of the concept-drift tests.

A day's counts are used only when its labels are mature: enough of its rows have one, and it is long enough ago. A
recall of labels that have not all come is not a recall: frauds are reported first, or last.
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
    """Counts of some rows: how many, how many of them have a label, hits and misses, rows and frauds per amount band.

    `confusion` counts rows that have a label and a decision; the bands rows that have a label and an amount.
    """

    rows: int
    labelled: int
    confusion: Confusion
    band_rows: tuple[int, ...]
    band_frauds: tuple[int, ...]

    @property
    def coverage(self) -> float:
        """The share of rows that have a label; 0 of none."""
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
        """Those of no rows."""
        return cls._from(np.zeros(6 + 2 * bands, dtype=np.int64))

    @classmethod
    def _from(cls, counts: NDArray[np.int64]) -> Outcomes:
        rows, labelled, hits, false, quiet, missed, *bands = counts.tolist()
        half = len(bands) // 2
        return cls(
            rows=rows,
            labelled=labelled,
            confusion=Confusion(
                true_positives=hits, false_positives=false, true_negatives=quiet, false_negatives=missed
            ),
            band_rows=tuple(bands[:half]),
            band_frauds=tuple(bands[half:]),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
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
    """The outcomes of each day (UTC) of a window; parts of a window, or of a day, add up."""

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
        """The outcomes of scored rows, those without a label among them.

        Args:
            times: when each row was scored, datetime64 in UTC.
            labels: 1 fraud, 0 legitimate, anything else (-1, NaN) not known yet.
            decisions: 1 alert, 0 pass, anything else unknown.
            amounts: each row's amount; NaN where it was not captured.

        Raises:
            ValueError: lengths that differ.
        """
        edges = np.asarray(Reference.of(baseline).document["fraud_by_amount"]["edges"], dtype=np.float64)
        truth, made, amount = np.asarray(labels), np.asarray(decisions), np.asarray(amounts, dtype=np.float64)
        stamps = np.asarray(times).astype("datetime64[D]").astype(np.int64)
        lengths = {len(stamps), len(truth), len(made), len(amount)}
        if len(lengths) > 1:
            raise ValueError(f"times, labels, decisions and amounts must be equally long (got {sorted(lengths)})")
        found, place = np.unique(stamps, return_inverse=True)
        fraud, legitimate = truth == 1, truth == 0
        alert, passed = made == 1, made == 0
        known = fraud | legitimate
        bands, size = np.searchsorted(edges, amount, side="right"), len(edges) + 1
        priced = known & np.isfinite(amount)
        every = np.ones(len(truth), dtype=np.bool_)
        kinds = [every, known, fraud & alert, legitimate & alert, legitimate & passed, fraud & passed]
        counts = [np.bincount(place[rows], minlength=len(found))[:, None] for rows in kinds]
        for rows in (priced, priced & fraud):
            counts.append(
                np.bincount(place[rows] * size + bands[rows], minlength=len(found) * size).reshape(len(found), size)
            )
        table = np.concatenate(counts, axis=1)
        days = {_EPOCH + day * _DAY: Outcomes._from(row) for day, row in zip(found.tolist(), table, strict=True)}
        return cls(bands=size, days=days)

    def __add__(self, other: LabelSummary) -> LabelSummary:
        """The summary of the rows of both.

        Raises:
            ValueError: they were made on baselines with different amount bands.
        """
        if self.bands != other.bands:
            raise ValueError("label summaries can be added only where they share a baseline")
        nothing = Outcomes.none(self.bands)
        days = sorted({*self.days, *other.days})
        return LabelSummary(
            bands=self.bands,
            days={day: self.days.get(day, nothing) + other.days.get(day, nothing) for day in days},
        )

    def total(self) -> Outcomes:
        """The outcomes of all days, mature or not."""
        return sum(self.days.values(), Outcomes.none(self.bands))

    def mature(self, *, as_of: datetime, min_coverage: float, min_age_days: float) -> LabelSummary:
        """The days whose label coverage and age, from the day's end to `as_of`, reach the limits."""
        kept = {
            day: outcomes
            for day, outcomes in self.days.items()
            if outcomes.coverage >= min_coverage
            and as_of - datetime(day.year, day.month, day.day, tzinfo=UTC) - _DAY >= timedelta(days=min_age_days)
        }
        return LabelSummary(bands=self.bands, days=kept)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"bands": self.bands, "days": {day.isoformat(): item.to_dict() for day, item in self.days.items()}}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> LabelSummary:
        """The inverse of `to_dict`."""
        days = {date.fromisoformat(day): Outcomes.from_dict(item) for day, item in document["days"].items()}
        return cls(bands=document["bands"], days=days)
