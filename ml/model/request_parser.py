"""Parses scoring requests (CSV, JSON, JSON lines) into rows in the model's column order.

Part of the archive's code/, so it imports the standard library only. Invalid input raises PayloadError and nothing
else.

Requests: text/csv (one row per line; a header line is detected, or declared by RFC 4180's header= parameter),
application/json ({"instances": [...]}, a list of rows or one row; a row is an object or an array in order) and
application/jsonlines (one row per line). Beside "instances", `"calibrated": true` asks for fraud rates and
`"explain": true` for reasons too. Named columns may be in any order. `event_id` may be one; it is echoed, never scored.
Values are numbers, with two exceptions: a time whose unit is `iso` is text, and becomes seconds since 1970; a category
is text, and becomes the place of its level.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ml.model import category_levels, request_json, scoring_responses, time_units
from ml.model.category_levels import Levels
from ml.model.model_document import ModelDocument
from ml.model.request_json import FINITE
from ml.model.scoring_responses import EVENT_ID, MAX_EXPLAINED, MAX_ROWS, PayloadError, bad, short

MAX_EVENT_ID = 128  # as in data_contract.py, which is not part of the archive
# A digit can match in one way only: with \d+\.?\d* a long field would take time in the square of its length.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a request in the model's order of inputs, as numbers, and their event ids if it had any.

    `calibrated` is whether the answer is to have fraud rates. `explained` has the rows as `explanation.explain` takes
    them, with the text of each category, if the answer is to have reasons.
    """

    rows: list[list[float]]
    event_ids: list[str | None] | None
    calibrated: bool = False
    explained: list[list[float | str]] | None = None


class RequestParser:
    """Parses requests for a model with the columns `inputs`; the column `amount`, if any, must not be negative.

    `iso_times` is the name of the column whose values are ISO times, and the zone of those without an offset. `levels`
    has the levels of each column that is text.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        amount: str | None,
        iso_times: tuple[str, str] | None = None,
        levels: Mapping[str, Levels] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.amount = amount
        self._amount_at = None if amount is None else self.inputs.index(amount)
        self._time_at = None if iso_times is None else self.inputs.index(iso_times[0])
        self._times = None if iso_times is None else time_units.IsoTimes(iso_times[1])
        self._levels = [(self.inputs.index(name), known) for name, known in (levels or {}).items()]
        self._all_numbers = self._times is None and not self._levels
        self._known = frozenset(self.inputs)

    @classmethod
    def of(cls, document: ModelDocument) -> RequestParser:
        """The parser of requests for a model."""
        return cls(document.inputs, document.amount, document.iso_times, document.levels)

    def parse(self, body: bytes | str, content_type: str | None) -> Batch:
        """Parses the rows in `body`.

        Args:
            body: the request's body; SageMaker's servers pass some types decoded, as str.
            content_type: its Content-Type; None is application/json, as in SageMaker's containers.

        Raises:
            PayloadError: 400 invalid content, 413 too large or too many rows, 415 unsupported type.
        """
        kind, parameters = scoring_responses.content_type(content_type)
        text, calibrated = request_json.decode(body), False
        given: list[Sequence[Any]] | None = None
        if kind == scoring_responses.CSV:
            rows, ids = self._parse_csv(text, dict(parameters).get("header"))
        elif kind == scoring_responses.JSON:
            instances, calibrated, explain = request_json.instances(request_json.json_value(text, None), self._known)
            if explain and len(instances) > MAX_EXPLAINED:
                raise scoring_responses.too_many_to_explain()
            given = [] if explain else None
            rows, ids = self._parse_rows(instances, None, given)
        else:
            lines = text.split("\n")
            while lines and not lines[-1].strip():
                lines.pop()
            rows, ids = self._parse_rows(lines, request_json.json_line)
        if not rows:
            raise PayloadError(400, "the body must hold at least one row (got none)", expected="at least one row")
        explained = None if given is None else [self._with_texts(*each) for each in zip(rows, given, strict=True)]
        return Batch(rows, ids if any(item is not None for item in ids) else None, calibrated, explained)

    def _with_texts(self, row: list[float], given: Sequence[Any]) -> list[float | str]:
        """A row with the text of each category instead of the place of its level."""
        texts = {at: text for at, _ in self._levels if (text := category_levels.text_of(given[at])) is not None}
        return [texts.get(at, value) for at, value in enumerate(row)]

    def _parse_rows(
        self, items: Sequence[Any], decode: Callable[[Any, int], Any] | None, given: list[Sequence[Any]] | None = None
    ) -> tuple[list[list[float]], list[str | None]]:
        """The rows and their event ids; appends each row's values as they were sent to `given`."""
        rows: list[list[float]] = []
        ids: list[str | None] = []
        if len(items) > MAX_ROWS:
            raise scoring_responses.too_many_rows()
        for number, entry in enumerate(items, start=1):
            item = decode(entry, number) if decode else entry
            event_id = None
            if type(item) is dict:
                if EVENT_ID in item and EVENT_ID not in self._known:
                    event_id = _event_id(item.pop(EVENT_ID), number)
                if len(item) != len(self.inputs) or not self._known.issuperset(item):
                    self._refuse_names(list(item), number)
                values = [item[name] for name in self.inputs]
            elif type(item) is list:
                values = item
                if len(values) != len(self.inputs):
                    self._refuse_count(len(values), number)
            else:
                bad(number, None, item, "an object of named numbers or an array of numbers")
            rows.append(self._numbers(values, number))
            ids.append(event_id)
            if given is not None:
                given.append(values)
        return rows, ids

    def _numbers(self, values: list[Any], number: int) -> list[float]:
        """JSON values as finite floats; true, null and "1" are not numbers."""
        values = self._as_numbers(values, number)
        if not set(map(type, values)) <= {float, int}:
            at = next(index for index, value in enumerate(values) if type(value) not in (float, int))
            bad(number, self.inputs[at], values[at], FINITE)
        try:
            row = list(map(float, values))
        except OverflowError:  # a whole number beyond the largest float
            row = [float(value) if abs(value) < 10**308 else math.inf for value in values]
        return self._finite(row, values, number)

    def _as_numbers(self, values: list[Any], number: int) -> list[Any]:
        """The values with the ISO time as seconds since 1970, and each category as the place of its level."""
        if self._all_numbers:
            return values
        values = values.copy()
        if self._times is not None and self._time_at is not None:
            given = values[self._time_at]
            seconds = self._times.seconds(given) if type(given) is str else None
            if seconds is None:
                expected = f"an ISO 8601 time, as {time_units.ISO_EXAMPLE}"
                bad(number, self.inputs[self._time_at], given, expected)
            values[self._time_at] = seconds
        for at, levels in self._levels:
            text = category_levels.text_of(values[at])
            if text is None:
                bad(number, self.inputs[at], values[at], category_levels.EXPECTED)
            values[at] = levels.place(text)
        return values

    def _parse_csv(self, text: str, header: str | None) -> tuple[list[list[float]], list[str | None]]:
        plain = text.isascii() and "_" not in text  # then float() accepts only numbers, nan and inf
        records = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        order: list[int] | None = None
        id_at, width = None, len(self.inputs)
        rows: list[list[float]] = []
        ids: list[str | None] = []
        number, empty = 0, 0
        first = True
        try:
            for record in records:
                if not record:
                    empty += 1
                    continue
                if first:
                    first = False
                    if header == "present" or (header != "absent" and self._is_header(record)):
                        order, id_at = self._header(record)
                        width = len(record)
                        continue
                number += 1
                if number > MAX_ROWS:
                    raise scoring_responses.too_many_rows()
                if empty:
                    bad(number, None, "", f"{width} columns, not an empty line")
                if len(record) != width:
                    self._refuse_count(len(record), number, width)
                ids.append(_event_id(record[id_at] or None, number) if id_at is not None else None)
                fields = record if order is None else [record[at] for at in order]
                rows.append(self._parse_fields(fields, number, plain))
        except csv.Error as error:
            message = f"line {records.line_num} of the body is not valid CSV: {error}"
            raise PayloadError(400, message, row=number + 1, expected="CSV as in RFC 4180") from error
        return rows, ids

    def _is_header(self, record: list[str]) -> bool:
        names = [name.strip() for name in record]
        return not self._known.isdisjoint(names) or not any(map(_is_number, names))

    def _header(self, record: list[str]) -> tuple[list[int], int | None]:
        names = [name.strip() for name in record]
        repeated = request_json.first_repeated(names)
        if repeated is not None:
            bad(None, repeated, repeated, "each column once")
        wanted = [name for name in names if name != EVENT_ID or EVENT_ID in self._known]
        if len(wanted) != len(self.inputs) or not self._known.issuperset(wanted):
            self._refuse_names(wanted, None)
        at = {name: index for index, name in enumerate(names)}
        return [at[name] for name in self.inputs], None if len(wanted) == len(names) else at[EVENT_ID]

    def _parse_fields(self, fields: list[str], number: int, plain: bool) -> list[float]:
        values = self._as_numbers(fields, number)
        try:
            row = list(map(float, values))
        except ValueError:
            row = None
        if row is None or not (plain or all(map(_is_number, values))):
            at = next((index for index, value in enumerate(values) if not _is_number(value)), 0)
            bad(number, self.inputs[at], values[at], FINITE)
        return self._finite(row, values, number)

    def _finite(self, row: list[float], values: Sequence[Any], number: int) -> list[float]:
        if not all(map(math.isfinite, row)):
            at = next(index for index, value in enumerate(row) if not math.isfinite(value))
            bad(number, self.inputs[at], values[at], FINITE)
        if self._amount_at is not None and row[self._amount_at] < 0:
            bad(number, self.amount, values[self._amount_at], "a number of at least 0")
        return row

    def _refuse_count(self, got: int, number: int, width: int | None = None) -> NoReturn:
        width = width or len(self.inputs)
        raise PayloadError(
            400,
            f"row {number}: must have {width} columns (got {got})",
            row=number,
            value=str(got),
            expected=f"{width} columns" + (f": {', '.join(self.inputs)}" if width == len(self.inputs) else ""),
        )

    def _refuse_names(self, names: list[str], number: int | None) -> NoReturn:
        unknown = [name for name in names if name not in self._known]
        missing = [name for name in self.inputs if name not in names]
        where = "the header" if number is None else f"row {number}"
        if unknown:
            what = f"{where}: {short(unknown[0])} is not a column of this model"
            if missing:
                what += f" (missing: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''})"
        else:
            what = f"{where}: column {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''} is missing"
        raise PayloadError(
            400,
            what,
            row=number,
            column=(unknown or missing)[0][:64],
            expected=f"the columns {', '.join(self.inputs)}, in any order, and optionally {EVENT_ID}",
        )


def _event_id(value: Any, number: int) -> str | None:
    if value is None:
        return None
    if type(value) is int and abs(value) < 10**MAX_EVENT_ID:
        value = str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_EVENT_ID or not value.isprintable():
        bad(number, EVENT_ID, value, f"text of 1 to {MAX_EVENT_ID} printable characters")
    return value


def _is_number(field: str | float) -> bool:
    return isinstance(field, float) or _NUMBER.fullmatch(field.strip(" \t")) is not None
