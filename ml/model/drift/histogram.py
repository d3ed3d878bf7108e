"""Histograms of one column on the bins of the drift reference.

Tallies of parts add up exactly to the tally of the whole. Makes no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model.category_levels import Levels
from ml.model.drift import category_counts
from ml.model.drift.additive_sums import Binner, finite, time_of_day
from ml.model.drift.reference import Summary

DAY_LENGTHS = {"seconds_of_day": 86_400.0, "milliseconds_of_day": 86_400_000.0}
"""The length of a day for the kinds of columns of which only the time of day is counted."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the reference: its summary, its kind, and its distinct values if they are few.

    `levels` are the values of a category, None for a number: rows have their places, and its bins are the levels.
    """

    name: str
    kind: str
    summary: Summary
    values: tuple[float, ...] | None = None
    levels: Levels | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Column:
        """The column of an entry of baseline.json."""
        if item["kind"] != category_counts.KIND:
            values = None if item.get("values") is None else tuple(item["values"])
            return cls(name=item["name"], kind=item["kind"], summary=Summary.from_dict(item), values=values)
        levels = Levels(item["values"])
        summary = Summary(
            edges=tuple((np.arange(1, len(levels.levels)) - 0.5).tolist()),
            low=0.0,
            high=max(levels.other - 1, 0.0),
            counts=tuple(item["counts"]),
            below=0,
            above=0,
            missing=item["missing"],
            n=item["n"],
            mean=0.0,
            std=0.0,
            min=None,
            max=None,
        )
        return cls(name=item["name"], kind=item["kind"], summary=summary, levels=levels)

    @cached_property
    def groups(self) -> NDArray[np.intp]:
        """The group of each level in the tests."""
        return category_counts.groups(self.summary.counts)

    @cached_property
    def binner(self) -> Binner:
        """Counts values on this column's edges."""
        return Binner(np.asarray(self.summary.edges), self.summary.mean, self.summary.std)


@dataclass(frozen=True)
class Reference:
    """A parsed baseline.json, for many batches.

    `risk` counts on the edges of the calibration; None if baseline.json, of an older model, has no calibration.
    """

    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, baseline: Mapping[str, Any] | Reference) -> Reference:
        """Wraps a baseline.json document; returns a Reference unchanged."""
        return baseline if isinstance(baseline, Reference) else cls(baseline)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The inputs, in the column order of a request."""
        return tuple(map(Column.of, self.document["inputs"]))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in the column order of a request."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def levels(self) -> dict[str, Levels]:
        """The levels of each category: a window's rows have places among them."""
        return {column.name: column.levels for column in self.columns if column.levels is not None}

    @cached_property
    def scores(self) -> Column:
        """The scores of the held-out rows."""
        return Column(name="score", kind="value", summary=Summary.from_dict(self.document["scores"]))

    @cached_property
    def risk(self) -> Binner | None:
        """Counts scores on the edges of the calibration; None without a calibration."""
        calibration = self.document.get("calibration")
        if calibration is None:
            return None
        return Binner(np.asarray(calibration["edges"], dtype=np.float64), 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One column of a window: rows per bin of the reference, and the sums from which Binner computes moments.

    `n` counts finite values, `missing` the others; `below` and `above` those outside the reference's range, which
    are also in the outer bins. `unseen` counts values that the reference does not list, if it lists its values; those
    of a category are in no bin.
    """

    bins: tuple[int, ...]
    n: int
    missing: int
    below: int
    above: int
    unseen: int
    total: int
    squares: int
    low: float | None
    high: float | None

    @classmethod
    def of(cls, column: Column, values: NDArray[Any]) -> Tally:
        """The tally of one column's values; of a category, the places of its levels."""
        kept = finite(values)
        if column.levels is not None:
            return cls._of_places(column.levels, kept, len(values) - len(kept))
        day = DAY_LENGTHS.get(column.kind)
        if day is not None:
            kept = time_of_day(kept, day)
        count = column.binner.count(kept)
        low, high = column.summary.low, column.summary.high
        return cls(
            bins=tuple(count.bins.tolist()),
            n=len(kept),
            missing=len(values) - len(kept),
            below=int(np.count_nonzero(kept < low)) if count.low is not None and count.low < low else 0,
            above=int(np.count_nonzero(kept > high)) if count.high is not None and count.high > high else 0,
            unseen=0 if column.values is None else int(np.count_nonzero(~np.isin(kept, column.values))),
            total=count.total,
            squares=count.squares,
            low=count.low,
            high=count.high,
        )

    @classmethod
    def _of_places(cls, levels: Levels, places: NDArray[np.float64], missing: int) -> Tally:
        *bins, unseen = np.bincount(places.astype(np.intp), minlength=len(levels.levels) + 1).tolist()
        return cls(
            bins=tuple(bins),
            n=len(places),
            missing=missing,
            below=0,
            above=0,
            unseen=unseen,
            total=0,
            squares=0,
            low=None,
            high=None,
        )

    @classmethod
    def absent(cls, column: Column, rows: int) -> Tally:
        """The tally of a column that is missing in all `rows` rows."""
        empty = cls.of(column, np.empty(0))
        return cls(**(vars(empty) | {"missing": rows}))

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            bins=tuple(map(int.__add__, self.bins, other.bins)),
            n=self.n + other.n,
            missing=self.missing + other.missing,
            below=self.below + other.below,
            above=self.above + other.above,
            unseen=self.unseen + other.unseen,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            low=min((v for v in (self.low, other.low) if v is not None), default=None),
            high=max((v for v in (self.high, other.high) if v is not None), default=None),
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Tally:
        """The inverse of `to_dict`."""
        return cls(**(dict(document) | {"bins": tuple(document["bins"])}))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return vars(self) | {"bins": list(self.bins)}
