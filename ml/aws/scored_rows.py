"""Keeps an index of each day's scored rows in the lake: id, amount, decision, model version, pattern. Makes no verdict.

The daily concept test joins months of rows with new labels; reading their captured traffic each day would be too slow.
A day is one Parquet object, `monitoring/<endpoint>/scored-rows/<YYYYMMDD>.parquet`. It is written once the day is over,
and again while late capture files may still arrive. Rows without an id cannot be joined and are left out; of a row that
was scored twice on a day the last answer counts. Days that are written wait on disk; memory holds one of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.aws import s3_objects
from ml.aws.capture import object_listing, reader
from ml.aws.day_spill import DaySpill
from ml.aws.drift_check_store import PREFIX
from ml.aws.object_cache import Listed
from ml.aws.session import client, explained

if TYPE_CHECKING:
    from ml.aws.capture.captured_batches import Batch
    from ml.aws.capture.text_inputs import TextInputs

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("day", pa.date32()),
        ("amount", pa.float64()),
        ("decision", pa.int8()),
        ("version", pa.string()),
        ("pattern", pa.string()),
    ]
)
"""`amount` is NaN, and `decision` -1, where it was not captured; `amount` is 0 if the data has none. `pattern` is
known or new; '' if another model scored the row, or its inputs were not captured."""
_SPILLED = SCHEMA.append(pa.field("moment", pa.int64()))
LATE_DAYS = 3
"""Days after which a capture file no longer arrives late."""
_DAYS_AT_ONCE = 7
_DAY = timedelta(days=1)


def stored_days(bucket: str, endpoint: str) -> dict[date, Listed]:
    """The days of the index that are stored, in order, with their objects. Objects with other names are skipped.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    prefix = _prefix(endpoint)
    with explained(f"listing s3://{bucket}/{prefix}"):
        listed = [Listed(key=item["Key"], etag=item["ETag"]) for item in object_listing.list_prefix(bucket, prefix)]
    days = ((_day_of(item.key.removeprefix(prefix)), item) for item in listed)
    return dict(sorted((day, item) for day, item in days if day is not None))


def has_event(bucket: str, stored: Listed, event_id: str) -> bool:
    """Whether the index object `stored` has a row of that id. Raises CloudError, DataError."""
    content = s3_objects.read(f"s3://{bucket}/{stored.key}")
    ids = pq.read_table(pa.BufferReader(content), columns=["event_id"], filters=[("event_id", "==", event_id)])
    return bool(ids.num_rows)


class ScoredRows:
    """The index of the endpoint `endpoint` in the lake `bucket`.

    Args:
        inputs, texts: the inputs of the model, and which of them are text, as for `capture.reader.read`.
        amount: the input with the amount; None if there is none.
        version: the version that the model's answers state.
        patterns: computes the pattern that each row of inputs follows.
    """

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        *,
        inputs: Sequence[str],
        texts: TextInputs,
        amount: str | None,
        version: str,
        patterns: Callable[[NDArray[np.float64]], NDArray[np.str_]],
    ) -> None:
        self.bucket, self.endpoint = bucket, endpoint
        self._inputs, self._amount, self._texts = tuple(inputs), amount, texts
        self._version, self._patterns = version, patterns
        self._prefix = _prefix(endpoint)
        self._stored: dict[str, str] = {}

    def key(self, day: date) -> str:
        """The key of a day's object."""
        return f"{self._prefix}{day:%Y%m%d}.parquet"

    def listed(self, days: Iterable[date]) -> list[Listed]:
        """The objects of `days`, which `update` found or wrote."""
        return [Listed(key=self.key(day), etag=self._stored[self.key(day)]) for day in days]

    def update(self, first: date, end: date) -> set[date]:
        """Writes the days from `first` (included) to `end` (not) that are missing or incomplete; returns them.

        Raises:
            CloudError, DataError: S3 cannot be read or written.
        """
        with explained(f"listing s3://{self.bucket}/{self._prefix}"):
            objects = object_listing.list_prefix(self.bucket, self._prefix, after=self.key(first - _DAY))
            stored = {item["Key"]: item["ETag"] for item in objects}
        self._stored = stored
        days = [first + index * _DAY for index in range((end - first).days)]
        looked_at = [day for day in days if self.key(day) not in stored or day >= end - LATE_DAYS * _DAY]
        volumes = self._volumes(looked_at)
        missing = [day for day in looked_at if self.key(day) not in stored or self._stored_volume(day) != volumes[day]]
        for part in _contiguous(missing):
            self._write(part, volumes)
        return set(missing)

    def read(self, day: date) -> pa.Table:
        """The rows of a day that was written, with the columns of `SCHEMA`.

        Raises:
            CloudError, DataError: S3 cannot be read, or the day was not written.
        """
        content = s3_objects.read(f"s3://{self.bucket}/{self.key(day)}")
        return pq.read_table(pa.BufferReader(content), schema=SCHEMA)

    def _volumes(self, days: Sequence[date]) -> dict[date, dict[str, str]]:
        """The volume of each day's captured objects, with those of the hour before and the hour after the day."""
        counts = {day: [0, 0] for day in days}
        for part in _contiguous(days):
            start, end = (datetime.combine(day, time(), UTC) for day in (part[0], part[-1] + _DAY))
            hour = object_listing.HOUR
            for item in object_listing.list_objects(self.bucket, self.endpoint, start - hour, end + hour):
                for day in {(item.hour + shift).date() for shift in (-hour, 0 * hour, hour)} & set(part):
                    counts[day][0] += 1
                    counts[day][1] += item.bytes
        return {day: {"objects": str(count), "bytes": str(size)} for day, (count, size) in counts.items()}

    def _stored_volume(self, day: date) -> dict[str, str]:
        with explained(f"looking for s3://{self.bucket}/{self.key(day)}"):
            found: dict[str, str] = client("s3").head_object(Bucket=self.bucket, Key=self.key(day)).get("Metadata", {})
        return found

    def _write(self, days: list[date], volumes: dict[date, dict[str, str]]) -> None:
        start, end = (datetime.combine(day, time(), UTC) for day in (days[0], days[-1] + _DAY))
        reading = reader.read(self.bucket, self.endpoint, start, end, inputs=self._inputs, texts=self._texts)
        with DaySpill(_SPILLED) as spill:
            for batch in reading:
                spill.add(self._rows(batch))
            for day in days:
                self._write_day(day, spill.pop(day), volumes[day])

    def _write_day(self, day: date, rows: pa.Table, volume: dict[str, str]) -> None:
        of_day = rows.sort_by([("moment", "descending")]).combine_chunks()
        ids = of_day["event_id"].combine_chunks()
        last = np.asarray(pc.index_in(ids, value_set=ids)) == np.arange(len(ids))
        content = io.BytesIO()
        pq.write_table(of_day.filter(pa.array(last)).select(SCHEMA.names), content, compression="zstd")
        with explained(f"writing s3://{self.bucket}/{self.key(day)}"):
            answer = client("s3").put_object(
                Bucket=self.bucket, Key=self.key(day), Body=content.getvalue(), Metadata=volume
            )
        self._stored[self.key(day)] = answer["ETag"]

    def _rows(self, batch: Batch) -> pa.Table:
        chosen = np.flatnonzero(~np.isnan(batch.scores) & batch.event_ids.is_valid().to_numpy(zero_copy_only=False))
        take = pa.array(chosen)
        moments = batch.times[chosen]
        columns: list[Any] = [
            batch.event_ids.take(take),
            pa.array(moments.astype("datetime64[D]")),
            np.zeros(len(chosen)) if self._amount is None else batch.column(self._amount)[chosen],
            batch.decisions[chosen],
            batch.model_versions.take(take),
            self._pattern(batch)[chosen],
        ]
        arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=SCHEMA)
        return table.append_column("moment", pa.array(moments.astype(np.int64)))

    def _pattern(self, batch: Batch) -> NDArray[np.str_]:
        """The pattern of each row that the model scored and whose inputs are complete; '' for the others."""
        found = np.full(len(batch), "", dtype="<U5")
        if batch.inputs is not None:
            own = pc.fill_null(pc.equal(batch.model_versions.cast(pa.string()), self._version), False)
            chosen = own.to_numpy(zero_copy_only=False) & np.isfinite(batch.inputs).all(axis=1)
            if chosen.any():
                found[chosen] = self._patterns(batch.inputs[chosen])
        return found


def _prefix(endpoint: str) -> str:
    return f"{PREFIX}/{endpoint}/scored-rows/"


def _day_of(name: str) -> date | None:
    """The day of an object's name below the prefix; None if it is no day."""
    try:
        return datetime.strptime(name, "%Y%m%d.parquet").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _contiguous(days: Sequence[date]) -> Iterator[list[date]]:
    """Splits ascending days into runs without a gap, a week long at most."""
    run: list[date] = []
    for day in days:
        if run and (day - run[-1] != _DAY or len(run) == _DAYS_AT_ONCE):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
