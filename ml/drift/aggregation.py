"""Reduces a window's traffic and labels to counts, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml.aws.capture import reader
from ml.aws.labels import join as labels
from ml.drift.calendar import Window
from ml.model.drift import detector
from ml.model.drift.label_counts import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml.aws.capture.reader import Batch
    from ml.config.settings_files import LabelLimits
    from ml.drift.reference_model import Model


def read(
    bucket: str, endpoint: str, window: Window, *, model: Model, limits: LabelLimits, now: datetime
) -> tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]:
    """Counts of the traffic that `model` scored in `window`, of its labels known at `now`, and counters of the reading.

    The second is None if no row has an id to join labels on; `limits` define which days' labels are mature.

    Raises:
        CloudError, DataError: S3 refuses, or an object is not in the expected form.
    """
    reading = reader.read(bucket, endpoint, *window, inputs=model.reference.names)
    summary = detector.WindowSummary.empty(model.reference)
    others: dict[str, int] = {}
    with labels.join(bucket, keep=(model.amount,)) as join:
        for batch in reading:
            ours = _masked(batch, _own(batch, model.version, others))
            summary += _summary(ours, model.reference)
            join.add(ours)
        found = join.mature(as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
        outcomes = _outcomes(found, model)
        label_counters = {
            "days": [_plain(asdict(day)) for day in found.days],
            "repeated": found.repeated,
            "without_id": found.without_id,
        }
    counts = reading.counts
    unexpected = {column: rows for (kind, column), rows in counts.schema.items() if kind == "unexpected"}
    summary = replace(summary, unexpected=dict(summary.unexpected) | unexpected)
    return summary, outcomes, {"traffic": counts.to_dict() | {"other_models": others}, "labels": label_counters}


def _own(batch: Batch, version: str, others: dict[str, int]) -> NDArray[np.bool_]:
    """Which rows the model scored; counts the others by model version ('' if the answer names none)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    versions = pc.fill_null(pc.cast(batch.model_versions, pa.string()), "")
    own: NDArray[np.bool_] = pc.equal(versions, version).to_numpy(zero_copy_only=False)
    if not own.all():
        for item in pc.value_counts(versions).to_pylist():
            if item["values"] != version:
                others[item["values"]] = others.get(item["values"], 0) + item["counts"]
    return own


def _masked(batch: Batch, own: NDArray[np.bool_]) -> Batch:
    """The batch without the scores and decisions of other models."""
    import numpy as np

    if own.all():
        return batch
    return replace(batch, scores=np.where(own, batch.scores, np.nan), decisions=np.where(own, batch.decisions, -1))


def _summary(batch: Batch, reference: detector.Reference) -> detector.WindowSummary:
    import numpy as np

    inputs: Any = batch.inputs
    if inputs is None:  # answers alone were captured
        inputs = np.full((len(batch), len(batch.names)), np.nan)
    return detector.WindowSummary.of(
        reference, inputs, names=batch.names, scores=batch.scores, decisions=batch.decisions, times=batch.times
    )


def _outcomes(found: labels.Labelled, model: Model) -> detector.LabelSummary | None:
    """Counts by day: complete for mature days, only rows and labelled rows for the others."""
    if not found.days:
        return None
    bands = len(model.reference.document["fraud_by_amount"]["edges"]) + 1
    total = detector.LabelSummary(bands=bands, days={})
    for batch in found.rows():
        total += detector.LabelSummary.of(
            model.reference,
            times=batch.times,
            labels=batch.labels,
            decisions=batch.decisions,
            amounts=batch.columns[model.amount],
        )
    days = {}
    for day in found.days:
        counted = total.days.get(day.day, Outcomes.none(bands)) if day.mature else Outcomes.none(bands)
        days[day.day] = replace(counted, rows=day.rows, labelled=day.labelled)
    return detector.LabelSummary(bands=bands, days=days)


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in document.items()}
