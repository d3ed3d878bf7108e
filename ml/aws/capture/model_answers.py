"""Reads what one version of a model has answered since a time, from captured traffic, as it arrives.

Each captured file is read once. Writes nothing: unreadable lines are only counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ml.aws.capture import line_stream, object_listing
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class NewAnswers:
    """Scores and decisions (1 is an alert) of the version's rows, and the number of lines that could not be read."""

    scores: NDArray[np.float64]
    decisions: NDArray[np.int8]
    unreadable_lines: int


class ModelAnswers:
    """The answers of one model version to requests of an endpoint; smoke tests and errors are none."""

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        version: str,
        since: datetime,
        *,
        inputs: Sequence[str],
        texts: TextInputs = NO_TEXT,
    ) -> None:
        """`inputs` and `texts` are the model's, as for `reader.read`."""
        self._bucket, self._endpoint, self._version = bucket, endpoint, version
        self._since = since.replace(microsecond=0)  # capture states whole seconds
        self._inputs, self._texts = tuple(inputs), texts
        self._read: set[str] = set()

    def new(self, now: datetime) -> NewAnswers:
        """The answers in files that were written since the last call.

        Raises:
            CloudError: S3 refuses or cannot be reached; the next call reads the same files again.
        """
        import numpy as np
        import pyarrow.compute as pc

        from ml.aws.capture.decode_pool import decode_concurrently

        hour = object_listing.HOUR
        listed = object_listing.list_objects(self._bucket, self._endpoint, self._since - hour, now + hour)
        files = [item for item in listed if item.key not in self._read]
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (self._since, now + hour))
        blocks = line_stream.blocks(self._bucket, iter(files))
        scores, decisions, unreadable = [np.empty(0)], [np.empty(0, np.int8)], 0
        for group in decode_concurrently(blocks, self._inputs, start, end, self._texts):
            unreadable += len(group.unread)
            for part in group.parts:
                own = pc.fill_null(pc.equal(part.versions, self._version), False).to_numpy(zero_copy_only=False)
                own = own.astype(np.bool_) & np.isfinite(part.scores)
                scores.append(part.scores[own])
                decisions.append(part.decisions[own])
        self._read.update(item.key for item in files)
        return NewAnswers(
            scores=np.concatenate(scores), decisions=np.concatenate(decisions), unreadable_lines=unreadable
        )
