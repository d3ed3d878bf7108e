"""Answers requests of one row without the general parser, to the same bytes; everything else is left to that parser.

A request is answered here only if it is certainly valid: plain numbers as CSV without a header, or JSON without a
repeated key. In doubt, and for every error, `answer` returns None, and ml/steps/inference.py decides.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from math import isfinite
from operator import itemgetter

import orjson

from ml.model.request_parser import MAX_EVENT_ID
from ml.model.scoring_responses import EVENT_ID
from ml.steps.inference import Model

_INSTANCES = "instances"
_NUMBERS = frozenset((float, int))  # not bool
MAX_BYTES = 32 * 1024  # the general parser refuses a very long field


class OneRow:
    """The answers of one model, in JSON."""

    def __init__(self, model: Model) -> None:
        document, parser = model.scorer.document, model.parser
        self._score_row, self._limit = model.scorer.score_row, model.scorer.threshold.score
        self._width, self._inputs = len(parser.inputs), parser.inputs
        self._amount_at = None if parser.amount is None else parser.inputs.index(parser.amount)
        self._pick = itemgetter(*parser.inputs)
        self._end = b',"model_version":' + encode_basestring_ascii(model.version).encode()
        numbers = self._width > 1 and document.iso_times is None and not document.levels
        # A first line is a header if it has the name of an input, so a number must not be one.
        self.csv = numbers and not any(map(_is_float, parser.inputs))
        self.json = numbers and not {_INSTANCES, EVENT_ID} & set(parser.inputs)

    def answer_csv(self, body: bytes) -> bytes | None:
        """The answer to one line of CSV; None leaves the request to the general parser."""
        line = body[:-1] if body.endswith(b"\n") else body
        # float() takes line ends around a number, and underscores in it.
        doubt = not self.csv or b"\n" in line or b"\r" in line or b"_" in line or len(line) > MAX_BYTES
        if doubt:
            return None
        try:
            return self._answer(list(map(float, line.split(b","))), None)
        except ValueError:
            return None

    def answer_json(self, body: bytes) -> bytes | None:
        """The answer to one row as JSON: an object, an array, or one of them in a list or under "instances"."""
        if not self.json or len(body) > MAX_BYTES:
            return None
        try:
            return self._answer(*self._json_row(body))
        except (ValueError, KeyError):  # orjson's error is a ValueError
            return None

    def _json_row(self, body: bytes) -> tuple[list[float], str | None]:
        """The numbers and the event id of one row; ValueError or KeyError in doubt."""
        found, keys = orjson.loads(body), 0
        if type(found) is dict and _INSTANCES in found:
            keys = len(found)
            found = found[_INSTANCES]
            if keys != 1 or type(found) is not list or len(found) != 1:
                raise ValueError
        if type(found) is list and len(found) == 1:
            found = found[0]
        event_id = None
        if type(found) is dict:
            # orjson keeps the last of repeated keys. With a colon for each key that is left, and none in a text, there
            # is none.
            if body.count(b":") != keys + len(found):
                raise ValueError
            if EVENT_ID in found:
                event_id = _plain_id(found.pop(EVENT_ID))
            if len(found) != self._width:
                raise ValueError
            found = self._pick(found)
        elif type(found) is not list:
            raise ValueError
        if not _NUMBERS.issuperset(map(type, found)):
            raise ValueError
        return list(map(float, found)), event_id

    def _answer(self, row: list[float], event_id: str | None) -> bytes | None:
        # The sum of numbers that are not all finite is not finite.
        if len(row) != self._width or not isfinite(sum(row)):
            return None
        if self._amount_at is not None and row[self._amount_at] < 0:
            return None
        score = self._score_row(row)
        tail = b"" if event_id is None else b',"event_id":' + encode_basestring_ascii(event_id).encode()
        return b'{"predictions":[{"score":%b,"decision":%d%b%b}]}' % (
            repr(score).encode(),
            score >= self._limit,
            self._end,
            tail,
        )


def _is_float(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _plain_id(value: object) -> str:
    if type(value) is str and 1 <= len(value) <= MAX_EVENT_ID and value.isprintable():
        return value
    raise ValueError
