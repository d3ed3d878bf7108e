"""Decodes envelopes of captured lines, one by one: time, ids, content types and the two bodies.

`captureData.{endpointInput,endpointOutput}.{observedContentType,mode,data,encoding}` and
`eventMetadata.{eventId,inferenceId,inferenceTime}`. Bodies are returned as text, whatever their encoding was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

SMOKE = "smoke-"
"""Prefix of the inference ids of smoke tests: their transactions are not real."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_MAX_PREFIXES, _PREFIX = 4096, 19
SECONDS = {f"{second:02d}Z": 1_000_000 * second for second in range(60)}
NUMERIC = frozenset("0123456789+-. ")
CSV, JSON, LINES, UNKNOWN = "csv", "json", "lines", "unknown"
_TYPES = {CSV: "text/csv", JSON: "application/json", LINES: "application/jsonlines"}
_KINDS = {
    "text/csv": CSV,
    "application/json": JSON,
    "application/jsonlines": LINES,
    "application/x-jsonlines": LINES,
    "application/jsonl": LINES,
    "application/x-ndjson": LINES,
}


class Unreadable(Exception):
    """A line cannot be decoded. The reason quotes nothing of the line, so that reasons can be counted."""


NONE, IRREGULAR, TABLE, JSON_OBJECTS, JSON_LINES = "none", "odd", "table", "objects", "lined"
"""Layout of a body: not captured, anything else (decode one by one), CSV, JSON objects, JSON lines."""


class BodyFormat(NamedTuple):
    """The declared format of a body (`kind`, and whether CSV declares a header) and its detected `layout`.

    `detail` is the header line of a table that seems to have one, or the key of a list of objects.
    """

    kind: str
    header: bool | None
    layout: str
    detail: str | None

    @property
    def shown_by_prefix(self) -> bool:
        """Whether content type and first characters of a body suffice to detect the format."""
        return (
            self.layout == JSON_OBJECTS or (self.layout == TABLE and self.detail is None) or self.layout == JSON_LINES
        )

    @property
    def content_type(self) -> str | None:
        """The declared content type, as the endpoint's parser takes it; None if none was declared."""
        header = {True: "; header=present", False: "; header=absent", None: ""}[self.header]
        return f"{_TYPES[self.kind]}{header}" if self.kind in _TYPES else None


ABSENT = BodyFormat(UNKNOWN, None, NONE, None)


@dataclass(frozen=True, slots=True)
class RequestColumns:
    """Captured requests with bodies of one format, as parallel columns."""

    given_form: BodyFormat
    answered_form: BodyFormat
    lines: list[int] = field(default_factory=list)
    """Indexes of the lines in their group."""
    times: list[int] = field(default_factory=list)
    """Microseconds since 1970 in UTC."""
    inference_ids: Any = field(default_factory=list)
    given: Any = field(default_factory=list)
    answered: Any = field(default_factory=list)
    """Bodies; empty if that side was not captured. These three are lists of strings, or Arrow arrays."""

    def __len__(self) -> int:
        return len(self.lines)

    def piece(self, first: int, last: int) -> RequestColumns:
        """The requests from index `first` to before `last`."""
        return RequestColumns(
            self.given_form,
            self.answered_form,
            self.lines[first:last],
            self.times[first:last],
            self.inference_ids[first:last],
            self.given[first:last],
            self.answered[first:last],
        )

    def at(self, places: NDArray[np.int64]) -> RequestColumns:
        """The requests at the indexes `places`; the texts must be Arrow arrays."""
        texts = (self.inference_ids, self.given, self.answered)
        ids, given, answered = (some.take(pa.array(places)) if len(some) else some for some in texts)
        lines, times = np.asarray(self.lines)[places].tolist(), np.asarray(self.times)[places].tolist()
        return RequestColumns(self.given_form, self.answered_form, lines, times, ids, given, answered)


class _Side(msgspec.Struct, gc=False):
    """One side of a line. Field names are those of SageMaker's schema."""

    data: str
    encoding: str | None = None
    observedContentType: str | None = None  # noqa: N815


class _Data(msgspec.Struct, gc=False):
    endpointInput: _Side  # noqa: N815
    endpointOutput: _Side  # noqa: N815


class _Metadata(msgspec.Struct, gc=False):
    inferenceTime: str  # noqa: N815
    inferenceId: str | None = None  # noqa: N815


class _Line(msgspec.Struct, gc=False):
    captureData: _Data  # noqa: N815
    eventMetadata: _Metadata  # noqa: N815


_decoder = msgspec.json.Decoder(_Line)


class EnvelopeDecoder:
    """Decodes envelopes and groups them by the format of their bodies; calls `refuse` for each unreadable line.

    Requests answered outside `start` (included) to `end` (not) are only counted (`outside`); those of smoke tests are
    separate (`smoke`).
    """

    def __init__(self, start: int, end: int, refuse: Callable[[int, str], None]) -> None:
        self._start, self._end, self._refuse = start, end, refuse
        self._minutes: dict[str, int] = {}
        """Start of a minute by the text of a time up to its seconds."""
        self._requests_by_prefix: dict[tuple[Any, ...], RequestColumns] = {}
        """Requests by content types and first characters of the bodies: the fast path of `open`."""
        self._requests: dict[tuple[BodyFormat, BodyFormat], RequestColumns] = {}
        self._smoke: dict[tuple[BodyFormat, BodyFormat], RequestColumns] = {}
        self.outside = 0

    @property
    def requests(self) -> list[RequestColumns]:
        """The decoded requests, without those of smoke tests."""
        return list(self._requests.values())

    @property
    def smoke(self) -> list[RequestColumns]:
        """The decoded requests of smoke tests."""
        return list(self._smoke.values())

    def open(self, lines: Sequence[bytes], first: int) -> None:
        """Decodes `lines`; the first has the index `first`. This loop dominates the cost of reading in Python."""
        decode, minutes, known, start, end = (
            _decoder.decode,
            self._minutes,
            self._requests_by_prefix,
            self._start,
            self._end,
        )
        for place, line in enumerate(lines, start=first):
            try:
                document = decode(line)
                metadata, data = document.eventMetadata, document.captureData
                given, answered = data.endpointInput, data.endpointOutput
                text, inference_id = metadata.inferenceTime, metadata.inferenceId
                moment = minutes[text[:17]] + SECONDS[text[17:]]
                if not start <= moment < end:
                    self.outside += 1
                    continue
                sent, said = given.data, answered.data
                if given.encoding == "BASE64":
                    sent = _decoded(sent, "endpointInput")
                if answered.encoding == "BASE64":
                    said = _decoded(said, "endpointOutput")
                looks, replies = sent[:1], said[:1]
                if looks == "{":
                    looks = sent[:_PREFIX]
                if replies == "{":
                    replies = said[:_PREFIX]
                found = known[
                    given.observedContentType,
                    given.encoding,
                    looks,
                    answered.observedContentType,
                    answered.encoding,
                    replies,
                ]
                if inference_id and inference_id[:6] == SMOKE:
                    found = self._smoke.setdefault(
                        (found.given_form, found.answered_form), RequestColumns(found.given_form, found.answered_form)
                    )
            except (msgspec.MsgspecError, ValueError, KeyError, AttributeError, Unreadable):
                # Something is missing, new or wrong; the slow path determines what.
                self._open_incomplete_line(place, line)
                continue
            found.lines.append(place)
            found.times.append(moment)
            found.inference_ids.append(inference_id or None)
            found.given.append(sent)
            found.answered.append(said)

    def _open_incomplete_line(self, place: int, line: bytes) -> None:
        """Decodes one envelope of any form; reports what is wrong with it."""
        try:
            document = orjson.loads(line)
            metadata, data = document["eventMetadata"], document["captureData"]
            moment = self._moment(metadata["inferenceTime"])
            if not self._start <= moment < self._end:
                self.outside += 1
                return
            inference_id, sides = metadata.get("inferenceId"), (data.get("endpointInput"), data.get("endpointOutput"))
            self._add_request(place, moment, inference_id, *sides)
        except orjson.JSONDecodeError:
            self._refuse(place, "not JSON")
        except Unreadable as error:
            self._refuse(place, str(error))
        except (KeyError, TypeError, AttributeError):
            self._refuse(place, "not in the schema of data capture")

    def _add_request(self, place: int, moment: int, inference_id: Any, given: Any, answered: Any) -> None:
        """Adds one request of any form, and registers its prefixes for the fast path where they show the format."""
        if given is None and answered is None:
            raise Unreadable("neither input nor output was captured")
        smoke = isinstance(inference_id, str) and inference_id.startswith(SMOKE)
        sent, given_form = _body(given, "endpointInput", "instances")
        said, answered_form = _body(answered, "endpointOutput", "predictions")
        some = self._smoke if smoke else self._requests
        found = some.setdefault((given_form, answered_form), RequestColumns(given_form, answered_form))
        found.lines.append(place)
        found.times.append(moment)
        found.inference_ids.append(inference_id if isinstance(inference_id, str) and inference_id else None)
        if sent is not None:
            found.given.append(sent)
        if said is not None:
            found.answered.append(said)
        if (
            not smoke
            and sent is not None
            and said is not None
            and given_form.shown_by_prefix
            and answered_form.shown_by_prefix
        ):
            if len(self._requests_by_prefix) >= _MAX_PREFIXES:
                self._requests_by_prefix.clear()
            key: list[str | None] = []
            for part, text in ((given, sent), (answered, said)):
                looks = text[:_PREFIX] if text[:1] == "{" else text[:1]
                key += [part.get("observedContentType"), part.get("encoding"), looks]
            self._requests_by_prefix[tuple(key)] = found

    def _moment(self, text: str) -> int:
        found = moment(text)
        if text[17:] in SECONDS:
            self._minutes[text[:17]] = found - SECONDS[text[17:]]
        return found


def moment(text: str) -> int:
    """Microseconds since 1970 of an inferenceTime. Raises Unreadable."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Unreadable("inferenceTime is no time with an offset")
    return (found - _EPOCH) // _MICROSECOND


def _body(part: dict[str, Any] | None, where: str, key: str) -> tuple[str | None, BodyFormat]:
    """The body as text, and its format."""
    if part is None:
        return None, ABSENT
    text, content_type = part["data"], part.get("observedContentType") or ""
    if type(text) is not str:  # a body that is embedded as JSON and not as text is still the body
        return orjson.dumps(text).decode(), BodyFormat(JSON, None, IRREGULAR, None)
    if part.get("encoding") == "BASE64":
        text = _decoded(text, where)
    return text, detect_format(text, content_type, key)


def detect_format(text: str, content_type: str, key: str) -> BodyFormat:
    """Detects the format from content type and first characters; decoding verifies it."""
    kind, header = _content(content_type)
    first, how, detail = text[:1], IRREGULAR, None
    if kind == CSV or (kind == UNKNOWN and first not in ("{", "[")):
        if first in NUMERIC and header is not True:
            how = TABLE
        elif "\n" in text and header is not False:
            how, detail = TABLE, text[: text.find("\n")].rstrip("\r")
    elif first == "{" and text.startswith(key, 2):
        # Rows without names cannot be decoded as columns by name.
        if text[:_PREFIX].partition("[")[2].lstrip()[:1] == "{":
            how, detail = JSON_OBJECTS, key
    elif first == "{":
        how = JSON_LINES if kind == LINES else JSON_OBJECTS
    return BodyFormat(kind, header, how, detail)


@lru_cache(maxsize=256)
def _content(content_type: str) -> tuple[str, bool | None]:
    """The kind of body that a content type names, and whether RFC 4180's header= declares a CSV header."""
    essence, _, parameters = content_type.partition(";")
    header = None
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "header":
            header = {"present": True, "absent": False}.get(value.strip().strip('"').lower())
    return _KINDS.get(essence.strip().lower(), UNKNOWN), header


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{where}: not UTF-8") from error
    except (binascii.Error, ValueError) as error:
        raise Unreadable(f"{where}: not base64") from error
