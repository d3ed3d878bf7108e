"""Decodes the body of a scoring request, and its JSON, without knowing the model's columns.

Part of the archive's code/, so it imports the standard library only. Invalid input raises PayloadError and nothing
else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ml.model import scoring_responses
from ml.model.scoring_responses import MAX_BODY, PayloadError, bad

FINITE = "a finite number"
"""What is expected of a number."""
CALIBRATED, EXPLAIN = "calibrated", "explain"


def decode(body: bytes | str) -> str:
    """The text of a body, without a byte order mark. Raises PayloadError: 413 too large, 400 empty or not UTF-8."""
    if len(body if isinstance(body, bytes) else body.encode("utf-8", "replace")) > MAX_BODY:
        raise scoring_responses.too_large()
    if isinstance(body, str):
        text = body
        at = text.find("�")  # SageMaker's server puts this for invalid UTF-8 when it decodes the body
        if at >= 0:
            raise PayloadError(400, f"the body must be UTF-8 (character {at} is not)", expected="UTF-8")
    else:
        try:
            text = bytes(body).decode("utf-8")
        except UnicodeDecodeError as error:
            raise PayloadError(400, f"the body must be UTF-8 (byte {error.start} is not)", expected="UTF-8") from error
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise PayloadError(400, "the body must hold at least one row (got an empty body)", expected="at least one row")
    return text


def json_line(line: str, number: int) -> Any:
    """The value of line `number` of JSON lines. Raises PayloadError 400."""
    if not line.strip():
        bad(number, None, "", "a JSON object or array, not an empty line")
    return json_value(line, number)


def json_value(text: str, number: int | None) -> Any:
    """The value of a body, or of row `number`; numbers are finite and keys differ. Raises PayloadError 400."""
    where = "the body" if number is None else f"row {number}"

    def reject_constant(word: str) -> NoReturn:
        raise PayloadError(
            400, f"{where}: must hold finite numbers only (got {word})", row=number, value=word, expected=FINITE
        )

    def reject_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        unique = dict(items)
        if len(unique) != len(items):
            repeated = first_repeated([key for key, _ in items])
            bad(number, repeated, repeated, "each column once")
        return unique

    try:
        return json.loads(text, parse_constant=reject_constant, object_pairs_hook=reject_repeated_keys)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise PayloadError(
            400, f"{where} is not valid JSON: {error.msg} at {place}", row=number, expected="JSON"
        ) from error
    except RecursionError as error:
        raise PayloadError(400, f"{where} is nested too deep", row=number, expected="rows of numbers") from error
    except PayloadError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise PayloadError(400, f"{where}: holds a number that is too long", row=number, expected=FINITE) from error


def instances(document: Any, inputs: frozenset[str]) -> tuple[list[Any], bool, bool]:
    """The rows of a JSON body, and whether the answer is to have fraud rates, and reasons.

    The rows are the list under "instances", a list of rows, or one row. An answer with reasons has fraud rates unless
    the request refuses them. Raises PayloadError 400.
    """
    if isinstance(document, dict) and "instances" in document and "instances" not in inputs:
        extra = next((key for key in document if key not in ("instances", CALIBRATED, EXPLAIN)), None)
        if extra is not None:
            bad(None, extra, extra, f'nothing beside "instances", "{CALIBRATED}" and "{EXPLAIN}"')
        rows = document["instances"]
        if not isinstance(rows, list):
            bad(None, "instances", rows, "a list of rows")
        explain = _flag(document, EXPLAIN, default=False)
        return rows, _flag(document, CALIBRATED, default=explain), explain
    if isinstance(document, dict):
        return [document], False, False
    if not isinstance(document, list):
        bad(None, None, document, 'an object, an array or {"instances": [...]}')
    nested = any(isinstance(item, dict | list) for item in document)
    return (document if nested or not document else [document]), False, False


def _flag(document: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = document.get(key, default)
    if not isinstance(value, bool):
        bad(None, key, value, "true or false")
    return value


def first_repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs again later; None if each occurs once. Time is linear in the number of names."""
    counts = Counter(names)
    return next((name for name in names if counts[name] > 1), None)
