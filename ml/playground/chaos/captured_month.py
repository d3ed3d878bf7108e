"""A month of traffic at the endpoint of a chaos environment, and its labels in the lake's inbox."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import clock, config
from ml.aws.import_manifest import Source
from ml.aws.lake import Lake
from ml.commands.labels_collect import INBOX
from ml.playground.chaos.environment import ChaosEnvironment
from ml.simulate import stand_in_data

FLUSH_SECONDS = 3_600.0
"""Longer than any run. The environment must buffer captured traffic for so long: it is flushed after each request, so
that the number of captured files, which a check reports, does not depend on the machine."""
LABEL = "Class"
_FIRST, _END = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
"""Not the month of the deployment: a verb that was run again smokes the endpoint twice, and a check counts that."""
_KNOWN = datetime(2026, 5, 5, 6, tzinfo=UTC)
_BETWEEN = timedelta(hours=8)
"""Less than the gap in traffic that drift.yaml reports."""


def draw(rows: int, *, frauds: int, seed: int) -> pa.Table:
    """Transactions of the month in the order of time, with `event_id` and `event_time`."""
    found = stand_in_data.draw(rows, frauds=frauds, seed=seed, start=date(2026, 4, 1), months=1)
    found = found.sort_by("event_time")
    return found.add_column(0, "event_id", pa.array([f"april-{place:05d}" for place in range(rows)]))


def send(environment: ChaosEnvironment, rows: pa.Table) -> None:
    """Sends the transactions without their label, several hours in one request, at the time of the request."""
    aws, endpoint = environment.aws, config.load_serving(environment.root).endpoint
    inputs = rows.drop_columns(["event_time", LABEL])
    times = np.asarray(rows["event_time"].cast(pa.timestamp("us", "UTC"))).astype("datetime64[us]")
    runtime = aws.client("sagemaker-runtime")
    aws.flush()  # the smoke tests
    moment = _FIRST
    while moment < _END:
        first, last = np.searchsorted(times, [_naive(moment), _naive(moment + _BETWEEN)])
        aws.clock.set(moment)
        body = json.dumps({"instances": inputs.slice(int(first), int(last - first)).to_pylist()})
        runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)
        aws.flush()
        moment += _BETWEEN


def put_labels(environment: ChaosEnvironment, rows: pa.Table, labels: NDArray[np.int64]) -> None:
    """Puts a file with a chargeback label of each row into the inbox."""
    known, ids = clock.stamp(_KNOWN), rows["event_id"].to_pylist()
    lines = [f"{name},{label},{known},chargeback" for name, label in zip(ids, labels.tolist(), strict=True)]
    content = "\n".join(["event_id,label,known_at,channel", *lines]) + "\n"
    environment.aws.client("s3").put_object(Bucket=environment.bucket, Key=f"{INBOX}april.csv", Body=content.encode())


def put_transactions(environment: ChaosEnvironment, rows: pa.Table) -> None:
    """Imports the transactions into the lake without labels, as training reads them."""
    digest = hashlib.sha256(json.dumps(rows.to_pylist(), default=str).encode()).hexdigest()
    none = {"event_id": pa.string(), "label": pa.int8(), "known_at": rows.schema.field("event_time").type}
    Lake(environment.bucket).store(
        rows.drop_columns([LABEL]),
        pa.schema(none).empty_table(),
        source=Source(name="april", bytes=rows.nbytes, sha256=digest, time_unit=None),
        content_sha256=digest,
        duplicates=0,
        quarantined=0,
    )


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None))
