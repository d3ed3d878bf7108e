"""The tables in which captured rows and labels are joined by row id, on disk, in bounded memory. Calls no service.

DuckDB sorts and joins in a file of a folder. Only labels known at a given time count: in each channel the latest one,
and fraud if two became known at the same time; fraud if either channel says so; no label without one of the chargeback
channel. Training uses the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ml.aws.labels import database
from ml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml.aws.capture.captured_batches import Batch

ANALYST, CHARGEBACK = "analyst", "chargeback"
CHANNELS = (ANALYST, CHARGEBACK)
MEMORY = "128MB"
"""DuckDB's memory limit; beyond it, DuckDB spills to disk."""
PART_ROWS = 1_000_000
"""Rows or labels per partition of the join, partitioned by the hash of the id."""
_ROWS_OF_A_GROUP = 65_536
_DAY_MICROSECONDS = 86_400_000_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


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

    @classmethod
    def of(cls, rows: pa.RecordBatch, keep: Sequence[str]) -> LabelledBatch:
        """The rows as the table `answered` has them."""
        import pyarrow as pa

        column: dict[str, Any] = {name: rows.column(place) for place, name in enumerate(rows.schema.names)}
        return cls(
            labels=column["label"].to_numpy(),
            scores=column["score"].to_numpy(),
            decisions=column["decision"].to_numpy(),
            times=column["moment"].to_numpy().astype("datetime64[us]"),
            columns={name: column[f"k{place}"].to_numpy(zero_copy_only=False) for place, name in enumerate(keep)},
            model_versions=column["version"].cast(pa.string()),
        )


class JoinTables:
    """The tables `traffic` (scored rows), `heard` (labels) and `answered` (one row per id, with its label).

    Args:
        folder: holds the database; the caller removes it.
        keep: the inputs to return with the labelled rows.
    """

    def __init__(self, folder: Path, keep: Sequence[str]) -> None:
        self._keep = tuple(keep)
        self._engine = database.connect(folder, memory=MEMORY)

    def __enter__(self) -> Self:
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

    def add_rows(self, rows: pa.Table) -> None:
        """Adds rows, which `scored_rows` makes."""
        self._add("traffic", rows)

    def start_labels(self) -> None:
        """Empties the table of labels."""
        self._engine.execute("CREATE OR REPLACE TABLE heard (id VARCHAR, said BIGINT, analyst BOOLEAN)")

    def add_labels(self, labels: pa.Table) -> None:
        """Adds labels, which `labels` has returned."""
        self._add("heard", labels)

    def check_label_file(self, file: Path, where: str) -> str:
        """The SQL expression of the channel of a Parquet file of labels; `where` names the file in messages.

        Raises:
            DataError: the file has another schema or bad values.
        """
        import duckdb

        try:
            names = self._engine.execute("SELECT name FROM parquet_schema(?)", [str(file)]).fetchall()
            channel = "channel" if ("channel",) in names else f"'{CHARGEBACK}'"
            (odd,) = self._engine.execute(
                "SELECT count(*) FROM read_parquet(?) WHERE label NOT IN (0, 1) OR label IS NULL OR known_at IS NULL "  # noqa: S608 - constants
                f"OR event_id IS NULL OR coalesce({channel}, '') NOT IN {CHANNELS}",
                [str(file)],
            ).fetchone() or (0,)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{where}: is not a file of event_id, label and known_at ({reason})") from error
        if odd:
            raise DataError(
                f"{where}: {odd} rows have no event_id, no known_at, a label that is neither 0 nor 1, or a channel "
                f"that is neither {ANALYST} nor {CHARGEBACK}"
            )
        return channel

    def add_label_file(self, file: Path, where: str, as_of: datetime) -> None:
        """Adds the labels of a file that are known at `as_of`. The arguments and errors are those of the check."""
        channel = self.check_label_file(file, where)
        self._engine.execute(
            f"INSERT INTO heard SELECT event_id, epoch_us(known_at) * 2 + label, {channel} = '{ANALYST}' "  # noqa: S608 - constants
            "FROM read_parquet(?) WHERE epoch_us(known_at) <= ?",
            [str(file), (as_of - _EPOCH) // _MICROSECOND],
        )

    def labels(self, batch_rows: int) -> Iterator[pa.Table]:
        """The labels that were added, about `batch_rows` at a time; `add_labels` of other tables takes them."""
        import pyarrow as pa

        for batch in self._engine.sql("SELECT * FROM heard").to_arrow_reader(batch_rows):
            table = pa.Table.from_batches([batch])
            yield table.set_column(0, "id", table["id"].cast(pa.string()))

    def join(self, rows: int) -> None:
        """Fills `answered`, partition by partition: one row per id, its last answer.

        Args:
            rows: how many rows were added.
        """
        (heard,) = self._engine.execute("SELECT count(*) FROM heard").fetchone() or (0,)
        parts = max(1, -(-max(rows, heard) // PART_ROWS))
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

    def write_answered(self, file: Path) -> None:
        """Writes `answered` without its labels to a Parquet file. The same rows give the same bytes."""
        import pyarrow.parquet as pq

        rows = self._engine.sql(
            f"SELECT id, moment, score, decision, version{self._kept} FROM answered ORDER BY moment, id"  # noqa: S608 - names made here
        ).to_arrow_reader(_ROWS_OF_A_GROUP)
        with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
            for batch in rows:
                writer.write_batch(batch)

    def read_answered(self, file: Path, where: str) -> int | None:
        """Adds the rows of a file that `write_answered` has written, and returns the first time; None without rows.

        Microseconds since 1970. `where` names the file in messages.

        Raises:
            DataError: the file has other columns, or is damaged.
        """
        import duckdb

        try:
            self._engine.execute(
                f"INSERT INTO traffic SELECT 0, id, moment, score, decision, version{self._kept} FROM read_parquet(?)",  # noqa: S608 - names made here
                [str(file)],
            )
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{where}: not the rows of a drift check ({reason}); delete it; the next check reads the traffic again"
            ) from error
        first: int | None
        (first,) = self._engine.execute("SELECT min(moment) FROM traffic").fetchone() or (None,)
        return first

    def days(self) -> list[tuple[int, int, int, int]]:
        """Of each day with answered rows: its number since 1970, its rows, those labelled, the frauds among them."""
        return self._engine.execute(
            f"""
            SELECT moment // {_DAY_MICROSECONDS}, count(*), count(label), coalesce(sum(label), 0)::BIGINT
            FROM answered GROUP BY 1 ORDER BY 1
            """  # noqa: S608 - a constant
        ).fetchall()

    def labelled(self, days: Sequence[date] | None, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The labelled rows of `days` (None: of all), in no particular order, about `batch_rows` at a time.

        `LabelledBatch.of` takes them.
        """
        chosen = ""
        if days is not None:
            if not days:
                return
            numbers = ", ".join(str((day - _EPOCH.date()).days) for day in days)
            chosen = f" AND moment // {_DAY_MICROSECONDS} IN ({numbers})"
        yield from self._engine.sql(
            f"SELECT label, score, decision, moment, version{self._kept} FROM answered WHERE label IS NOT NULL{chosen}"  # noqa: S608 - numbers, and names made here
        ).to_arrow_reader(batch_rows)

    @property
    def _kept(self) -> str:
        """The columns of the kept inputs, after others in a query."""
        return "".join(f", k{place}" for place in range(len(self._keep)))

    def _add(self, table: str, rows: pa.Table) -> None:
        self._engine.register("batch", rows)
        self._engine.execute(f"INSERT INTO {table} SELECT * FROM batch")  # noqa: S608 - constants
        self._engine.unregister("batch")


def scored_rows(batch: Batch, *, first: int, keep: Sequence[str]) -> pa.Table:
    """The rows of a batch that have an id and a score, as `JoinTables.add_rows` takes them.

    Args:
        first: the place of the first one. Of two rows with one id and one time, the one at the later place counts.
        keep: the inputs to return with the labelled rows.
    """
    import numpy as np
    import pyarrow as pa

    known = batch.event_ids.is_valid().to_numpy(zero_copy_only=False)
    chosen = np.flatnonzero(~np.isnan(batch.scores) & known)
    return pa.table(
        {
            "place": np.arange(first, first + len(chosen)),
            "id": batch.event_ids.take(pa.array(chosen)),
            "moment": batch.times.astype("int64")[chosen],
            "score": batch.scores[chosen],
            "decision": batch.decisions[chosen],
            "version": batch.model_versions.take(pa.array(chosen)),
            **{f"k{place}": batch.column(name)[chosen] for place, name in enumerate(keep)},
        }
    )
