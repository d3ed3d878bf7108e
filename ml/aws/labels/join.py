"""Joins labels with captured rows by row id, on disk, in bounded memory. Computes no verdict.

The rules of the join are those of `join_tables`, and those of days those of `maturity`; this module reads the labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ml.aws import s3_objects
from ml.aws.labels.join_tables import JoinTables, LabelledBatch, scored_rows
from ml.aws.labels.maturity import Day, day_of
from ml.aws.labels.store import PREFIX, Delivered, Delivery, deliver, deliveries
from ml.aws.object_cache import Listed, ObjectCache

if TYPE_CHECKING:
    from ml.aws.capture.captured_batches import Batch

__all__ = [
    "Day",
    "Delivered",
    "Delivery",
    "Join",
    "Labelled",
    "LabelledBatch",
    "deliver",
    "deliveries",
    "join",
]

_FILES_AT_ONCE = 8
"""Label files that are downloaded together, and are on disk at the same time."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Labelled:
    """The labels of a window's rows known at a given time, by day. Rows can be read while the Join is open."""

    def __init__(self, join: Join, days: tuple[Day, ...], repeated: int) -> None:
        self._join = join
        self.days = days
        self.repeated = repeated
        """Rows whose id was captured again later; the last answer counts."""
        self.without_id, self.without_score = join.without_id, join.without_score

    @property
    def mature_days(self) -> tuple[Day, ...]:
        """Days whose labels count."""
        return tuple(day for day in self.days if day.mature)

    @property
    def immature_days(self) -> tuple[Day, ...]:
        """Days without enough labels for any result that depends on labels."""
        return tuple(day for day in self.days if not day.mature)

    def rows(self, batch_rows: int = 65_536) -> Iterator[LabelledBatch]:
        """The labelled rows of the mature days, in no particular order, about `batch_rows` at a time."""
        yield from self._join.labelled(self, batch_rows)


class Join:
    """Gathers the rows of a window on disk; see `join`."""

    def __init__(self, bucket: str, keep: Sequence[str]) -> None:
        self._bucket, self._keep = bucket, tuple(keep)
        self.rows = self.without_id = self.without_score = 0
        self._first: int | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="fraudops-labels-")
        self._tables = JoinTables(Path(self._folder.name), self._keep).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tables.__exit__(kind, error, trace)
        self._folder.cleanup()

    def add(self, batch: Batch) -> None:
        """Adds the rows of a batch that have an id and a score; counts the others."""
        import numpy as np

        self.without_score += int(np.count_nonzero(np.isnan(batch.scores)))
        self.without_id += batch.event_ids.null_count
        rows = scored_rows(batch, first=self.rows, keep=self._keep)
        if not len(rows):
            return
        earliest = int(rows["moment"].to_numpy().min())
        self._first = min(earliest, self._first if self._first is not None else earliest)
        self._tables.add_rows(rows)
        self.rows += len(rows)

    def mature(self, *, as_of: datetime, min_coverage: float, min_age_days: float) -> Labelled:
        """Joins the labels known at `as_of` with the rows, and decides which days are mature.

        A day counts when it ended `min_age_days` or more before `as_of` and `min_coverage` or more of its rows have a
        label.

        Raises:
            DataError: a label file has another schema or bad values.
            CloudError: S3 refuses or cannot be reached.
        """
        self._load_labels(as_of)
        self._tables.join(self.rows)
        days = tuple(
            day_of(*found, as_of=as_of, min_coverage=min_coverage, min_age_days=min_age_days)
            for found in self._tables.days()
        )
        return Labelled(self, days, self.rows - sum(day.rows for day in days))

    def write_rows(self, file: Path) -> None:
        """Writes the joined rows, one per id, to a Parquet file, ordered; call `mature` before."""
        self._tables.write_answered(file)

    def read_rows(self, file: Path, where: str, *, rows: int, without_id: int, without_score: int) -> None:
        """Adds the rows that `write_rows` has written, to a join without any.

        Args:
            where: names the file in messages.
            rows, without_id, without_score: what the join that wrote the file had counted.

        Raises:
            DataError: the file is not one of those.
        """
        self._first = self._tables.read_answered(file, where)
        self.rows, self.without_id, self.without_score = rows, without_id, without_score

    def labelled(self, labelled: Labelled, batch_rows: int) -> Iterator[LabelledBatch]:
        """The labelled rows of the mature days; call `Labelled.rows` instead."""
        days = [day.day for day in labelled.mature_days]
        for rows in self._tables.labelled(days, batch_rows):
            yield LabelledBatch.of(rows, self._keep)

    def _load_labels(self, as_of: datetime) -> None:
        """Fills the table of labels known at `as_of`."""
        self._tables.start_labels()
        first = _EPOCH + self._first * _MICROSECOND if self._first is not None else None
        for where, path in label_paths(self._bucket, first, Path(self._folder.name)):
            self._tables.add_label_file(path, where, as_of)


def join(bucket: str, *, keep: Sequence[str] = ()) -> Join:
    """A temporary join of captured rows with the labels in `bucket`: add batches, call `mature`, read the rows.

    Args:
        keep: the inputs to return with the labelled rows.
    """
    return Join(bucket, keep)


def label_keys(bucket: str, first: datetime | None) -> list[str]:
    """The label files that may concern events from `first` on, none without events: no label is older than its event.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    if first is None:
        return []
    over = {item.file.key for item in deliveries(bucket) if not item.concerns(first)}
    keys = s3_objects.keys(bucket, f"{PREFIX}/")
    return [key for key in keys if key.endswith(".parquet") and key not in over]


def label_paths(bucket: str, first: datetime | None, folder: Path) -> Iterator[tuple[str, Path]]:
    """The URI of each of `label_keys`, and the file as it was downloaded to `folder`, where it is until the next one.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    keys, cache = label_keys(bucket, first), ObjectCache(folder)
    for start in range(0, len(keys), _FILES_AT_ONCE):
        part = keys[start : start + _FILES_AT_ONCE]
        paths = cache.paths(bucket, [Listed(key=key, etag="") for key in part])
        for key, path in zip(part, map(Path, paths), strict=True):
            try:
                yield f"s3://{bucket}/{key}", path
            finally:
                path.unlink()
