"""Reads and validates model.json.

Part of the archive's code/, so it imports the standard library only. Never repairs: an unknown key, a number that is
not finite or unsorted edges raise ArtifactInvalid with the name of the field.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")

SCHEMA = 1
POLICIES = ("max_recall_at_fpr", "alert_budget", "fixed")
TRANSFORMS = ("identity", "log1p")
KINDS = ("amount", "hour_of_day")
_KEYS = ("schema", "inputs", "time", "amount", "features", "bins", "intercept", "threshold", "provenance")
MAX_TEXT = 4 * 1024 * 1024
MAX_INPUTS = 4096
MAX_MAGNITUDE = 1e150  # of any parameter: folded weights, and their products with inputs, stay below float64's maximum


class ArtifactInvalid(ValueError):
    """An invalid model document or archive; the message says what is wrong and where."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One term of the regression: coefficient * (transform(input) - mean) / scale."""

    name: str
    transform: str
    mean: float
    scale: float
    coefficient: float


@dataclass(frozen=True, kw_only=True)
class Bins:
    """A one-hot block as a table: coefficients[searchsorted(edges, value, side="right")]."""

    input: str
    kind: str
    edges: tuple[float, ...]
    coefficients: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Scores of at least `score` are alerts; `policy` and `value` record how it was chosen."""

    policy: str
    value: float
    score: float


@dataclass(frozen=True, kw_only=True)
class ModelDocument:
    """A validated model.json; `version` is the first 12 hex digits of the digest of its canonical form."""

    inputs: tuple[str, ...]
    time: str | None
    amount: str
    features: tuple[Feature, ...]
    bins: tuple[Bins, ...]
    intercept: float
    threshold: Threshold
    provenance: dict[str, str] | None
    version: str


def canonical(document: Any) -> str:
    """The JSON of `document` that is stored and hashed: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def load(text: str | bytes, name: str) -> Any:
    """Parses the JSON of the file `name`; a repeated key, NaN or invalid UTF-8 raises ArtifactInvalid."""

    def reject_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        unique = dict(items)
        if len(unique) != len(items):
            keys = [key for key, _ in items]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise ArtifactInvalid(f"{name}: key {repeated!r} is given twice")
        return unique

    def reject_constant(word: str) -> NoReturn:
        raise ArtifactInvalid(f"{name}: must hold finite numbers only (got {word})")

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, object_pairs_hook=reject_repeated_keys, parse_constant=reject_constant)
    except UnicodeDecodeError as error:
        raise ArtifactInvalid(f"{name}: must be UTF-8 (byte {error.start} is not)") from error
    except json.JSONDecodeError as error:
        raise ArtifactInvalid(
            f"{name}: not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of more than 4,300 digits
        if isinstance(error, ArtifactInvalid):
            raise
        raise ArtifactInvalid(f"{name}: not readable JSON: {type(error).__name__}") from error


def parse(text: str | bytes) -> ModelDocument:
    """Parses and validates the model document in `text`.

    Raises:
        ArtifactInvalid: it is not JSON, has another schema version, or a field is missing, unknown or out of range.
    """
    if len(text) > MAX_TEXT:
        raise ArtifactInvalid(f"model.json: must be at most {MAX_TEXT} bytes (got {len(text)})")
    document = load(text, "model.json")
    if not isinstance(document, dict):
        _bad("the document", "must be an object", document)
    if "schema" not in document:
        raise ArtifactInvalid("model.json: schema is missing")
    if type(document["schema"]) is not int or document["schema"] != SCHEMA:
        raise ArtifactInvalid(
            f"model.json: schema must be {SCHEMA}, the version this code reads (got {_short(document['schema'])})"
        )
    _check_keys(document, "", _KEYS)
    inputs = _inputs(document["inputs"])
    time = document["time"]
    if time is not None:
        _one_of(time, "time", inputs, "null or one of inputs")
    amount = _one_of(document["amount"], "amount", inputs, "one of inputs")
    if amount == time:
        _bad("amount", "must be another input than time", amount)
    model = ModelDocument(
        inputs=inputs,
        time=time,
        amount=amount,
        features=_list(document["features"], "features", lambda item, at: _feature(item, at, inputs)),
        bins=_list(document["bins"], "bins", lambda item, at: _bins(item, at, inputs)),
        intercept=_number(document["intercept"], "intercept"),
        threshold=_threshold(document["threshold"]),
        provenance=_provenance(document["provenance"]),
        version=hashlib.sha256(canonical(document).encode()).hexdigest()[:12],
    )
    _distinct([(item.name, item.transform) for item in model.features], "features", "one term per input and transform")
    _distinct([(item.input, item.kind) for item in model.bins], "bins", "one table per input and kind")
    return model


def _inputs(value: Any) -> tuple[str, ...]:
    names = _list(value, "inputs", _text)
    if not 1 <= len(names) <= MAX_INPUTS:
        _bad("inputs", f"must hold 1 to {MAX_INPUTS} names", len(names))
    _distinct(names, "inputs", "each name once")
    return names


def _feature(value: Any, at: str, inputs: Sequence[str]) -> Feature:
    _check_keys(value, at, ("name", "transform", "mean", "scale", "coefficient"))
    scale = _number(value["scale"], f"{at}.scale")
    if not scale >= 1 / MAX_MAGNITUDE:
        _bad(f"{at}.scale", "must be greater than 0", scale)
    coefficient = _number(value["coefficient"], f"{at}.coefficient")
    if not abs(coefficient / scale) <= MAX_MAGNITUDE:
        _bad(f"{at}.coefficient", f"must be at most {MAX_MAGNITUDE:g} once divided by scale", coefficient)
    return Feature(
        name=_one_of(value["name"], f"{at}.name", inputs, "one of inputs"),
        transform=_one_of(value["transform"], f"{at}.transform", TRANSFORMS),
        mean=_number(value["mean"], f"{at}.mean"),
        scale=scale,
        coefficient=coefficient,
    )


def _bins(value: Any, at: str, inputs: Sequence[str]) -> Bins:
    _check_keys(value, at, ("input", "kind", "edges", "coefficients"))
    edges = _list(value["edges"], f"{at}.edges", _number)
    for index in range(1, len(edges)):
        if not edges[index - 1] < edges[index]:
            _bad(f"{at}.edges[{index}]", f"must be greater than the edge before it, {edges[index - 1]!r}", edges[index])
    coefficients = _list(value["coefficients"], f"{at}.coefficients", _number)
    if len(coefficients) != len(edges) + 1:
        _bad(f"{at}.coefficients", f"must hold one more number than edges, {len(edges) + 1}", len(coefficients))
    return Bins(
        input=_one_of(value["input"], f"{at}.input", inputs, "one of inputs"),
        kind=_one_of(value["kind"], f"{at}.kind", KINDS),
        edges=edges,
        coefficients=coefficients,
    )


def _threshold(value: Any) -> Threshold:
    _check_keys(value, "threshold", ("policy", "value", "score"))
    share, score = _number(value["value"], "threshold.value"), _number(value["score"], "threshold.score")
    if not 0 < share < 1:
        _bad("threshold.value", "must be between 0 and 1", share)
    if not 0 <= score <= 1:
        _bad("threshold.score", "must be a probability, 0 to 1", score)
    return Threshold(policy=_one_of(value["policy"], "threshold.policy", POLICIES), value=share, score=score)


def _provenance(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    names = ("commit", "config_sha256", "data_sha256")
    _check_keys(value, "provenance", names)
    return {name: _text(value[name], f"provenance.{name}") for name in names}


def _check_keys(value: Any, at: str, names: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        _bad(at, "must be an object", value)
    prefix = f"{at}." if at else ""
    for name in names:
        if name not in value:
            raise ArtifactInvalid(f"model.json: {prefix}{name} is missing")
    for name in value:
        if name not in names:
            raise ArtifactInvalid(f"model.json: {prefix}{name[:64]} is not a known key")


def _list(value: Any, at: str, item: Callable[[Any, str], _T]) -> tuple[_T, ...]:
    if not isinstance(value, list):
        _bad(at, "must be a list", value)
    return tuple(item(entry, f"{at}[{index}]") for index, entry in enumerate(value))


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _bad(at, "must be a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > MAX_MAGNITUDE:
        _bad(at, f"must be finite, at most {MAX_MAGNITUDE:g}", value)
    return number


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 256:
        _bad(at, "must be text of 1 to 256 characters", value)
    return value


def _one_of(value: Any, at: str, allowed: Sequence[str], expected: str = "") -> str:
    if not isinstance(value, str) or value not in allowed:
        _bad(at, f"must be {expected or ' or '.join(allowed)}", value)
    return value


def _distinct(values: Sequence[Any], at: str, expected: str) -> None:
    seen = set()
    for value in values:
        if value in seen:
            _bad(at, f"must hold {expected}; repeated", value)
        seen.add(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4,300 digits has no repr
        return "a very long number"
    return text if len(text) <= 80 else text[:77] + "…"


def _bad(at: str, expected: str, value: Any) -> NoReturn:
    raise ArtifactInvalid(f"model.json: {at} {expected} (got {_short(value)})")
