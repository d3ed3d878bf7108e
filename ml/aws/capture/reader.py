"""Reads the captured traffic of a window as arrays, in bounded memory; counts everything that it drops.

A row belongs to the window in which its request was answered (`inferenceTime`, which also decides the hour of the
capture file): requests carry no other time. Computes no verdict. Writes only dead letters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml.aws.capture import line_stream
from ml.aws.capture import object_listing as objects
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml.aws.capture.decoded_rows import DecodedRows

BATCH_ROWS = 65_536
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of captured requests, in no particular order.

    `inputs` is float64[n, len(names)], columns contiguous, NaN where there was no number; None where only answers were
    captured. `scores` is NaN, and `decisions` -1, where there was no answer. `times` is datetime64[us] in UTC. The
    strings are Arrow arrays: `event_ids` (the key of the join with labels: the request's event_id, else
    `<InferenceId>#<row>` with rows counted from 0, else null), `model_versions` and `inference_ids`.
    """

    names: tuple[str, ...]
    inputs: NDArray[np.float64] | None
    scores: NDArray[np.float64]
    decisions: NDArray[np.int8]
    times: NDArray[np.datetime64]
    event_ids: pa.Array
    model_versions: pa.Array
    inference_ids: pa.Array

    def __len__(self) -> int:
        return len(self.scores)

    def column(self, name: str) -> NDArray[np.float64]:
        """The values of the input `name`; all NaN where inputs were not captured."""
        import numpy as np

        if self.inputs is None:
            return np.full(len(self), np.nan)
        values: NDArray[np.float64] = self.inputs[:, self.names.index(name)]
        return values


@dataclass(slots=True, kw_only=True)
class CaptureCounts:
    """Counters of the captured traffic of a window.

    `lines` is the sum of lines outside the window, lines of smoke tests, unreadable lines and decoded lines. `schema`
    counts the rows with each schema finding (kind, column): a missing input, an unexpected column, a value that is not
    a number, a row of another width. `missing` counts missing values by input.
    """

    objects: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    outside: int = 0
    """Lines of the listed partitions that were answered outside the window."""
    smoke_lines: int = 0
    smoke_rows: int = 0
    refused_lines: int = 0
    """Requests answered by an error; their rows are included, without scores."""
    unreadable_lines: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    kept_aside: list[str] = field(default_factory=list)
    """URIs of the dead letters: the first hundred files."""
    rows_without_inputs: int = 0
    rows_without_scores: int = 0
    rows_without_id: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    schema: dict[tuple[str, str], int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: `schema` as a list of kind, column and rows, most rows first."""
        order = sorted(self.schema.items(), key=lambda item: (-item[1], item[0]))
        schema = [{"kind": kind, "column": column, "rows": rows} for (kind, column), rows in order]
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return plain | {"schema": schema}


class CapturedBatches:
    """Iterates once over the batches of a window. `counts` is complete after the iteration."""

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        start: datetime,
        end: datetime,
        *,
        inputs: Sequence[str],
        texts: TextInputs,
        batch_rows: int,
    ) -> None:
        self._bucket, self._endpoint, self._start, self._end = bucket, endpoint, start, end
        self._texts = texts
        self._inputs, self._batch_rows = tuple(inputs), batch_rows
        self.counts = CaptureCounts()

    def __iter__(self) -> Iterator[Batch]:
        from ml.aws.capture.decoder import concatenate

        pending: dict[bool, list[DecodedRows]] = {True: [], False: []}
        for part in self._parts():
            self._count(part)
            parts = pending[part.inputs is not None]
            parts.append(part)
            if sum(map(len, parts)) >= self._batch_rows:
                yield self._batch(concatenate(parts))
                parts.clear()
        for parts in pending.values():
            if parts:
                yield self._batch(concatenate(parts))

    def _parts(self) -> Iterator[DecodedRows]:
        from ml.aws.capture.dead_letter_writer import DeadLetterWriter
        from ml.aws.capture.decode_pool import decode_concurrently
        from ml.aws.capture.decoded_rows import SchemaFindings

        aside, findings, counts = DeadLetterWriter(self._bucket), SchemaFindings(), self.counts
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (self._start, self._end))
        blocks = line_stream.blocks(self._bucket, self._objects())
        for decoded in decode_concurrently(blocks, self._inputs, start, end, self._texts):
            counts.bytes += decoded.bytes
            counts.lines += decoded.lines
            counts.outside += decoded.outside
            counts.smoke_lines += decoded.smoke_lines
            counts.smoke_rows += decoded.smoke_rows
            counts.refused_lines += decoded.refused
            findings.merge(decoded.findings)
            for unread in sorted(decoded.unread, key=lambda item: (item.block.source.key, item.number)):
                aside.add(unread)
            yield from decoded.parts
        aside.flush()
        counts.schema = dict(findings.schema)
        counts.unreadable_lines, counts.reasons, counts.kept_aside = aside.lines, dict(aside.reasons), aside.uris

    def _objects(self) -> Iterator[objects.CapturedObject]:
        first = objects.hour_of(self._start) - objects.HOUR
        for item in objects.list_objects(self._bucket, self._endpoint, first, self._end + objects.HOUR):
            self.counts.objects += 1
            yield item

    def _count(self, part: DecodedRows) -> None:
        import numpy as np

        counts = self.counts
        counts.rows += len(part)
        counts.rows_without_id += part.event_ids.null_count
        counts.rows_without_scores += int(np.count_nonzero(np.isnan(part.scores)))
        if part.inputs is None:
            counts.rows_without_inputs += len(part)
            return
        # A sum is finite only if all its terms are: one pass, and no temporary array as large as the inputs.
        for place in np.flatnonzero(~np.isfinite(part.inputs.sum(axis=0))):
            absent = int(np.count_nonzero(~np.isfinite(part.inputs[:, place])))
            if absent:
                counts.missing[self._inputs[place]] = counts.missing.get(self._inputs[place], 0) + absent

    def _batch(self, part: DecodedRows) -> Batch:
        return Batch(
            names=self._inputs,
            inputs=part.inputs,
            scores=part.scores,
            decisions=part.decisions,
            times=part.times,
            event_ids=part.event_ids,
            model_versions=part.versions,
            inference_ids=part.inference_ids,
        )


def read(
    bucket: str,
    endpoint: str,
    start: datetime,
    end: datetime,
    *,
    inputs: Sequence[str],
    texts: TextInputs = NO_TEXT,
    batch_rows: int = BATCH_ROWS,
) -> CapturedBatches:
    """Reads the requests to `endpoint` answered from `start` (included) to `end` (not). Iterate over the result once.

    A request near the end of an hour may be filed under the next hour, so the partitions next to the window are read
    too. Requests of smoke tests are left out and counted; unreadable lines are counted and stored as dead letters under
    monitoring/unreadable/.

    Args:
        inputs: the model's inputs in its order; a row without names has them in this order.
        texts: which of them are text, and how it becomes numbers.
        batch_rows: the minimum number of rows of a batch; the last ones may be smaller.

    Raises (during iteration):
        CloudError: S3 refuses or cannot be reached.
    """
    return CapturedBatches(bucket, endpoint, start, end, inputs=inputs, texts=texts, batch_rows=batch_rows)
