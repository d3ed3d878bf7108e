"""Reads the captured traffic of a window as arrays, in bounded memory; counts everything that it drops.

A row belongs to the window in which its request was answered (`inferenceTime`, the clock that also files the capture):
requests carry no other time. Lines that cannot be decoded are stored as dead letters. Judges nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml.aws.capture import line_stream
from ml.aws.capture import object_listing as objects

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml.aws.capture.decoded_rows import Part

BATCH_ROWS = 65_536
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of captured requests, in no promised order.

    `inputs` is float64[n, len(names)], columns contiguous, NaN where there was no number; None where only answers were
    captured. `scores` is NaN, and `decisions` -1, where there was no answer. `times` is datetime64[us] in UTC. The
    strings are Arrow arrays: `event_ids` (a row's id, by which labels find it: the request's event_id, else
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
        """The values of the input `name`; NaN throughout where inputs were not captured."""
        import numpy as np

        if self.inputs is None:
            return np.full(len(self), np.nan)
        found: NDArray[np.float64] = self.inputs[:, self.names.index(name)]
        return found


@dataclass(slots=True, kw_only=True)
class Counts:
    """Counters of a window. `lines` = those outside, of smoke tests, undecodable, and those whose rows were returned.

    `schema` counts rows by (kind, column): a missing input, an unexpected column, a value that is not a number, a row
    of another width. `missing` counts missing values by input.
    """

    objects: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    outside: int = 0
    """Lines of the partitions looked at that were answered outside the window."""
    smoke_lines: int = 0
    smoke_rows: int = 0
    refused_lines: int = 0
    """Requests answered by an error; their rows are there, without scores."""
    unreadable_lines: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    kept_aside: list[str] = field(default_factory=list)
    """Where the unreadable lines are: the first hundred files."""
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


class Reading:
    """Iterates once over the batches of a window; `counts` is complete afterwards."""

    def __init__(
        self, bucket: str, endpoint: str, start: datetime, end: datetime, *, inputs: Sequence[str], batch_rows: int
    ) -> None:
        self._bucket, self._endpoint, self._start, self._end = bucket, endpoint, start, end
        self._inputs, self._batch_rows = tuple(inputs), batch_rows
        self.counts = Counts()

    def __iter__(self) -> Iterator[Batch]:
        from ml.aws.capture.decoder import concatenated

        waiting: dict[bool, list[Part]] = {True: [], False: []}
        for part in self._parts():
            self._count(part)
            some = waiting[part.inputs is not None]
            some.append(part)
            if sum(map(len, some)) >= self._batch_rows:
                yield self._batch(concatenated(some))
                some.clear()
        for some in waiting.values():
            if some:
                yield self._batch(concatenated(some))

    def _parts(self) -> Iterator[Part]:
        from ml.aws.capture.dead_letter import Aside
        from ml.aws.capture.decode_pool import decoded as decoding
        from ml.aws.capture.decoded_rows import Findings

        aside, findings, counts = Aside(self._bucket), Findings(), self.counts
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (self._start, self._end))
        for decoded in decoding(line_stream.blocks(self._bucket, self._objects()), self._inputs, start, end):
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
        for item in objects.within(self._bucket, self._endpoint, first, self._end + objects.HOUR):
            self.counts.objects += 1
            yield item

    def _count(self, part: Part) -> None:
        import numpy as np

        counts = self.counts
        counts.rows += len(part)
        counts.rows_without_id += part.event_ids.null_count
        counts.rows_without_scores += int(np.count_nonzero(np.isnan(part.scores)))
        if part.inputs is None:
            counts.rows_without_inputs += len(part)
            return
        # A sum is finite where all that is summed is: one pass, and no array as large as the inputs.
        for place in np.flatnonzero(~np.isfinite(part.inputs.sum(axis=0))):
            absent = int(np.count_nonzero(~np.isfinite(part.inputs[:, place])))
            if absent:
                counts.missing[self._inputs[place]] = counts.missing.get(self._inputs[place], 0) + absent

    def _batch(self, part: Part) -> Batch:
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
    batch_rows: int = BATCH_ROWS,
) -> Reading:
    """The rows that `endpoint` answered from `start` (included) to `end` (not), to be iterated over once.

    Requests of smoke tests are left out and counted; lines that cannot be decoded are counted and stored under
    monitoring/unreadable/.

    Args:
        inputs: the model's inputs in its order; a row without names has them in this order.
        batch_rows: how many rows a batch has at least, the last excepted.

    Raises (while it is iterated over):
        CloudError: S3 refuses or cannot be reached.
    """
    return Reading(bucket, endpoint, start, end, inputs=inputs, batch_rows=batch_rows)
