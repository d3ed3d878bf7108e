"""The parts of a model.json: terms, tables and lines as plain numbers, and how they are validated.

Part of the archive's code/, so it imports the standard library only. Never repairs a number, as model_document.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml.model import category_levels
from ml.model import document_fields as fields
from ml.model.document_fields import MAX_MAGNITUDE

TRANSFORMS = ("identity", "log1p")
KINDS = ("value", "hour_of_day")
KNOWN, NEW = "known", "new"
PATTERNS = (KNOWN, NEW)
_PART_KEYS = ("pattern", "features", "bins", "intercept", "recalibration")
MAX_LEVELS = 10_000
MAX_SLOPE = 1e3


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One term of a part: coefficient * (transform(input) - mean) / scale.

    With `limits`, the input is first clipped to [low, high], so that a term cannot grow without bound.
    """

    name: str
    transform: str
    limits: tuple[float, float] | None
    mean: float
    scale: float
    coefficient: float


@dataclass(frozen=True, kw_only=True)
class Bins:
    """A one-hot block as a table: coefficients[searchsorted(edges, value, side="right")].

    The value is the input itself, or the hour of the day in UTC of the time (kind `hour_of_day`).
    """

    input: str
    kind: str
    edges: tuple[float, ...]
    coefficients: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LevelTable:
    """A one-hot block of a category: the coefficient of each of `levels`, and `other` for every other value."""

    input: str
    levels: tuple[str, ...]
    coefficients: tuple[float, ...]
    other: float

    def coefficient(self, level: str | None) -> float:
        """The coefficient of a value; None is a value that no part of the model lists."""
        return self._by_level.get(level, self.other) if level is not None else self.other

    @cached_property
    def _by_level(self) -> dict[str, float]:
        return dict(zip(self.levels, self.coefficients, strict=True))


@dataclass(frozen=True, kw_only=True)
class Line:
    """A map of log-odds: slope * log-odds + intercept."""

    slope: float
    intercept: float


IDENTITY = Line(slope=1.0, intercept=0.0)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The additive terms of one pattern: the log-odds are `intercept` plus those of `features`, `bins` and `levels`.

    `recalibration` maps the log-odds of the part for known patterns in an adapted model; None changes nothing. The
    numbers beside it stay those of the first training, so a later adaptation starts from them and not from an
    adapted copy.
    """

    pattern: str
    features: tuple[Feature, ...]
    bins: tuple[Bins, ...]
    levels: tuple[LevelTable, ...]
    intercept: float
    recalibration: Line | None


def parse_parts(value: Any, numbers: Sequence[str], categories: Sequence[str]) -> tuple[Part, ...]:
    """The parts of a document whose inputs are `numbers` and `categories`. Raises ArtifactInvalid."""
    parts = fields.entries(value, "parts", lambda item, at: _part(item, at, numbers, categories))
    patterns = tuple(part.pattern for part in parts)
    if patterns not in (PATTERNS[:1], PATTERNS):
        fields.reject("parts", "must be one part for the pattern known, or one for known and one for new", patterns)
    return parts


def _part(value: Any, at: str, numbers: Sequence[str], categories: Sequence[str]) -> Part:
    fields.check_keys(value, at, (*_PART_KEYS, *(("levels",) if categories else ())))
    pattern = fields.one_of(value["pattern"], f"{at}.pattern", PATTERNS)
    line = value["recalibration"]
    if pattern == NEW and line is not None:
        fields.reject(f"{at}.recalibration", "must be null in the part for the pattern new", line)
    recalibration = None if line is None else parse_line(line, f"{at}.recalibration")
    slope = 1.0 if recalibration is None else recalibration.slope
    features = fields.entries(
        value["features"], f"{at}.features", lambda item, place: _feature(item, place, numbers, slope)
    )
    bins = fields.entries(value["bins"], f"{at}.bins", lambda item, place: _bins(item, place, numbers))
    levels = fields.entries(
        value.get("levels", []), f"{at}.levels", lambda item, place: _levels(item, place, categories)
    )
    fields.check_distinct(
        [(item.name, item.transform) for item in features], f"{at}.features", "one term per input and transform"
    )
    fields.check_distinct([(item.input, item.kind) for item in bins], f"{at}.bins", "one table per input and kind")
    fields.check_distinct([item.input for item in levels], f"{at}.levels", "one table per category")
    return Part(
        pattern=pattern,
        features=features,
        bins=bins,
        levels=levels,
        intercept=fields.number(value["intercept"], f"{at}.intercept"),
        recalibration=recalibration,
    )


def _feature(value: Any, at: str, inputs: Sequence[str], slope: float) -> Feature:
    fields.check_keys(value, at, ("name", "transform", "limits", "mean", "scale", "coefficient"))
    scale = fields.number(value["scale"], f"{at}.scale")
    if not scale >= 1 / MAX_MAGNITUDE:
        fields.reject(f"{at}.scale", "must be greater than 0", scale)
    coefficient = fields.number(value["coefficient"], f"{at}.coefficient")
    if not abs(slope * coefficient / scale) <= MAX_MAGNITUDE:
        fields.reject(f"{at}.coefficient", f"must be at most {MAX_MAGNITUDE:g} once divided by scale", coefficient)
    return Feature(
        name=fields.one_of(value["name"], f"{at}.name", inputs, "one of inputs"),
        transform=fields.one_of(value["transform"], f"{at}.transform", TRANSFORMS),
        limits=None if value["limits"] is None else _limits(value["limits"], f"{at}.limits"),
        mean=fields.number(value["mean"], f"{at}.mean"),
        scale=scale,
        coefficient=coefficient,
    )


def _limits(value: Any, at: str) -> tuple[float, float]:
    numbers = fields.ascending(value, at, "limit")
    if len(numbers) != 2:
        fields.reject(at, "must be null or two numbers, the lowest and the highest value that counts", value)
    return numbers[0], numbers[1]


def _bins(value: Any, at: str, inputs: Sequence[str]) -> Bins:
    fields.check_keys(value, at, ("input", "kind", "edges", "coefficients"))
    edges = fields.ascending(value["edges"], f"{at}.edges", "edge")
    coefficients = fields.entries(value["coefficients"], f"{at}.coefficients", fields.number)
    if len(coefficients) != len(edges) + 1:
        fields.reject(
            f"{at}.coefficients", f"must hold one more number than edges, {len(edges) + 1}", len(coefficients)
        )
    return Bins(
        input=fields.one_of(value["input"], f"{at}.input", inputs, "one of inputs"),
        kind=fields.one_of(value["kind"], f"{at}.kind", KINDS),
        edges=edges,
        coefficients=coefficients,
    )


def _levels(value: Any, at: str, categories: Sequence[str]) -> LevelTable:
    fields.check_keys(value, at, ("input", "levels", "coefficients", "other"))
    levels = fields.entries(value["levels"], f"{at}.levels", _level)
    coefficients = fields.entries(value["coefficients"], f"{at}.coefficients", fields.number)
    if len(levels) > MAX_LEVELS:
        fields.reject(f"{at}.levels", f"must hold at most {MAX_LEVELS} levels", len(levels))
    for before, level in itertools.pairwise(levels):
        if not before < level:
            fields.reject(f"{at}.levels", "must be sorted and hold each level once", level)
    if len(coefficients) != len(levels):
        fields.reject(f"{at}.coefficients", f"must hold one number for each of {len(levels)} levels", len(coefficients))
    return LevelTable(
        input=fields.one_of(value["input"], f"{at}.input", categories, "one of categories"),
        levels=levels,
        coefficients=coefficients,
        other=fields.number(value["other"], f"{at}.other"),
    )


def _level(value: Any, at: str) -> str:
    if type(value) is not str or category_levels.text_of(value) != value:
        fields.reject(
            at, f"must be text of at most {category_levels.MAX_LENGTH} characters without outer spaces", value
        )
    return value


def parse_line(value: Any, at: str) -> Line:
    """The line in the field `at`. Raises ArtifactInvalid."""
    fields.check_keys(value, at, ("slope", "intercept"))
    slope = fields.number(value["slope"], f"{at}.slope")
    if not 1 / MAX_SLOPE <= slope <= MAX_SLOPE:
        fields.reject(f"{at}.slope", f"must be between {1 / MAX_SLOPE:g} and {MAX_SLOPE:g}", slope)
    return Line(slope=slope, intercept=fields.number(value["intercept"], f"{at}.intercept"))
