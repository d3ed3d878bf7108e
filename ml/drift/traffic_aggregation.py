"""Reduces a window's traffic and labels to counts, batch by batch, in this process.

Where the traffic was counted before and only labels have come, they are joined with the rows that were kept then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml.aws.capture import reader
from ml.aws.capture.traffic_counts import TrafficCounts, with_unexpected
from ml.aws.labels import join as labels
from ml.aws.labels.label_counts import LabelCounts
from ml.aws.labels.window_rows import WindowRows
from ml.drift.calendar import Window
from ml.model.drift import detector

if TYPE_CHECKING:
    from ml.config.settings_files import LabelLimits
    from ml.drift.approved_model import Model


Found = tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]


def read(bucket: str, endpoint: str, window: Window, *, model: Model, limits: LabelLimits, now: datetime) -> Found:
    """The traffic summary of `model` in `window`, its label summary at `now`, and the counts of rows read.

    The counts include those of scores by label on mature days, if the drift reference has edges for them. The label
    summary is None if no row has an id to join labels on. `limits` define when a day's labels are mature.

    Raises:
        CloudError, DataError: S3 cannot be read, or an object has another format.
    """
    return _read(bucket, endpoint, window, model=model, limits=limits, now=now, rows=None)


def read_keeping(
    bucket: str,
    endpoint: str,
    window: Window,
    *,
    model: Model,
    limits: LabelLimits,
    now: datetime,
    capture: Mapping[str, int],
    counted: Mapping[str, Any] | None,
) -> Found:
    """As `read`, and keeps the rows for a later call, which then reads them in place of the traffic.

    Args:
        capture: objects and bytes of the traffic.
        counted: the check whose summary and counts of the traffic are those of these objects; None if there is none.

    Raises:
        CloudError, DataError: S3 cannot be read or written, or an object has another format.
    """
    start, end = window
    rows = WindowRows(
        bucket=bucket, endpoint=endpoint, start=start, end=end, capture=capture, artifact_sha256=model.sha256
    )
    if counted is not None:
        with labels.join(bucket, keep=_kept(model)) as join:
            if rows.restore(join):
                outcomes, counts = _labelled(join, model, limits, now)
                summary = detector.WindowSummary.from_dict(counted["summary"])
                return summary, outcomes, {"traffic": counted["traffic"]} | counts
    return _read(bucket, endpoint, window, model=model, limits=limits, now=now, rows=rows)


def _read(
    bucket: str,
    endpoint: str,
    window: Window,
    *,
    model: Model,
    limits: LabelLimits,
    now: datetime,
    rows: WindowRows | None,
) -> Found:
    counted = model.counted
    reading = reader.read(bucket, endpoint, *window, inputs=model.reference.names, texts=counted.texts)
    traffic = TrafficCounts.none(counted)
    with labels.join(bucket, keep=_kept(model)) as join:
        for batch in reading:
            join.add(traffic.add(batch))
        outcomes, counts = _labelled(join, model, limits, now)
        if rows is not None:
            rows.keep(join)
    read_counts = reading.counts
    return (
        with_unexpected(traffic.summary, read_counts.schema),
        outcomes,
        {"traffic": read_counts.to_dict() | {"other_models": dict(traffic.others)}} | counts,
    )


def _kept(model: Model) -> tuple[str, ...]:
    """The inputs that label counts need."""
    return (model.amount,) if model.amount is not None else ()


def _labelled(
    join: labels.Join, model: Model, limits: LabelLimits, now: datetime
) -> tuple[detector.LabelSummary | None, dict[str, Any]]:
    """The label summary of the rows in `join`, and the counts of their labels."""
    labelled = join.mature(as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
    found = LabelCounts.of(model.counted, labelled.rows())
    counts = found.to_dict(labelled.days, repeated=labelled.repeated, without_id=labelled.without_id)
    return found.summary(labelled.days), counts
