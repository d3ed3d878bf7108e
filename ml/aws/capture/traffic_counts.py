"""Reduces batches of captured rows to the counts of one model's traffic, on the bins of its drift reference.

Counts of parts of a window add up to those of all of it. Calls no service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ml.aws.capture.text_inputs import TextInputs
from ml.model.drift import detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml.aws.capture.captured_batches import Batch


@dataclass(frozen=True, kw_only=True)
class CountedModel:
    """What the counts need of a model: its drift reference, its version, its amount, and its input of ISO times.

    `amount` is the name of the input with the amount, None if the data has none.
    """

    reference: detector.Reference
    version: str
    amount: str | None
    iso_times: tuple[str, str] | None

    @property
    def texts(self) -> TextInputs:
        """The inputs that are text. Levels are those of the reference, which lists rare values too: the model's would
        hide which values are unseen."""
        return TextInputs(iso_times=self.iso_times, levels=self.reference.levels)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "reference": dict(self.reference.document),
            "version": self.version,
            "amount": self.amount,
            "iso_times": self.iso_times,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CountedModel:
        """The inverse of `to_dict`."""
        times = document["iso_times"]
        return cls(
            reference=detector.Reference.of(document["reference"]),
            version=document["version"],
            amount=document["amount"],
            iso_times=(times[0], times[1]) if times is not None else None,
        )


@dataclass(kw_only=True)
class TrafficCounts:
    """The summary of a window's traffic, and the rows of other models by version ('' if unknown)."""

    model: CountedModel
    summary: detector.WindowSummary
    others: Counter[str] = field(default_factory=Counter)

    @classmethod
    def none(cls, model: CountedModel) -> TrafficCounts:
        """The counts of no rows."""
        return cls(model=model, summary=detector.WindowSummary.empty(model.reference))

    def add(self, batch: Batch) -> Batch:
        """Counts a batch; returns it without scores and decisions of other models, which do not count."""
        scored = _mask_other_models(batch, self._scored_by_model(batch))
        self.summary += _summary(scored, self.model.reference)
        return scored

    def merge(self, summary: detector.WindowSummary, others: Mapping[str, int]) -> None:
        """Adds the counts of another part of the window."""
        self.summary += summary
        self.others.update(others)

    def _scored_by_model(self, batch: Batch) -> NDArray[np.bool_]:
        """Which rows the model scored. Counts those of other models."""
        import pyarrow as pa
        import pyarrow.compute as pc

        versions = pc.fill_null(pc.cast(batch.model_versions, pa.string()), "")
        own: NDArray[np.bool_] = pc.equal(versions, self.model.version).to_numpy(zero_copy_only=False)
        if not own.all():
            for item in pc.value_counts(versions).to_pylist():
                if item["values"] != self.model.version:
                    self.others[item["values"]] += item["counts"]
        return own


def with_unexpected(summary: detector.WindowSummary, schema: Mapping[tuple[str, str], int]) -> detector.WindowSummary:
    """The summary with the rows of unexpected columns, which the reader has found: `schema` as in CaptureCounts."""
    unexpected = {column: rows for (kind, column), rows in schema.items() if kind == "unexpected"}
    return replace(summary, unexpected=dict(summary.unexpected) | unexpected)


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
