"""Finds the captured answers for one event, with the request as it was sent. Writes nothing, not even dead letters.

The id of a row is that of every join with labels: the request's `event_id`, else the answer's, else
`<InferenceId>#<row>` with rows counted from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from ml.aws.capture import line_stream, object_listing, record_decoder
from ml.aws.capture.decoded_rows import SchemaFindings
from ml.aws.capture.envelope import BodyFormat, EnvelopeDecoder, RequestColumns, Unreadable

_EPOCH, _MICROSECOND, _DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1), timedelta(days=1)
# JSON and CSV write these characters as they are, so that a body without this text has no such id.
_LITERAL = re.compile(r"[A-Za-z0-9_.:#@ -]+")


@dataclass(frozen=True, kw_only=True)
class CapturedAnswer:
    """One answer of the endpoint for one row of a request.

    `request` is the body of the whole request, and `content_type` what it was declared as; both are None if only
    answers were captured. `row` is the row's place in it, from 0. `version` is the model's, as the answer states it.
    """

    at: datetime
    inference_id: str | None
    row: int
    rows: int
    score: float
    decision: int
    version: str
    request: str | None
    content_type: str | None
    key: str
    """The S3 key of the captured file."""


def find(bucket: str, endpoint: str, event_id: str, day: date, *, inputs: Sequence[str]) -> list[CapturedAnswer]:
    """The answers for `event_id` on `day` (UTC), oldest first. Errors and smoke tests are no answers.

    Args:
        inputs: the columns of requests as they are known today; they only tell a header from a row.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    start = datetime.combine(day, time(), UTC)
    limits = [(moment - _EPOCH) // _MICROSECOND for moment in (start, start + _DAY)]
    hour = object_listing.HOUR
    objects = object_listing.list_objects(bucket, endpoint, start - hour, start + _DAY + hour)
    found: list[CapturedAnswer] = []
    for block in line_stream.blocks(bucket, objects):
        if block.overlong:
            continue
        opened = EnvelopeDecoder(limits[0], limits[1], lambda _place, _reason: None)
        opened.open([line for line in block.data.split(b"\n") if line.strip()], 0)
        for requests in opened.requests:
            found += _answers(requests, event_id, inputs, block.source.key)
    return sorted(found, key=lambda answer: answer.at)


def _answers(requests: RequestColumns, event_id: str, inputs: Sequence[str], key: str) -> Iterator[CapturedAnswer]:
    literal, (inference, _, _row) = _LITERAL.fullmatch(event_id) is not None, event_id.rpartition("#")
    for place, moment in enumerate(requests.times):
        given = requests.given[place] if len(requests.given) else None
        answered = requests.answered[place] if len(requests.answered) else None
        whose = requests.inference_ids[place]
        named = event_id in (given or "") or event_id in (answered or "") or (inference != "" and whose == inference)
        if answered is None or (literal and not named):
            continue
        try:
            rows = None if given is None else _ids(given, requests.given_form, inputs)
            answers = record_decoder.decode_answers(answered, requests.answered_form)
        except Unreadable:
            continue
        if answers is None or (rows is not None and len(rows) != len(answers)):
            continue
        for row, (score, decision, version, echoed) in enumerate(answers):
            own = (rows[row] if rows is not None else None) or echoed or (f"{whose}#{row}" if whose else None)
            if own == event_id:
                yield CapturedAnswer(
                    at=_EPOCH + moment * _MICROSECOND,
                    inference_id=whose,
                    row=row,
                    rows=len(answers),
                    score=score,
                    decision=decision,
                    version=version or "",
                    request=given,
                    content_type=None if given is None else requests.given_form.content_type,
                    key=key,
                )


def _ids(body: str, form: BodyFormat, inputs: Sequence[str]) -> list[str | None]:
    return [event_id for _, event_id in record_decoder.decode_inputs(body, form, inputs, SchemaFindings())]
