"""Defines arrays of decoded rows, and counts of schema findings. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING, UNEXPECTED, WIDTH = "missing", "unexpected", "width"
NOT_A_NUMBER, NOT_A_CATEGORY = "not a number", "not a category"
_MAX_FINDINGS = 1000
OTHERS = "(others)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedInputs:
    """Inputs of some requests: `lengths` has the rows of each, `ids` their event ids, null if there is none."""

    lengths: NDArray[np.int64]
    inputs: NDArray[np.float64]
    ids: pa.Array


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedAnswers:
    """Answers to some requests. A score is NaN, and a decision -1, if the answer has none."""

    lengths: NDArray[np.int64]
    scores: NDArray[np.float64]
    decisions: NDArray[np.int8]
    versions: pa.Array
    ids: pa.Array


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRows:
    """Rows of some requests, all with inputs or all without: `inputs` is None if only answers were captured."""

    inputs: NDArray[np.float64] | None
    scores: NDArray[np.float64]
    decisions: NDArray[np.int8]
    times: NDArray[np.datetime64]
    event_ids: pa.Array
    versions: pa.Array
    inference_ids: pa.Array

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(slots=True)
class SchemaFindings:
    """Counts rows whose columns do not match the model's inputs, by kind and column."""

    schema: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, kind: str, column: str, rows: int = 1) -> None:
        """Counts a finding; beyond a thousand different ones the rest are counted together."""
        key = (kind, column)
        if key not in self.schema and len(self.schema) >= _MAX_FINDINGS:
            key = (kind, OTHERS)
        self.schema[key] += rows

    def merge(self, other: SchemaFindings) -> None:
        """Adds the counts of `other`."""
        for (kind, column), rows in other.schema.items():
            self.add(kind, column, rows)


class RowCountMismatch(Exception):
    """A request and its answer have different numbers of rows."""


def assemble(
    times: Sequence[int],
    inference_ids: Sequence[str | None] | pa.Array,
    given: DecodedInputs | None,
    answered: DecodedAnswers | None,
) -> DecodedRows:
    """Combines inputs and answers to rows. A row's id is its event id, else `<InferenceId>#<row>`, else null.

    Raises:
        RowCountMismatch: some request has not as many answers as rows.
    """
    sides = [side.lengths for side in (given, answered) if side is not None]
    lengths = sides[0]
    if not np.array_equal(lengths, sides[-1]) or len(lengths) != len(times):
        raise RowCountMismatch
    rows = int(lengths.sum())
    whose = np.repeat(np.arange(len(lengths)), lengths)
    inference = inference_ids if isinstance(inference_ids, pa.Array) else pa.array(inference_ids, pa.string())
    inference = inference.take(pa.array(whose)) if rows > len(lengths) else inference
    ids = given.ids if given is not None else pa.nulls(rows, pa.string())
    if answered is not None and ids.null_count:
        ids = pc.coalesce(ids, answered.ids)
    if ids.null_count:
        place = np.arange(rows) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        ids = pc.coalesce(ids, pc.binary_join_element_wise(inference, pa.array(place).cast(pa.string()), "#"))
    return DecodedRows(
        inputs=given.inputs if given is not None else None,
        scores=answered.scores if answered is not None else np.full(rows, np.nan),
        decisions=answered.decisions if answered is not None else np.full(rows, -1, np.int8),
        times=np.repeat(np.asarray(times, dtype="datetime64[us]"), lengths),
        event_ids=ids,
        versions=answered.versions if answered is not None else pa.nulls(rows, pa.string()),
        inference_ids=inference,
    )
