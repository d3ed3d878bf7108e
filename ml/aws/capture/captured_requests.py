"""Chooses captured requests of a window, whole and as they were sent, to send them again. Writes nothing.

A request is identified by its object and its line, which never change. Where there are more than are wanted, those with
the smallest digests of this identity are chosen: a random sample, and the same one whenever it is drawn from the same
traffic.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ml.aws.capture import line_stream, object_listing, record_decoder
from ml.aws.capture.captured_lines import Block
from ml.aws.capture.decoded_rows import SchemaFindings
from ml.aws.capture.envelope import EnvelopeDecoder, RequestColumns, Unreadable
from ml.aws.capture.record_decoder import Answer

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedRow:
    """One row of a request, as it was answered. `event_id` is that of every join with labels; None if there is none.

    `amount` is NaN where there was no number.
    """

    event_id: str | None
    amount: float
    score: float
    decision: int
    """1 for an alert, 0 for none, -1 if none was captured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedRequest:
    """A request with its body and declared content type, and the answers to its rows."""

    id: str
    """32 hexadecimal digits, unique to it."""
    at: datetime
    body: str
    content_type: str | None
    rows: tuple[CapturedRow, ...]


@dataclass(slots=True, kw_only=True)
class RequestSample:
    """The chosen requests, the oldest first, and the counts of the window that they were chosen from.

    `requests` and `rows` count what the model answered and can be sent again, chosen or not.
    """

    chosen: list[CapturedRequest] = field(default_factory=list)
    requests: int = 0
    rows: int = 0
    other_model: int = 0
    """Requests that another model answered."""
    unusable: int = 0
    """Requests that were answered by an error, or captured without body or answer."""
    unreadable: int = 0
    """Lines that could not be decoded."""


def sample(
    bucket: str,
    endpoint: str,
    start: datetime,
    end: datetime,
    *,
    version: str,
    inputs: Sequence[str],
    amount: str | None,
    max_rows: int,
) -> RequestSample:
    """Requests that the model `version` answered from `start` (included) to `end` (not); smoke tests are left out.

    Args:
        inputs: the model's inputs; a row without names has them in this order.
        amount: the input with the amount; None if there is none.
        max_rows: all requests if they have fewer rows, else as many as it takes to have so many.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    limits = [(moment - _EPOCH) // _MICROSECOND for moment in (start, end)]
    hour = object_listing.HOUR
    objects = object_listing.list_objects(bucket, endpoint, object_listing.hour_of(start) - hour, end + hour)
    found, kept, kept_rows = RequestSample(), list[tuple[int, int, _Chosen]](), 0
    for block in line_stream.blocks(bucket, objects):
        for candidate in _candidates(block, limits[0], limits[1], version, found):
            heapq.heappush(kept, (-candidate.digest, len(candidate.answers), candidate))
            kept_rows += len(candidate.answers)
            while kept_rows - kept[0][1] >= max_rows:
                kept_rows -= heapq.heappop(kept)[1]
    for _, _, candidate in kept:
        request = candidate.request(inputs, amount)
        if request is None:
            found.unreadable += 1
        else:
            found.chosen.append(request)
    found.chosen.sort(key=lambda request: (request.at, request.id))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    digest: int
    moment: int
    inference_id: str | None
    columns: RequestColumns
    """Only for the formats; it holds no bodies."""
    body: str
    answers: list[Answer]

    def request(self, inputs: Sequence[str], amount: str | None) -> CapturedRequest | None:
        """The request with its rows; None if they cannot be decoded, or are not as many as the answers."""
        form = self.columns.given_form
        try:
            given = record_decoder.decode_inputs(self.body, form, inputs, SchemaFindings())
        except Unreadable:
            return None
        if len(given) != len(self.answers):
            return None
        place = inputs.index(amount) if amount is not None else None
        whose = self.inference_id
        return CapturedRequest(
            id=f"{self.digest:032x}",
            at=_EPOCH + self.moment * _MICROSECOND,
            body=self.body,
            content_type=form.content_type,
            rows=tuple(
                CapturedRow(
                    event_id=own or echoed or (f"{whose}#{row}" if whose else None),
                    amount=values[place] if place is not None else float("nan"),
                    score=score,
                    decision=decision,
                )
                for row, ((values, own), (score, decision, _, echoed)) in enumerate(
                    zip(given, self.answers, strict=True)
                )
            ),
        )


def _candidates(block: Block, start: int, end: int, version: str, counts: RequestSample) -> Iterator[_Chosen]:
    """The requests of a block that `version` answered; the others are counted."""
    if block.overlong:
        counts.unreadable += 1
        return
    unreadable: list[int] = []
    opened = EnvelopeDecoder(start, end, lambda place, _reason: unreadable.append(place))
    opened.open([line for line in block.data.split(b"\n") if line.strip()], block.first)
    counts.unreadable += len(unreadable)
    for requests in opened.requests:
        forms = RequestColumns(requests.given_form, requests.answered_form)
        if not len(requests.given) or not len(requests.answered):
            counts.unusable += len(requests)
            continue
        for place, line in enumerate(requests.lines):
            try:
                answers = record_decoder.decode_answers(requests.answered[place], requests.answered_form)
            except Unreadable:
                counts.unreadable += 1
                continue
            if answers is None:
                counts.unusable += 1
            elif any(stated != version for _, _, stated, _ in answers):
                counts.other_model += 1
            else:
                counts.requests += 1
                counts.rows += len(answers)
                identity = f"{block.source.key}:{line}".encode()
                yield _Chosen(
                    digest=int.from_bytes(hashlib.sha256(identity).digest()[:16]),
                    moment=requests.times[place],
                    inference_id=requests.inference_ids[place],
                    columns=forms,
                    body=requests.given[place],
                    answers=answers,
                )
