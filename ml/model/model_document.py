"""The schema of model.json: what a model is, as plain numbers, and how a document is validated.

A model has one part or two. The part for known patterns is the regression that the first training fitted. An adapted
model has a second part, for new patterns, and a row's probability of fraud is 1 - (1 - p_known) * (1 - p_new).

Part of the archive's code/, so it imports the standard library only. Never repairs: an unknown key, a number that is
not finite or unsorted edges raise ArtifactInvalid with the name of the field.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml.model import category_levels, time_units
from ml.model import document_fields as fields
from ml.model.category_levels import Levels
from ml.model.document_fields import MAX_MAGNITUDE, ArtifactInvalid

SCHEMA, SCHEMA_WITH_CATEGORIES = 3, 4
"""A model without categories is written as schema 3, so that its digest does not depend on what others may have."""
POLICIES = ("max_recall_at_fpr", "alert_budget", "min_cost", "fixed")
TRANSFORMS = ("identity", "log1p")
KINDS = ("value", "hour_of_day")
KNOWN, NEW = "known", "new"
PATTERNS = (KNOWN, NEW)
_KEYS = ("schema", "inputs", "time", "amount", "parts", "history", "threshold", "provenance")
_PART_KEYS = ("pattern", "features", "bins", "intercept", "recalibration")
MAX_TEXT = 4 * 1024 * 1024
MAX_INPUTS = 4096
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
    """One logistic regression: the log-odds are `intercept` plus the terms of `features`, `bins` and `levels`.

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


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Scores of at least `score` are alerts; `policy` and `value` record how it was chosen."""

    policy: str
    value: float
    score: float


@dataclass(frozen=True, kw_only=True)
class Time:
    """The input with the transaction's time: its name, its unit (time_units.py), and the zone of local ISO times."""

    column: str
    unit: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class ModelDocument:
    """A validated model.json; `version` is the first 12 hex digits of the digest of its canonical form.

    `parts` holds the part for known patterns, and in an adapted model the one for new patterns after it. `history`
    maps the former's log-odds, without recalibration, to those of the fraud rate on rows that it was not fitted on:
    an adaptation starts from it. `categories` are the inputs that are text, the last ones.
    """

    inputs: tuple[str, ...]
    time: Time | None
    amount: str | None
    categories: tuple[str, ...]
    parts: tuple[Part, ...]
    history: Line
    threshold: Threshold
    provenance: dict[str, str] | None
    version: str

    @property
    def clock(self) -> str | None:
        """The name of the input with the time; None without one."""
        return None if self.time is None else self.time.column

    @property
    def iso_times(self) -> tuple[str, str] | None:
        """Name and zone of the input whose values are ISO text in requests; None if all are numbers there."""
        return None if self.time is None or self.time.unit != time_units.ISO else (self.time.column, self.time.zone)

    @cached_property
    def levels(self) -> Mapping[str, Levels]:
        """The levels of each category in any part of the model: a row of numbers has their places."""
        return {
            name: Levels(
                sorted(
                    {
                        level
                        for part in self.parts
                        for table in part.levels
                        if table.input == name
                        for level in table.levels
                    }
                )
            )
            for name in self.categories
        }


def parse(text: str | bytes) -> ModelDocument:
    """Parses and validates the model document in `text`.

    Raises:
        ArtifactInvalid: it is not JSON, has another schema version, or a field is missing, unknown or out of range.
    """
    if len(text) > MAX_TEXT:
        raise ArtifactInvalid(f"model.json: must be at most {MAX_TEXT} bytes (got {len(text)})")
    document = fields.load(text, "model.json")
    if not isinstance(document, dict):
        fields.reject("the document", "must be an object", document)
    with_categories = _check_schema(document)
    fields.check_keys(document, "", (*_KEYS, *(("categories",) if with_categories else ())))
    inputs = _inputs(document["inputs"])
    categories = _categories(document["categories"], inputs) if with_categories else ()
    numbers = inputs[: len(inputs) - len(categories)]
    time = None if document["time"] is None else _time(document["time"], numbers)
    amount = document["amount"]
    if amount is not None:
        fields.one_of(amount, "amount", numbers, "null or one of inputs")
    if time is not None and amount == time.column:
        fields.reject("amount", "must be another input than time", amount)
    parts = _parts(document["parts"], numbers, categories)
    hours = [table.input for part in parts for table in part.bins if table.kind == "hour_of_day"]
    if any(time is None or name != time.column for name in hours):
        fields.reject("parts", "must have the hour of the day of the time column only", hours[0])
    return ModelDocument(
        inputs=inputs,
        time=time,
        amount=amount,
        categories=categories,
        parts=parts,
        history=_line(document["history"], "history"),
        threshold=_threshold(document["threshold"]),
        provenance=_provenance(document["provenance"]),
        version=hashlib.sha256(fields.canonical(document).encode()).hexdigest()[:12],
    )


def _check_schema(document: dict[str, Any]) -> bool:
    """Whether the document is of the schema with categories."""
    if "schema" not in document:
        raise ArtifactInvalid("model.json: schema is missing")
    schema = document["schema"]
    if type(schema) is not int or schema not in (SCHEMA, SCHEMA_WITH_CATEGORIES):
        was = {1: "had no parts", 2: "did not state the unit of the time"}
        older = (
            f"; schema {schema} {was[schema]}: train the model again" if type(schema) is int and schema in was else ""
        )
        raise ArtifactInvalid(
            f"model.json: schema must be {SCHEMA} or {SCHEMA_WITH_CATEGORIES}, the versions this code reads "
            f"(got {fields.shorten(schema)}{older})"
        )
    return schema == SCHEMA_WITH_CATEGORIES


def _categories(value: Any, inputs: Sequence[str]) -> tuple[str, ...]:
    names = fields.entries(value, "categories", fields.text)
    if not 1 <= len(names) < len(inputs) or names != tuple(inputs[-len(names) :]):
        fields.reject("categories", "must be the last inputs, in their order, but not all", value)
    return names


def _time(value: Any, inputs: Sequence[str]) -> Time:
    fields.check_keys(value, "time", ("column", "unit", "zone"))
    zone = fields.text(value["zone"], "time.zone")
    if not time_units.zone_exists(zone):
        fields.reject("time.zone", "must be a time zone that this system knows, as UTC or Europe/Berlin", zone)
    return Time(
        column=fields.one_of(value["column"], "time.column", inputs, "one of inputs"),
        unit=fields.one_of(value["unit"], "time.unit", time_units.UNITS),
        zone=zone,
    )


def _inputs(value: Any) -> tuple[str, ...]:
    names = fields.entries(value, "inputs", fields.text)
    if not 1 <= len(names) <= MAX_INPUTS:
        fields.reject("inputs", f"must hold 1 to {MAX_INPUTS} names", len(names))
    fields.check_distinct(names, "inputs", "each name once")
    return names


def _parts(value: Any, numbers: Sequence[str], categories: Sequence[str]) -> tuple[Part, ...]:
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
    recalibration = None if line is None else _line(line, f"{at}.recalibration")
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


def _line(value: Any, at: str) -> Line:
    fields.check_keys(value, at, ("slope", "intercept"))
    slope = fields.number(value["slope"], f"{at}.slope")
    if not 1 / MAX_SLOPE <= slope <= MAX_SLOPE:
        fields.reject(f"{at}.slope", f"must be between {1 / MAX_SLOPE:g} and {MAX_SLOPE:g}", slope)
    return Line(slope=slope, intercept=fields.number(value["intercept"], f"{at}.intercept"))


def _threshold(value: Any) -> Threshold:
    fields.check_keys(value, "threshold", ("policy", "value", "score"))
    policy = fields.one_of(value["policy"], "threshold.policy", POLICIES)
    limit = fields.number(value["value"], "threshold.value")
    score = fields.number(value["score"], "threshold.score")
    if policy == "min_cost":
        if limit <= 0:
            fields.reject("threshold.value", "must be the cost of an alert, above 0", limit)
    elif not 0 < limit < 1:
        fields.reject("threshold.value", "must be between 0 and 1", limit)
    if not 0 <= score <= 1:
        fields.reject("threshold.score", "must be a probability, 0 to 1", score)
    return Threshold(policy=policy, value=limit, score=score)


def _provenance(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    names = ("commit", "config_sha256", "data_sha256")
    fields.check_keys(value, "provenance", names)
    return {name: fields.text(value[name], f"provenance.{name}") for name in names}
