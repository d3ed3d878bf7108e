"""The card system of a simulated year: lands transactions, sends them to the endpoint, delivers labels when known.

It does what a bank's own systems would, over the same interfaces, and keeps what came back to be told at the end. It
sends in the order of time and sets the clock to when each batch is sent; the control year is scored beside it, on the
same rows, by the archive that served first.
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
from numpy.typing import NDArray

from ml import clock
from ml.aws.import_manifest import Source
from ml.aws.labels import join
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import DeploymentFailed
from ml.model.metrics import Confusion
from ml.model.scorer import Scorer
from ml.simulate.year_traffic import HISTORY, Day, Year

BLOCK_HOURS = 4  # shorter than any silence that drift.yaml would be told of
ROWS_PER_REQUEST = 5_000  # below SageMaker's 6 MB
ROWS_PER_IMPORT = 500_000
_BLOCK = timedelta(hours=BLOCK_HOURS)
_DELETED_AT_ONCE = 1_000


def set_clock(moment: datetime) -> None:
    """What this process, its clouds and the runs that they start take for now."""
    os.environ["FRAUDOPS_NOW"] = clock.stamp(moment)


@dataclass(kw_only=True)
class Tally:
    """A month as it was answered: counts of both years, alerts by day, rows and frauds by amount band."""

    with_retraining: NDArray[np.int64]
    without_retraining: NDArray[np.int64]
    rows_by_band: NDArray[np.int64]
    frauds_by_band: NDArray[np.int64]
    alerts: dict[date, tuple[int, int]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Rows by the model version that answered."""

    @staticmethod
    def confusion(counts: NDArray[np.int64]) -> Confusion:
        """Counts of label + 2 × decision as a confusion."""
        quiet, missed, false, hits = counts.tolist()
        return Confusion(true_positives=hits, false_positives=false, true_negatives=quiet, false_negatives=missed)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some hours of a day: rows from `first` to `last` of it, sent at `moment`."""

    day: Day
    moment: datetime
    first: int
    last: int


class CardSystem:
    """Sends the traffic of `year` to `endpoint`, whose lake is `bucket`."""

    def __init__(self, year: Year, *, bucket: str, endpoint: str) -> None:
        self.year, self.bucket, self.endpoint = year, bucket, endpoint
        self.tallies: dict[int, Tally] = {}
        self._lake = Lake(bucket)
        self._held: list[pa.Table] = []
        self._held_labels: list[pa.Table] = []
        self._delivered = year.span(1)[0]
        self._control: Scorer | None = None
        self._edges: NDArray[np.float64] = np.empty(0)

    def control(self, model: Scorer, edges: NDArray[np.float64]) -> None:
        """Scores all that is sent from now on with `model` too, and counts frauds between these amounts."""
        self._control, self._edges = model, edges

    @property
    def band_edges(self) -> tuple[float, ...]:
        """The amounts between which frauds are counted."""
        return tuple(self._edges.tolist())

    def land_history(self) -> int:
        """Lands everything before the year, all of it labelled; how many rows that is."""
        rows = 0
        for day in self.year.days(HISTORY):
            rows += day.transactions.num_rows
            self._held_labels.append(day.labels)
            self._hold(day.transactions)
        self.land()
        return rows

    def blocks(self, month: int) -> Iterator[Block]:
        """The month's traffic in the order of time; a day is landed when all of it was taken."""
        for day in self.year.days(month):
            hours = day.transactions["event_time"].to_numpy().astype("datetime64[h]").astype(np.int64) % 24
            start = self.year.span(month)[0] + (day.day - self.year.span(month)[0].date())
            cuts = np.searchsorted(hours // BLOCK_HOURS, np.arange(24 // BLOCK_HOURS + 1))
            for place, (first, last) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
                if first < last:
                    yield Block(day=day, moment=start + place * _BLOCK, first=first, last=last)
            self._hold(day.transactions)

    def send(self, month: int, block: Block) -> None:
        """Sends a block in as many requests as it takes, at its own time, and counts the answers.

        Raises:
            DeploymentFailed: an answer is not one of the rows that were sent.
        """
        set_clock(block.moment)
        table = block.day.transactions.slice(block.first, block.last - block.first)
        truth = block.day.truth[block.first : block.last].astype(np.int64)
        decided = np.empty(len(truth), dtype=np.int64)
        tally = self.tallies.setdefault(month, self._tally())
        for first in range(0, len(truth), ROWS_PER_REQUEST):
            part = table.slice(first, ROWS_PER_REQUEST)
            answers = self._invoke(part)
            decided[first : first + len(part)] = [answer["decision"] for answer in answers]
            for answer in answers:
                version = answer["model_version"]
                tally.versions[version] = tally.versions.get(version, 0) + 1
        self._count(tally, block, table, truth, decided)

    def _count(
        self, tally: Tally, block: Block, table: pa.Table, truth: NDArray[np.int64], decided: NDArray[np.int64]
    ) -> None:
        assert self._control is not None  # noqa: S101 - nothing serves before the first model is there
        rows = np.column_stack([table[name].to_numpy() for name in self._control.inputs])
        control = self._control.decide(self._control.score(rows)).astype(np.int64)
        tally.with_retraining += np.bincount(truth + 2 * decided, minlength=4)
        tally.without_retraining += np.bincount(truth + 2 * control, minlength=4)
        bands = np.searchsorted(self._edges, table["Amount"].to_numpy(), side="right")
        tally.rows_by_band += np.bincount(bands, minlength=len(self._edges) + 1)
        tally.frauds_by_band += np.bincount(bands[truth == 1], minlength=len(self._edges) + 1)
        alerts, frauds = tally.alerts.get(block.day.day, (0, 0))
        more = int(decided.sum()), int((truth & decided).sum())
        tally.alerts[block.day.day] = alerts + more[0], frauds + more[1]

    def deliver(self, now: datetime) -> int:
        """Delivers the labels that have become known since the last delivery; how many they are."""
        found = list(self.year.known(self._delivered, now))
        self._delivered = now
        if not found:
            return 0
        return join.deliver(self.bucket, pa.concat_tables(found).combine_chunks()).rows

    def lose(self, start: datetime, end: datetime) -> int:
        """What an outage of capture leaves: no captured object of these hours; how many there were."""
        s3, lost = client("s3"), 0
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"capture/{self.endpoint}/"
        ):
            keys = [item["Key"] for item in page.get("Contents", []) if start <= _hour_of(item["Key"], start) < end]
            for place in range(0, len(keys), _DELETED_AT_ONCE):
                objects = [{"Key": key} for key in keys[place : place + _DELETED_AT_ONCE]]
                s3.delete_objects(Bucket=self.bucket, Delete={"Objects": objects})
            lost += len(keys)
        if not lost:
            raise DeploymentFailed(f"nothing was captured of endpoint {self.endpoint} from {start} to {end} to be lost")
        return lost

    def land(self) -> None:
        """Lands the transactions that were taken and not landed yet, with the labels that came with them."""
        if not self._held:
            return
        rows = pa.concat_tables(self._held).combine_chunks()
        known = pa.concat_tables(self._held_labels).combine_chunks() if self._held_labels else _no_labels(rows)
        self._held, self._held_labels = [], []
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        content = sink.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        self._lake.store(
            rows,
            known,
            source=Source(name="simulation", bytes=content.size, sha256=sha256),
            content_sha256=sha256,
            duplicates=0,
            quarantined=0,
        )

    def _hold(self, rows: pa.Table) -> None:
        self._held.append(rows)
        if sum(table.num_rows for table in self._held) >= ROWS_PER_IMPORT:
            self.land()

    def _invoke(self, rows: pa.Table) -> list[dict[str, Any]]:
        sent = rows.drop_columns(["event_time"]).to_pylist()
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
                f"endpoint {self.endpoint} was sent {len(sent)} rows from {sent[0]['event_id']} on and answered for "
                f"{len(found)} or for others: what it says cannot be told apart"
            )
        return found

    def _tally(self) -> Tally:
        bands = len(self._edges) + 1
        return Tally(
            with_retraining=np.zeros(4, dtype=np.int64),
            without_retraining=np.zeros(4, dtype=np.int64),
            rows_by_band=np.zeros(bands, dtype=np.int64),
            frauds_by_band=np.zeros(bands, dtype=np.int64),
        )


def _no_labels(rows: pa.Table) -> pa.Table:
    return pa.table(
        {
            "event_id": pa.array([], pa.string()),
            "label": pa.array([], pa.int8()),
            "known_at": pa.array([], rows.schema.field("event_time").type),
        }
    )


def _hour_of(key: str, like: datetime) -> datetime:
    """The hour of a captured object, from …/yyyy/mm/dd/hh/file."""
    year, month, day, hour = (int(part) for part in key.split("/")[-5:-1])
    return datetime(year, month, day, hour, tzinfo=like.tzinfo)
