"""Counts the labelled rows of mature days for the concept-drift tests: by day, and by bin of scores.

Counts of parts of the rows add up to those of all rows. Calls no service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ml.aws.capture.traffic_counts import CountedModel
from ml.aws.labels.join_tables import LabelledBatch
from ml.aws.labels.maturity import Day
from ml.model.drift.label_counts import LabelSummary, Outcomes
from ml.model.drift.ranking import RankingCounts


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Outcomes by day, and rows per bin of scores: None if the reference, an older one, has no bins."""

    outcomes: LabelSummary
    ranking: RankingCounts | None

    @classmethod
    def of(cls, model: CountedModel, batches: Iterable[LabelledBatch]) -> LabelCounts:
        """The counts of some labelled rows."""
        import numpy as np

        document = model.reference.document
        known = document.get("ranking")
        outcomes = LabelSummary(bands=len(document["fraud_by_amount"]["edges"]) + 1, days={})
        ranking = RankingCounts.of(known["edges"], [], []) if known is not None else None
        for batch in batches:
            outcomes += LabelSummary.of(
                model.reference,
                times=batch.times,
                labels=batch.labels,
                decisions=batch.decisions,
                amounts=batch.columns[model.amount] if model.amount is not None else np.zeros(len(batch.labels)),
            )
            if ranking is not None and known is not None:
                ranking += RankingCounts.of(known["edges"], batch.scores, batch.labels)
        return cls(outcomes=outcomes, ranking=ranking)

    def __add__(self, other: LabelCounts) -> LabelCounts:
        """The counts of both sets of rows."""
        both = self.ranking + other.ranking if self.ranking is not None and other.ranking is not None else None
        return LabelCounts(outcomes=self.outcomes + other.outcomes, ranking=both)

    def summary(self, days: Sequence[Day]) -> LabelSummary | None:
        """Mature days with their confusion counts; other days only with their number of labelled rows.

        None if there are no days, that is, if no row has an id to join labels on.
        """
        if not days:
            return None
        empty, counted = Outcomes.none(self.outcomes.bands), {}
        for day in days:
            found = self.outcomes.days.get(day.day, empty) if day.mature else empty
            counted[day.day] = replace(found, rows=day.rows, labelled=day.labelled)
        return LabelSummary(bands=self.outcomes.bands, days=counted)

    def to_dict(self, days: Sequence[Day], *, repeated: int, without_id: int) -> dict[str, Any]:
        """The JSON form, as a drift check stores it.

        Args:
            repeated: rows whose id was captured again later.
            without_id: rows without an id.
        """
        return {
            "labels": {
                "days": [_plain(asdict(day)) for day in days],
                "repeated": repeated,
                "without_id": without_id,
            },
            "ranking": self.ranking.to_dict() if self.ranking is not None else None,
        }


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in document.items()}
