"""Decodes a group of captured lines to rows: column by column where possible, line by line otherwise.

Lines of one format are decoded together. A group that is not uniform is split into pieces, so that one irregular line
does not slow down the whole group.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ml.aws.capture import column_decoder, record_decoder
from ml.aws.capture import decoded_rows as parts
from ml.aws.capture.batch_envelope_decoder import EnvelopeBatch, decode_envelopes
from ml.aws.capture.captured_lines import Block
from ml.aws.capture.decoded_rows import (
    DecodedAnswers,
    DecodedInputs,
    DecodedRows,
    RowCountMismatch,
    SchemaFindings,
)
from ml.aws.capture.duckdb_json import NotUniform
from ml.aws.capture.envelope import IRREGULAR, EnvelopeDecoder, RequestColumns, Unreadable
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs

_MIN_SPLIT_REQUESTS, _PIECES = 32, 8
_LINE_END = 10


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that could not be read, and why."""

    block: Block
    number: int
    """Its line number in its object, from 1."""
    line: bytes
    reason: str


@dataclass(slots=True)
class DecodedGroup:
    """Rows, unreadable lines and counters of a group of blocks."""

    parts: list[DecodedRows] = field(default_factory=list)
    unread: list[UnreadableLine] = field(default_factory=list)
    findings: SchemaFindings = field(default_factory=SchemaFindings)
    bytes: int = 0
    lines: int = 0
    outside: int = 0
    smoke_lines: int = 0
    smoke_rows: int = 0
    refused: int = 0
    """Requests that were answered by an error."""


def decode(
    blocks: Sequence[Block], inputs: Sequence[str], start: int, end: int, texts: TextInputs = NO_TEXT
) -> DecodedGroup:
    """Decodes the requests answered from `start` (included) to `end` (not), microseconds since 1970.

    Args:
        inputs, texts: as `reader.read`.
    """
    decoded, lines = DecodedGroup(), _LineSources()
    for block in blocks:
        decoded.bytes += len(block.data)
    try:
        found = _decode_batch_of_lines(blocks, lines, start, end)
    except NotUniform:
        lines = _LineSources()
        found = _decode_line_by_line(blocks, lines, start, end, decoded)
    decoded.lines, decoded.outside = found.lines, found.outside
    for requests in found.smoke:
        decoded.smoke_lines += len(requests)
        decoded.smoke_rows += sum(len(part) for part in _read(requests, inputs, DecodedGroup(), lines, texts).parts)
    for requests in found.requests:
        _read(requests, inputs, decoded, lines, texts)
    return decoded


def _decode_batch_of_lines(blocks: Sequence[Block], lines: _LineSources, start: int, end: int) -> EnvelopeBatch:
    """Decodes all envelopes at once. Raises NotUniform unless all lines are complete and of one format."""
    some, place = [], 0
    for block in blocks:
        if block.overlong:
            raise NotUniform
        lines.add(place, block)
        some.append(block.data if block.data.endswith(b"\n") else block.data + b"\n")
        place += int(np.count_nonzero(np.frombuffer(some[-1], np.uint8) == _LINE_END))
    return decode_envelopes(b"".join(some), start, end)


def _decode_line_by_line(
    blocks: Sequence[Block], lines: _LineSources, start: int, end: int, decoded: DecodedGroup
) -> EnvelopeBatch:
    """Decodes one envelope after the other; adds each unreadable line to `decoded`."""
    opener = EnvelopeDecoder(start, end, lambda place, reason: decoded.unread.append(lines.unread(place, reason)))
    place = 0
    for block in blocks:
        content = [block.data] if block.overlong else block.data.split(b"\n")
        numbers = None
        if content and not content[-1]:
            content.pop()
        if any(not line or line.isspace() for line in content):
            numbers = [number for number, line in enumerate(content) if line and not line.isspace()]
            content = [content[number] for number in numbers]
        lines.add(place, block, numbers)
        if block.overlong:
            decoded.unread.append(lines.unread(place, "longer than any request"))
        else:
            opener.open(content, place)
        place += len(content)
    return EnvelopeBatch(place, opener.outside, opener.requests, opener.smoke)


class _LineSources:
    """Maps the index of a line in its group to its block and line number."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._blocks: list[tuple[Block, list[int] | None]] = []

    def add(self, place: int, block: Block, numbers: list[int] | None = None) -> None:
        """The lines of `block` are at `place` and after: all of them, or those of these `numbers`."""
        self._firsts.append(place)
        self._blocks.append((block, numbers))

    def unread(self, place: int, reason: str) -> UnreadableLine:
        """The line at `place`, which could not be read."""
        at = bisect_right(self._firsts, place) - 1
        (block, numbers), offset = self._blocks[at], place - self._firsts[at]
        number = numbers[offset] if numbers is not None else offset
        line = block.data if block.overlong else block.data.split(b"\n")[number]
        return UnreadableLine(block, block.first + number, line, reason)


def _read(
    requests: RequestColumns,
    inputs: Sequence[str],
    decoded: DecodedGroup,
    lines: _LineSources,
    texts: TextInputs,
) -> DecodedGroup:
    """Adds the rows of the requests to `decoded`: decodes them together, else in pieces, else one by one."""
    try:
        given = column_decoder.decode_inputs(requests.given, requests.given_form, inputs, texts)
        answered = column_decoder.decode_answers(requests.answered, requests.answered_form)
        part = parts.assemble(requests.times, requests.inference_ids, given, answered)
    except (NotUniform, RowCountMismatch):
        if len(requests) <= _MIN_SPLIT_REQUESTS or IRREGULAR in (
            requests.given_form.layout,
            requests.answered_form.layout,
        ):
            _decode_bodies_one_by_one(requests, inputs, decoded, lines, texts)
        else:
            step = -(-len(requests) // _PIECES)
            for first in range(0, len(requests), step):
                _read(requests.piece(first, first + step), inputs, decoded, lines, texts)
        return decoded
    decoded.parts.append(part)
    return decoded


def _decode_bodies_one_by_one(
    requests: RequestColumns,
    inputs: Sequence[str],
    decoded: DecodedGroup,
    lines: _LineSources,
    texts: TextInputs,
) -> None:
    """Decodes one request after the other; requests with the same captured sides form one part."""
    sides: dict[tuple[bool, bool], list[tuple[int, list[record_decoder.Row], list[record_decoder.Answer]]]] = {}
    for place, line in enumerate(requests.lines):
        findings = SchemaFindings()
        rows: list[record_decoder.Row] | None = None
        answers: list[record_decoder.Answer] | None = None
        try:
            if len(requests.given):
                body = _text(requests.given[place])
                rows = record_decoder.decode_inputs(body, requests.given_form, inputs, findings, texts)
            if len(requests.answered):
                answers = record_decoder.decode_answers(_text(requests.answered[place]), requests.answered_form)
        except Unreadable as error:
            decoded.unread.append(lines.unread(line, str(error)))
            continue
        if rows is None and answers is None:
            decoded.unread.append(lines.unread(line, "endpointOutput: an error, and no input was captured"))
            continue
        if rows is not None and answers is not None and len(rows) != len(answers):
            decoded.unread.append(lines.unread(line, "not as many answers as rows"))
            continue
        decoded.refused += len(requests.answered) > 0 and answers is None
        decoded.findings.merge(findings)
        sides.setdefault((rows is not None, answers is not None), []).append((place, rows or [], answers or []))
    for (has_rows, has_answers), found in sides.items():
        lengths = np.array([len(rows or answers) for _, rows, answers in found])
        given, answered = None, None
        if has_rows:
            flat = [row for _, rows, _ in found for row in rows]
            values = np.asfortranarray(np.array([row for row, _ in flat], dtype=np.float64))
            given = DecodedInputs(lengths=lengths, inputs=values, ids=pa.array([item for _, item in flat], pa.string()))
        if has_answers:
            scores, decisions, versions, ids = zip(*(one for _, _, some in found for one in some), strict=True)
            answered = DecodedAnswers(
                lengths=lengths,
                scores=np.array(scores),
                decisions=np.array(decisions, np.int8),
                versions=pa.array(versions, pa.string()),
                ids=pa.array(ids, pa.string()),
            )
        times, whose = (
            [requests.times[at] for at, _, _ in found],
            [_text(requests.inference_ids[at]) for at, _, _ in found],
        )
        decoded.parts.append(parts.assemble(times, whose, given, answered))


def _text(item: Any) -> Any:
    """An Arrow string as a Python string."""
    return item.as_py() if isinstance(item, pa.Scalar) else item


def concatenate(some: Sequence[DecodedRows]) -> DecodedRows:
    """The rows of all parts; either all parts have inputs or none has."""
    if len(some) == 1:
        return some[0]
    inputs = None
    if some[0].inputs is not None:
        inputs = np.empty((sum(map(len, some)), some[0].inputs.shape[1]), order="F")
        np.concatenate([part.inputs for part in some if part.inputs is not None], out=inputs)
    return DecodedRows(
        inputs=inputs,
        scores=np.concatenate([part.scores for part in some]),
        decisions=np.concatenate([part.decisions for part in some]),
        times=np.concatenate([part.times for part in some]),
        event_ids=pa.concat_arrays([part.event_ids for part in some]),
        versions=pa.concat_arrays([part.versions for part in some]),
        inference_ids=pa.concat_arrays([part.inference_ids for part in some]),
    )
