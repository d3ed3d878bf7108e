"""What the Train step tells the Evaluate step about a fit, in fit.json.

The same for every kind of run. Not part of the archive: it is evidence about a model, not the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ml.model.threshold_evidence import Expected

FILE = "fit.json"


@dataclass(frozen=True, kw_only=True)
class FitEvidence:
    """Evidence about a fit.

    `expected` is the rate of alerts to expect at the threshold, None if no row was counted. `out_of_fold_scores` has
    the scores of the rows of some parts, in order: the drift reference takes them for scores of unfitted rows.
    `synthetic_rows` is the number of rows that SMOTE added. `notes` are sentences for a reader of the evaluation.
    """

    expected: Expected | None
    out_of_fold_scores: Mapping[str, tuple[float, ...]]
    synthetic_rows: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As fit.json holds it."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """As evaluation.json holds it: everything but the scores."""
        return {name: value for name, value in self.to_dict().items() if name != "out_of_fold_scores"}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FitEvidence:
        """The inverse of `to_dict`, after JSON. Raises TypeError or KeyError on a document of another shape."""
        scores, expected = document["out_of_fold_scores"], document["expected"]
        return cls(
            expected=None if expected is None else Expected(**expected),
            out_of_fold_scores={part: tuple(values) for part, values in scores.items()},
            synthetic_rows=document["synthetic_rows"],
            notes=tuple(document["notes"]),
        )
