"""Reduces lines of captured requests to batches of rows, and counts everything that it drops. Calls no service."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from ml.aws.capture.captured_lines import Block, CapturedObject
from ml.aws.capture.text_inputs import TextInputs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml.aws.capture.decoded_rows import DecodedRows
    from ml.aws.capture.decoder import UnreadableLine

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

    def merge(self, other: CaptureCounts) -> None:
        """Adds the counts of another part of the window; `kept_aside` grows by all of its files."""
        from ml.aws.capture.decoded_rows import SchemaFindings

        findings = SchemaFindings(Counter(self.schema))
        findings.merge(SchemaFindings(Counter(other.schema)))
        for name, value in ((item.name, getattr(other, item.name)) for item in dataclasses.fields(other)):
            if name == "schema":
                self.schema = dict(findings.schema)
            elif isinstance(value, dict):
                setattr(self, name, dict(Counter(getattr(self, name)) + Counter(value)))
            else:
                setattr(self, name, getattr(self, name) + value)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: `schema` as a list of kind, column and rows, most rows first."""
        order = sorted(self.schema.items(), key=lambda item: (-item[1], item[0]))
        schema = [{"kind": kind, "column": column, "rows": rows} for (kind, column), rows in order]
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return plain | {"schema": schema}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CaptureCounts:
        """The inverse of `to_dict`."""
        schema = {(found["kind"], found["column"]): found["rows"] for found in document["schema"]}
        return cls(**{**document, "schema": schema})


class DeadLetters(Protocol):
    """Takes unreadable lines in the order of their objects."""

    @property
    def lines(self) -> int:
        """How many it took."""

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many of each reason."""

    @property
    def uris(self) -> list[str]:
        """The first hundred files that were written."""

    def add(self, unread: UnreadableLine) -> None:
        """Takes one line."""

    def flush(self) -> None:
        """Writes what is pending."""


class CapturedBatches:
    """Iterates once over the batches of a window. `counts` is complete after the iteration.

    Args:
        blocks: reads the lines of the objects.
        aside: takes the unreadable lines.
        window: start (included) and end (not) of the times of answers.
        inputs, texts, batch_rows: as for `reader.read`.
    """

    def __init__(
        self,
        objects: Iterable[CapturedObject],
        blocks: Callable[[Iterator[CapturedObject]], Iterator[Block]],
        aside: DeadLetters,
        window: tuple[datetime, datetime],
        *,
        inputs: Sequence[str],
        texts: TextInputs,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._objects, self._blocks, self._aside, self._window = objects, blocks, aside, window
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
        from ml.aws.capture.decode_pool import decode_concurrently
        from ml.aws.capture.decoded_rows import SchemaFindings

        aside, findings, counts = self._aside, SchemaFindings(), self.counts
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in self._window)
        blocks = self._blocks(self._counted())
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

    def _counted(self) -> Iterator[CapturedObject]:
        for item in self._objects:
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
