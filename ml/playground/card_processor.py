"""Simulates the year's card processor: imports transactions, sends them to the endpoint, delivers labels.

It uses the interfaces that a bank's own systems would use, and counts the responses for the report. It sends in the
order of time and sets the clock to the time of each batch. The control year scores the same rows with the first model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import clock
from ml.aws.capture import object_listing
from ml.aws.import_manifest import Source
from ml.aws.labels import join
from ml.aws.labels.store import CHARGEBACK
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import DeploymentFailed, FraudopsError
from ml.model.scorer import Scorer
from ml.playground.traffic_outcomes import RULE_QUANTILE, ScoredRows, TrafficOutcomes
from ml.simulate.year_traffic import HISTORY, Day, Year

BLOCK_HOURS = 4  # shorter than the gap in traffic that drift.yaml reports
ROWS_PER_REQUEST = 5_000  # below SageMaker's 6 MB
ROWS_PER_IMPORT = 500_000
_BLOCK = timedelta(hours=BLOCK_HOURS)
_DELETE_BATCH_KEYS = 1_000


def set_clock(moment: datetime) -> None:
    """Sets the current time of this process, its emulators and the runs that they start."""
    os.environ["FRAUDOPS_NOW"] = clock.stamp(moment)


@dataclass(kw_only=True)
class MonthCounts:
    """Counts of a month: alerts by day, rows and frauds by amount band."""

    rows_by_band: NDArray[np.int64]
    frauds_by_band: NDArray[np.int64]
    alerts: dict[date, tuple[int, int]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Rows by the model version that scored them."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some hours of a day: its rows `first` to `last` (exclusive), sent at `moment`."""

    day: Day
    moment: datetime
    first: int
    last: int


class CardProcessor:
    """Sends the traffic of `year` to `endpoint` and imports it into the data lake in `bucket`."""

    def __init__(self, year: Year, *, bucket: str, endpoint: str) -> None:
        self.year, self.bucket, self.endpoint = year, bucket, endpoint
        if year.standin.layout.amount is None:
            raise FraudopsError("a simulated year needs an amount: it compares the models with a rule on the amount")
        self._amount: str = year.standin.layout.amount
        self.counts_by_month: dict[int, MonthCounts] = {}
        self._lake = Lake(bucket)
        self._pending: list[pa.Table] = []
        self._pending_labels: list[pa.Table] = []
        self._unknown: list[pa.Table] = []
        """Labels of days that were sent and findings on them, which are not delivered yet."""
        self.outcomes: TrafficOutcomes
        """What each way of deciding finds; from `start_control` on."""
        self._control: Scorer | None = None
        self._amounts: list[NDArray[np.float64]] = []
        self._edges: NDArray[np.float64] = np.empty(0)

    def start_control(self, model: Scorer, edges: NDArray[np.float64]) -> None:
        """Scores all later traffic with `model` too, and counts frauds by amount band between `edges`."""
        amount = float(np.quantile(np.concatenate(self._amounts), RULE_QUANTILE))
        self._control, self._edges, self._amounts = model, edges, []
        self.outcomes = TrafficOutcomes(threshold=model.threshold.score, rule_amount=amount)

    @property
    def band_edges(self) -> tuple[float, ...]:
        """The edges of the amount bands."""
        return tuple(self._edges.tolist())

    def import_history(self) -> int:
        """Imports the labelled history before the year; returns the number of rows."""
        rows = 0
        for day in self.year.days(HISTORY):
            rows += day.transactions.num_rows
            self._pending_labels.append(day.labels)
            self._amounts.append(day.transactions[self._amount].to_numpy())
            self._add_pending(day.transactions)
        self.import_pending()
        return rows

    def blocks(self, month: int) -> Iterator[Block]:
        """The month's traffic in the order of time; a day is queued for import after its last block."""
        for day in self.year.days(month):
            self._unknown.append(_with_channel(day.labels))
            hours = day.transactions["event_time"].to_numpy().astype("datetime64[h]").astype(np.int64) % 24
            start = self.year.span(month)[0] + (day.day - self.year.span(month)[0].date())
            cuts = np.searchsorted(hours // BLOCK_HOURS, np.arange(24 // BLOCK_HOURS + 1))
            for place, (first, last) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
                if first < last:
                    yield Block(day=day, moment=start + place * _BLOCK, first=first, last=last)
            self._add_pending(day.transactions)

    def send(self, month: int, block: Block) -> None:
        """Sends a block at its own time, in requests of at most ROWS_PER_REQUEST rows, and counts the decisions.

        Raises:
            DeploymentFailed: a response does not belong to the rows that were sent.
        """
        set_clock(block.moment)
        table = block.day.transactions.slice(block.first, block.last - block.first)
        truth = block.day.truth[block.first : block.last].astype(np.int64)
        decided = np.empty(len(truth), dtype=np.int64)
        counts = self.counts_by_month.setdefault(month, self._no_counts())
        for first in range(0, len(truth), ROWS_PER_REQUEST):
            part = table.slice(first, ROWS_PER_REQUEST)
            answers = self._invoke(part)
            decided[first : first + len(part)] = [answer["decision"] for answer in answers]
            for answer in answers:
                version = answer["model_version"]
                counts.versions[version] = counts.versions.get(version, 0) + 1
        self._count(month, block, table, truth, decided)
        alerted = np.zeros(len(block.day.truth), dtype=np.bool_)
        alerted[block.first : block.last] = decided == 1
        self._unknown.append(self.year.findings(block.day, alerted))

    def _count(
        self, month: int, block: Block, table: pa.Table, truth: NDArray[np.int64], decided: NDArray[np.int64]
    ) -> None:
        counts = self.counts_by_month[month]
        assert self._control is not None  # noqa: S101 - the control starts with the first model
        rows = self._control.matrix(table.select(self._control.inputs).to_pandas())
        frauds = truth == 1
        scored = ScoredRows(
            truth=frauds,
            first_kind=frauds & ~block.day.relabelled[block.first : block.last],
            amounts=table[self._amount].to_numpy(),
            served=decided == 1,
            scores=self._control.score(rows),
        )
        self.outcomes.add(month, block.day.day, scored)
        bands = np.searchsorted(self._edges, table[self._amount].to_numpy(), side="right")
        counts.rows_by_band += np.bincount(bands, minlength=len(self._edges) + 1)
        counts.frauds_by_band += np.bincount(bands[frauds], minlength=len(self._edges) + 1)
        alerts, hits = counts.alerts.get(block.day.day, (0, 0))
        more = int(decided.sum()), int((truth & decided).sum())
        counts.alerts[block.day.day] = alerts + more[0], hits + more[1]

    def deliver_labels(self, now: datetime) -> int:
        """Delivers the labels of the traffic sent so far that became known before `now`; returns their number."""
        if not self._unknown:
            return 0
        labels = pa.concat_tables(self._unknown).combine_chunks()
        known = pc.less(labels["known_at"], pa.scalar(now, labels.schema.field("known_at").type))
        self._unknown = [labels.filter(pc.invert(known))]
        due = labels.filter(known)
        return join.deliver(self.bucket, due.combine_chunks()).rows if due.num_rows else 0

    def delete_captured(self, start: datetime, end: datetime) -> int:
        """Deletes the captured objects of these hours, as in an outage of capture; returns their number.

        Raises:
            DeploymentFailed: there is none, although traffic was sent.
        """
        found = object_listing.list_objects(self.bucket, self.endpoint, start, end)
        keys = [item.key for item in found if start <= item.hour]
        for place in range(0, len(keys), _DELETE_BATCH_KEYS):
            objects = [{"Key": key} for key in keys[place : place + _DELETE_BATCH_KEYS]]
            client("s3").delete_objects(Bucket=self.bucket, Delete={"Objects": objects})
        if not keys:
            raise DeploymentFailed(f"no captured object of endpoint {self.endpoint} from {start} to {end} to delete")
        return len(keys)

    def import_pending(self) -> None:
        """Imports the queued transactions with their labels."""
        if not self._pending:
            return
        rows = pa.concat_tables(self._pending).combine_chunks()
        known = pa.concat_tables(self._pending_labels).combine_chunks() if self._pending_labels else _no_labels(rows)
        self._pending, self._pending_labels = [], []
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        content = sink.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        layout = self.year.standin.layout.time
        unit = None if layout is None else layout.unit
        self._lake.store(
            rows,
            known,
            source=Source(name="simulation", bytes=content.size, sha256=sha256, time_unit=unit),
            content_sha256=sha256,
            duplicates=0,
            quarantined=0,
        )

    def _add_pending(self, rows: pa.Table) -> None:
        self._pending.append(rows)
        if sum(table.num_rows for table in self._pending) >= ROWS_PER_IMPORT:
            self.import_pending()

    def _invoke(self, rows: pa.Table) -> list[dict[str, Any]]:
        rows = rows.drop_columns(["event_time"])
        for name, times in self.year.standin.written_times({name: rows[name] for name in rows.column_names}).items():
            rows = rows.set_column(rows.column_names.index(name), name, times)
        sent = rows.to_pylist()
        answer = client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint,
            ContentType="application/json",
            Accept="application/json",
            Body=orjson.dumps({"instances": sent}),
            InferenceId=f"batch-{sent[0]['event_id']}",
        )
        found: list[dict[str, Any]] = orjson.loads(answer["Body"].read())["predictions"]
        if [item.get("event_id") for item in found] != [item["event_id"] for item in sent]:
            raise DeploymentFailed(
                f"endpoint {self.endpoint} was sent {len(sent)} rows from {sent[0]['event_id']} on "
                f"and returned {len(found)} predictions, or predictions of other rows"
            )
        return found

    def _no_counts(self) -> MonthCounts:
        bands = len(self._edges) + 1
        return MonthCounts(
            rows_by_band=np.zeros(bands, dtype=np.int64),
            frauds_by_band=np.zeros(bands, dtype=np.int64),
        )


def _with_channel(labels: pa.Table) -> pa.Table:
    return labels.append_column("channel", pa.array([CHARGEBACK] * labels.num_rows, pa.string()))


def _no_labels(rows: pa.Table) -> pa.Table:
    return pa.table(
        {
            "event_id": pa.array([], pa.string()),
            "label": pa.array([], pa.int8()),
            "known_at": pa.array([], rows.schema.field("event_time").type),
        }
    )
