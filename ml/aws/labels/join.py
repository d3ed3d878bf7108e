"""Joins labels with captured rows by row id, on disk, in bounded memory. Computes no verdict.

DuckDB sorts and joins in a file of a temporary folder. Only labels known at a given time count: in each channel the
latest one, and fraud if two became known at the same time; fraud if either channel says so; no label without one of the
chargeback channel. Training uses the same rule.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ml.aws.labels import database
from ml.aws.labels.store import ANALYST, CHANNELS, CHARGEBACK, PREFIX, Delivered, Delivery, deliver, deliveries
from ml.aws.object_cache import Listed, ObjectCache
from ml.aws.session import client, explained
from ml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml.aws.capture.reader import Batch

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

MEMORY = "128MB"
"""DuckDB's memory limit; beyond it, DuckDB spills to disk."""
PART_ROWS = 1_000_000
"""Rows or labels per partition of the join, partitioned by the hash of the id."""
_FILES_AT_ONCE = 8
"""Label files that are downloaded together, and are on disk at the same time."""
_DAY = timedelta(days=1)
_DAY_MICROSECONDS = 86_400_000_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day's scored rows with an id, by the time of their requests (UTC), and how many of them have a label."""

    day: date
    rows: int
    labelled: int
    frauds: int
    """Among those labelled."""
    age_days: float
    """Days from the end of the day to `as_of`."""
    mature: bool
    reason: str
    """Why it is not mature; '' if it is."""

    @property
    def coverage(self) -> float:
        """The share of the rows that have a label."""
        return self.labelled / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBatch:
    """Labelled rows of mature days: int8 labels (0 or 1) with score, decision and time from the captured traffic."""

    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    decisions: NDArray[np.int8]
    times: NDArray[np.datetime64]
    columns: dict[str, NDArray[np.float64]]
    model_versions: pa.Array

    def __len__(self) -> int:
        return len(self.labels)


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
        yield from self._join.labelled([day.day for day in self.mature_days], batch_rows)


class Join:
    """Gathers the rows of a window on disk; see `join`."""

    def __init__(self, bucket: str, keep: Sequence[str]) -> None:
        self._bucket, self._keep = bucket, tuple(keep)
        self.rows = self.without_id = self.without_score = 0
        self._first: int | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="fraudops-labels-")
        folder = Path(self._folder.name)
        self._engine = database.connect(folder, memory=MEMORY)
        kept = "".join(f", k{place} DOUBLE" for place in range(len(self._keep)))
        self._engine.execute(
            "CREATE TABLE traffic (place BIGINT, id VARCHAR, moment BIGINT, score DOUBLE, decision TINYINT, "
            f"version VARCHAR{kept})"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
        self._folder.cleanup()

    def add(self, batch: Batch) -> None:
        """Adds the rows of a batch that have an id and a score; counts the others."""
        import numpy as np
        import pyarrow as pa

        scored = ~np.isnan(batch.scores)
        known = batch.event_ids.is_valid().to_numpy(zero_copy_only=False)
        self.without_score += int(np.count_nonzero(~scored))
        self.without_id += int(np.count_nonzero(~known))
        chosen = np.flatnonzero(scored & known)
        if not len(chosen):
            return
        moments = batch.times.astype("int64")[chosen]
        places = np.arange(self.rows, self.rows + len(chosen))
        table = pa.table(
            {
                "place": places,
                "id": batch.event_ids.take(pa.array(chosen)),
                "moment": moments,
                "score": batch.scores[chosen],
                "decision": batch.decisions[chosen],
                "version": batch.model_versions.take(pa.array(chosen)),
                **{f"k{place}": batch.column(name)[chosen] for place, name in enumerate(self._keep)},
            }
        )
        self.rows += len(chosen)
        self._first = min(int(moments.min()), self._first if self._first is not None else int(moments.min()))
        self._engine.register("batch", table)
        self._engine.execute("INSERT INTO traffic SELECT * FROM batch")
        self._engine.unregister("batch")

    def mature(self, *, as_of: datetime, min_coverage: float, min_age_days: float) -> Labelled:
        """Joins the labels known at `as_of` with the rows, and decides which days are mature.

        A day counts when it ended `min_age_days` or more before `as_of` and `min_coverage` or more of its rows have a
        label.

        Raises:
            DataError: a label file has another schema or bad values.
            CloudError: S3 refuses or cannot be reached.
        """
        limit = (as_of - _EPOCH) // _MICROSECOND
        self._load_labels(limit)
        self._join_labels()
        counted = self._engine.execute(
            f"""
            SELECT moment // {_DAY_MICROSECONDS}, count(*), count(label), coalesce(sum(label), 0)
            FROM answered GROUP BY 1 ORDER BY 1
            """  # noqa: S608 - a constant
        ).fetchall()
        days = tuple(
            _day(*found, as_of=as_of, min_coverage=min_coverage, min_age_days=min_age_days) for found in counted
        )
        return Labelled(self, days, self.rows - sum(day.rows for day in days))

    def labelled(self, days: Sequence[date], batch_rows: int) -> Iterator[LabelledBatch]:
        """The labelled rows of `days`; call `Labelled.rows` instead."""
        import pyarrow as pa

        if not days:
            return
        numbers = ", ".join(str((day - _EPOCH.date()).days) for day in days)
        kept = "".join(f", k{place}" for place in range(len(self._keep)))
        reader = self._engine.sql(
            f"""
            SELECT label, score, decision, moment, version{kept} FROM answered
            WHERE label IS NOT NULL AND moment // {_DAY_MICROSECONDS} IN ({numbers})
            """  # noqa: S608 - numbers, and names made here
        ).to_arrow_reader(batch_rows)
        for found in reader:
            column = {name: found.column(place) for place, name in enumerate(found.schema.names)}
            yield LabelledBatch(
                labels=column["label"].to_numpy(),
                scores=column["score"].to_numpy(),
                decisions=column["decision"].to_numpy(),
                times=column["moment"].to_numpy().astype("datetime64[us]"),
                columns={
                    name: column[f"k{place}"].to_numpy(zero_copy_only=False) for place, name in enumerate(self._keep)
                },
                model_versions=column["version"].cast(pa.string()),
            )

    def _load_labels(self, limit: int) -> None:
        """Fills the table of labels known by `limit` (microseconds since 1970)."""
        self._engine.execute("CREATE OR REPLACE TABLE heard (id VARCHAR, said BIGINT, analyst BOOLEAN)")
        keys, cache = self._label_files(), ObjectCache(Path(self._folder.name))
        for first in range(0, len(keys), _FILES_AT_ONCE):
            part = keys[first : first + _FILES_AT_ONCE]
            paths = cache.paths(self._bucket, [Listed(key=key, etag="") for key in part])
            for key, path in zip(part, paths, strict=True):
                self._load_label_file(key, Path(path), limit)

    def _join_labels(self) -> None:
        """Fills the table of rows with labels, partition by partition: one row per id, its last answer."""
        (heard,) = self._engine.execute("SELECT count(*) FROM heard").fetchone() or (0,)
        parts = max(1, -(-max(self.rows, heard) // PART_ROWS))
        self._engine.execute(
            "CREATE OR REPLACE TABLE answered AS SELECT *, NULL::TINYINT AS label FROM traffic WHERE false"
        )
        for part in range(parts):
            # `said` is 2 * time + label, so its maximum is the latest label, fraud first at equal times.
            self._engine.execute(
                """
                INSERT INTO answered
                SELECT last.*, known.label FROM (
                    SELECT * FROM traffic WHERE hash(id) % $parts = $part
                    QUALIFY row_number() OVER (PARTITION BY id ORDER BY moment DESC, place DESC) = 1
                ) AS last LEFT JOIN (
                    SELECT id, greatest(
                        max(said) FILTER (WHERE NOT analyst) & 1, max(said) FILTER (WHERE analyst) & 1
                    )::TINYINT AS label
                    FROM heard WHERE hash(id) % $parts = $part GROUP BY id HAVING bool_or(NOT analyst)
                ) AS known ON known.id = last.id
                """,
                {"parts": parts, "part": part},
            )
        self._engine.execute("DROP TABLE heard")

    def _label_files(self) -> list[str]:
        """The label files that may concern these rows: a label cannot be older than its event."""
        if self._first is None:
            return []
        first = _EPOCH + self._first * _MICROSECOND
        over = {item.file.key for item in deliveries(self._bucket) if not item.concerns(first)}
        return [key for key in _keys(self._bucket) if key not in over]

    def _load_label_file(self, key: str, file: Path, limit: int) -> None:
        """Adds the labels of a downloaded file to the table, and removes the file."""
        import duckdb

        where = f"s3://{self._bucket}/{key}"
        try:
            names = self._engine.execute("SELECT name FROM parquet_schema(?)", [str(file)]).fetchall()
            channel = "channel" if ("channel",) in names else f"'{CHARGEBACK}'"
            (odd,) = self._engine.execute(
                "SELECT count(*) FROM read_parquet(?) WHERE label NOT IN (0, 1) OR label IS NULL OR known_at IS NULL "  # noqa: S608 - constants
                f"OR event_id IS NULL OR coalesce({channel}, '') NOT IN {CHANNELS}",
                [str(file)],
            ).fetchone() or (0,)
            if not odd:
                self._engine.execute(
                    f"INSERT INTO heard SELECT event_id, epoch_us(known_at) * 2 + label, {channel} = '{ANALYST}' "  # noqa: S608 - constants
                    "FROM read_parquet(?) WHERE epoch_us(known_at) <= ?",
                    [str(file), limit],
                )
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{where}: is not a file of event_id, label and known_at ({reason})") from error
        finally:
            file.unlink()
        if odd:
            raise DataError(
                f"{where}: {odd} rows have no event_id, no known_at, a label that is neither 0 nor 1, or a channel "
                f"that is neither {ANALYST} nor {CHARGEBACK}"
            )


def join(bucket: str, *, keep: Sequence[str] = ()) -> Join:
    """A temporary join of captured rows with the labels in `bucket`: add batches, call `mature`, read the rows.

    Args:
        keep: the inputs to return with the labelled rows.
    """
    return Join(bucket, keep)


def _keys(bucket: str) -> list[str]:
    with explained(f"listing s3://{bucket}/{PREFIX}/"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{PREFIX}/")
        return [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".parquet")]


def immaturity(rows: int, labelled: int, *, age_days: float, min_coverage: float, min_age_days: float) -> str:
    """Why the labels of a day are not mature; '' if they are.

    Args:
        labelled: those of the day's `rows` that have a chargeback label.
        age_days: from the end of the day on.
    """
    reasons = []
    if age_days < min_age_days:
        reasons.append(f"{age_days:.1f} days old, {min_age_days:g} are needed")
    # Divide, as everywhere: 14 / 25 equals 0.56 in float64, while 0.56 * 25 exceeds 14.
    if labelled / rows < min_coverage:
        reasons.append(f"{labelled} of {rows} rows have a label, {min_coverage:.0%} are needed")
    return "; ".join(reasons)


def _day(
    number: int, rows: int, labelled: int, frauds: int, *, as_of: datetime, min_coverage: float, min_age_days: float
) -> Day:
    start = _EPOCH + number * _DAY
    age = (as_of - (start + _DAY)) / _DAY
    reason = immaturity(rows, labelled, age_days=age, min_coverage=min_coverage, min_age_days=min_age_days)
    return Day(
        day=start.date(),
        rows=rows,
        labelled=labelled,
        frauds=int(frauds),
        age_days=age,
        mature=not reason,
        reason=reason,
    )
