"""The schema of model.json: what a model is, as plain numbers, and how a document is validated.

A model has one part or two. The part for known patterns is what the first training fitted (model_parts.py). An adapted
model has a second part, for new patterns, and a row's probability of fraud is 1 - (1 - p_known) * (1 - p_new).

Part of the archive's code/, so it imports the standard library only. Never repairs: an unknown key, a number that is
not finite or unsorted edges raise ArtifactInvalid with the name of the field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml.model import document_fields as fields
from ml.model import time_units
from ml.model.category_levels import Levels
from ml.model.document_fields import ArtifactInvalid
from ml.model.model_parts import Line, Part, parse_line, parse_parts

SCHEMA, SCHEMA_WITH_CATEGORIES = 3, 4
"""A model without categories is written as schema 3, so that its digest does not depend on what others may have."""
POLICIES = ("max_recall_at_fpr", "alert_budget", "min_cost", "fixed")
_KEYS = ("schema", "inputs", "time", "amount", "parts", "history", "threshold", "provenance")
MAX_TEXT = 4 * 1024 * 1024
MAX_INPUTS = 4096


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
    parts = parse_parts(document["parts"], numbers, categories)
    hours = [table.input for part in parts for table in part.bins if table.kind == "hour_of_day"]
    if any(time is None or name != time.column for name in hours):
        fields.reject("parts", "must have the hour of the day of the time column only", hours[0])
    return ModelDocument(
        inputs=inputs,
        time=time,
        amount=amount,
        categories=categories,
        parts=parts,
        history=parse_line(document["history"], "history"),
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
