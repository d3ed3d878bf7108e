"""Reduces a window's traffic and labels to counts, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml.aws.capture import reader
from ml.aws.capture.text_inputs import TextInputs
from ml.aws.labels import join as labels
from ml.drift.calendar import Window
from ml.model.drift import detector
from ml.model.drift.label_counts import Outcomes
from ml.model.drift.ranking import RankingCounts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml.aws.capture.reader import Batch
    from ml.config.settings_files import LabelLimits
    from ml.drift.approved_model import Model


def read(
    bucket: str, endpoint: str, window: Window, *, model: Model, limits: LabelLimits, now: datetime
) -> tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]:
    """The traffic summary of `model` in `window`, its label summary at `now`, and the counts of rows read.

    The counts include those of scores by label on mature days, if the drift reference has edges for them. The label
    summary is None if no row has an id to join labels on. `limits` define when a day's labels are mature.

    Raises:
        CloudError, DataError: S3 cannot be read, or an object has another format.
    """
    # Levels of the reference, which lists rare values too: the model's would hide which values are unseen.
    texts = TextInputs(iso_times=model.scorer.document.iso_times, levels=model.reference.levels)
    reading = reader.read(bucket, endpoint, *window, inputs=model.reference.names, texts=texts)
    summary = detector.WindowSummary.empty(model.reference)
    others: dict[str, int] = {}
    with labels.join(bucket, keep=(model.amount,) if model.amount is not None else ()) as join:
        for batch in reading:
            scored = _mask_other_models(batch, _scored_by(batch, model.version, others))
            summary += _summary(scored, model.reference)
            join.add(scored)
        labelled = join.mature(as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
        outcomes = _outcomes(labelled, model)
        by_label = _scores_by_label(labelled, model)
        label_counts = {
            "days": [_plain(asdict(day)) for day in labelled.days],
            "repeated": labelled.repeated,
            "without_id": labelled.without_id,
        }
    counts = reading.counts
    unexpected = {column: rows for (kind, column), rows in counts.schema.items() if kind == "unexpected"}
    summary = replace(summary, unexpected=dict(summary.unexpected) | unexpected)
    return (
        summary,
        outcomes,
        {"traffic": counts.to_dict() | {"other_models": others}, "labels": label_counts} | {"ranking": by_label},
    )


def _scored_by(batch: Batch, version: str, others: dict[str, int]) -> NDArray[np.bool_]:
    """Which rows the model scored. Adds the rows of other models to `others`, by version ('' if unknown)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    versions = pc.fill_null(pc.cast(batch.model_versions, pa.string()), "")
    own: NDArray[np.bool_] = pc.equal(versions, version).to_numpy(zero_copy_only=False)
    if not own.all():
        for item in pc.value_counts(versions).to_pylist():
            if item["values"] != version:
                others[item["values"]] = others.get(item["values"], 0) + item["counts"]
    return own


def _mask_other_models(batch: Batch, own: NDArray[np.bool_]) -> Batch:
    """The batch without scores and decisions of other models: only the model's own count."""
    import numpy as np

    if own.all():
        return batch
    return replace(batch, scores=np.where(own, batch.scores, np.nan), decisions=np.where(own, batch.decisions, -1))


def _summary(batch: Batch, reference: detector.Reference) -> detector.WindowSummary:
    import numpy as np

    inputs: Any = batch.inputs
    if inputs is None:  # only responses were captured
        inputs = np.full((len(batch), len(batch.names)), np.nan)
    return detector.WindowSummary.of(
        reference, inputs, names=batch.names, scores=batch.scores, decisions=batch.decisions, times=batch.times
    )


def _outcomes(labelled: labels.Labelled, model: Model) -> detector.LabelSummary | None:
    """Mature days with their confusion counts; other days only with their number of labelled rows."""
    import numpy as np

    if not labelled.days:
        return None
    bands = len(model.reference.document["fraud_by_amount"]["edges"]) + 1
    total = detector.LabelSummary(bands=bands, days={})
    for batch in labelled.rows():
        total += detector.LabelSummary.of(
            model.reference,
            times=batch.times,
            labels=batch.labels,
            decisions=batch.decisions,
            amounts=batch.columns[model.amount] if model.amount is not None else np.zeros(len(batch.labels)),
        )
    days = {}
    for day in labelled.days:
        counted = total.days.get(day.day, Outcomes.none(bands)) if day.mature else Outcomes.none(bands)
        days[day.day] = replace(counted, rows=day.rows, labelled=day.labelled)
    return detector.LabelSummary(bands=bands, days=days)


def _scores_by_label(labelled: labels.Labelled, model: Model) -> dict[str, list[int]] | None:
    """Rows of mature days per bin of scores, by label; None if the reference, of an older model, has no bins."""
    known = model.reference.document.get("ranking")
    if known is None:
        return None
    total = RankingCounts.of(known["edges"], [], [])
    for batch in labelled.rows():
        total += RankingCounts.of(known["edges"], batch.scores, batch.labels)
    return total.to_dict()


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in document.items()}
