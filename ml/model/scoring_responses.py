"""Media types, size limits, answers and error responses of scoring requests.

Part of the archive's code/, so it imports the standard library only. Independent of the server: every invalid request
is a PayloadError with the HTTP status and a body that names row, column, value and expectation.

Answers hold, per row: score, decision (1 = alert, 0 = pass), model_version, event_id where the request gave one, and
fraud_rate and explanation where it asked for them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from email.message import Message
from functools import lru_cache
from typing import Any, NoReturn

CSV, JSON, JSONLINES = "text/csv", "application/json", "application/jsonlines"
TYPES = (JSON, CSV, JSONLINES)  # */* gets the first
EVENT_ID = "event_id"
MAX_BODY = 6 * 1024 * 1024  # bytes: what SageMaker's containers take in a real-time request
# SageMaker ends a real-time request after 60 seconds. The rows that fit into MAX_BODY can make an answer of 76 MB that
# takes 105 s in SageMaker's container (measured); an answer of this many rows has about 2.5 MB.
MAX_ROWS = 25_000
MAX_EXPLAINED = 500  # rows; the explanation of one takes 4 KB and 0.3 ms (30 inputs, two parts; measured)
_MAX_HEADER = 1_024  # characters of Content-Type and Accept; the parser of their parameters is not linear
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")


class PayloadError(ValueError):
    """An invalid request: the 4xx `status`, and a `body` that says what is wrong and where."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.row, self.column, self.value, self.expected = row, column, value, expected

    @property
    def body(self) -> bytes:
        """The answer's body, JSON: {"error": {"status", "message", "row", "column", "value", "expected"}}."""
        error = {
            "status": self.status,
            "message": str(self),
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "expected": self.expected,
        }
        return json.dumps({"error": error}).encode()


def too_large() -> PayloadError:
    """The 413 error for a body above MAX_BODY, for servers that stop reading early."""
    expected = f"at most {MAX_BODY} bytes; send more rows in several requests"
    return PayloadError(413, f"the body must have {expected}", expected=f"at most {MAX_BODY} bytes")


def too_many_rows() -> PayloadError:
    """The 413 error for a request of more than MAX_ROWS rows."""
    message = f"the body must have at most {MAX_ROWS} rows, so that the answer fits SageMaker's 60 seconds"
    return PayloadError(413, f"{message}; send more rows in several requests", expected=f"at most {MAX_ROWS} rows")


def too_many_to_explain() -> PayloadError:
    """The 413 error for a request that asks for the reasons of more than MAX_EXPLAINED rows."""
    expected = f"at most {MAX_EXPLAINED} rows"
    message = f'with "explain" the body must have {expected}; send more rows in several requests'
    return PayloadError(413, message, expected=expected)


@lru_cache(maxsize=64)
def negotiate(accept: str | None) -> tuple[str, bool]:
    """The response type, and whether CSV starts with a header line (`Accept: text/csv; header=present`).

    The supported type with the highest quality wins, the first of equals. None, empty and */* are application/json.

    Raises:
        PayloadError: 406, no accepted type is supported.
    """
    if not accept or not accept.strip():
        return JSON, False
    best: tuple[float, str, bool] | None = None
    for entry in accept.split(",") if len(accept) <= _MAX_HEADER else ():
        kind, parameters = _parameters(entry)
        options = dict(parameters)
        try:
            quality = float(options.get("q", "1"))
        except ValueError:
            quality = 0.0
        family = kind.removesuffix("*")
        found = next(
            (name for name in TYPES if kind in (name, "*/*") or (kind.endswith("/*") and name.startswith(family))), None
        )
        if found and 0 < quality <= 1 and (best is None or quality > best[0]):
            best = (quality, found, options.get("header") == "present")
    if best is None:
        expected = f"{', '.join(TYPES)} or */*"
        raise PayloadError(
            406, f"Accept must be {expected} (got {short(accept)})", value=accept[:80], expected=expected
        )
    return best[1:]


def write(
    scores: Sequence[float],
    decisions: Sequence[int],
    event_ids: Sequence[str | None] | None,
    *,
    model_version: str,
    kind: str,
    header: bool = False,
    fraud_rates: Sequence[float] | None = None,
    explanations: Sequence[dict[str, Any]] | None = None,
) -> bytes:
    """The response body in the type `kind`: JSON as {"predictions": [...]}, JSON lines, or CSV.

    CSV has the columns score, decision, model_version, and event_id if the request had any, in this order. The header
    line is optional (`header`) because SageMaker's batch transform joins lines one to one.

    Raises:
        PayloadError: 406, `fraud_rates` in CSV. Its readers, the drift check among them, know columns by their place.
    """
    if kind == CSV:
        if fraud_rates is not None:
            expected = f"{JSON} or {JSONLINES}, if the request is calibrated or explained"
            raise PayloadError(406, f"Accept must be {expected} (got {CSV})", value=CSV, expected=expected)
        ids = [item or "" for item in event_ids] if event_ids is not None else None
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if header:
            writer.writerow(["score", "decision", "model_version", *([EVENT_ID] if ids is not None else [])])
        columns: Iterable[Any] = zip(
            scores, decisions, [model_version] * len(scores), *([ids] if ids is not None else []), strict=True
        )
        writer.writerows(columns)
        return text.getvalue().encode()
    rows: list[dict[str, Any]] = [
        {"score": score, "decision": decision, "model_version": model_version}
        for score, decision in zip(scores, decisions, strict=True)
    ]
    if event_ids is not None:
        for row, event_id in zip(rows, event_ids, strict=True):
            row[EVENT_ID] = event_id
    if fraud_rates is not None:
        for row, rate in zip(rows, fraud_rates, strict=True):
            row["fraud_rate"] = rate
    if explanations is not None:
        for row, reasons in zip(rows, explanations, strict=True):
            row["explanation"] = reasons
    if kind == JSON:
        return json.dumps({"predictions": rows}, separators=(",", ":")).encode()
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()


@lru_cache(maxsize=64)
def content_type(value: str | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The media type and parameters of a Content-Type header; PayloadError 415 if not supported or not UTF-8."""
    kind, parameters = _parameters(value[: _MAX_HEADER + 1]) if value and value.strip() else (JSON, ())
    if kind not in TYPES or len(value or "") > _MAX_HEADER:
        expected = " or ".join(TYPES)
        got = value or ""
        message = f"Content-Type must be {expected} (got {short(got)})"
        raise PayloadError(415, message, value=got[:80], expected=expected)
    charset = dict(parameters).get("charset", "utf-8")
    if charset.lower() not in _UTF8:
        message = f"Content-Type: charset must be utf-8 (got {short(charset)})"
        raise PayloadError(415, message, value=charset[:80], expected="utf-8")
    return kind, parameters


def _parameters(value: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A media type in lower case and its parameters; malformed text gives an unknown type."""
    message = Message()
    message["Content-Type"] = " ".join(value.split())
    parsed = message.get_params(failobj=[("", "")])
    (kind, _), *rest = parsed if parsed else [("", "")]
    return str(kind).lower().strip(), tuple((str(key).lower(), str(item).strip().lower()) for key, item in rest)


def short(value: Any) -> str:
    """`value` as JSON of at most 80 characters, for messages."""
    if isinstance(value, int) and abs(value) >= 10**80:
        return "a number of more than 80 digits"
    text = (
        json.dumps(value, default=repr)
        if not isinstance(value, dict | list)
        else f"{'an object' if isinstance(value, dict) else 'an array'}"
    )
    return text if len(text) <= 80 else text[:79] + "…"


def bad(row: int | None, column: str | None, value: Any, expected: str) -> NoReturn:
    """Raises PayloadError 400 for `value` at `row` and `column`, which must be `expected`."""
    where = ", ".join(
        [*([f"row {row}"] if row is not None else []), *([f"column {column[:64]}"] if column is not None else [])]
    )
    got = short(value)
    shown = value[:80] if isinstance(value, str) else got
    message = f"{where}: must be {expected} (got {got})" if where else f"the body must be {expected} (got {got})"
    raise PayloadError(400, message, row=row, column=column[:64] if column else column, value=shown, expected=expected)
