"""Finds out whether labels of the whole traffic have stopped arriving: then recall cannot be known.

A window without mature labels is normal while it is young, and a finding once it is old. Findings of analysts cover
alerts alone, so frauds among passed rows stay unseen, and neither recall nor a drop of it can be tested. Values only:
reads and reports nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.verdict import CONCEPT, DriftVerdict

Labelled = tuple[DriftVerdict, LabelSummary]
"""The verdict of a window, and the labels of its rows."""


@dataclass(frozen=True, kw_only=True)
class NoLabels:
    """No window from `since` to `until` has mature labels, although each ended longer ago than drift.yaml allows.

    `labelled` of `rows` rows have a label of the whole traffic; `labelled_passed` of these were no alerts.
    """

    since: datetime
    until: datetime
    rows: int
    labelled: int
    labelled_passed: int

    @property
    def detail(self) -> str:
        """What is missing, and what follows, in sentences."""
        passed = f"{self.labelled_passed:,} of them on rows that were passed"
        return (
            f"No mature label of {self.since.date()} to {self.until.date()} has arrived: {self.labelled:,} of "
            f"{self.rows:,} scored rows have a label of the channel chargeback, {passed}. Findings of analysts cover "
            f"alerts alone, so recall is not known, and frauds that were passed are not seen"
        )


def find(windows: Sequence[Labelled], *, now: datetime, days: int) -> NoLabels | None:
    """The missing labels; None if the newest window that ended `days` ago or earlier, or one after it, has mature ones.

    Args:
        windows: of the serving model, or whose labels could still count against it, oldest first; those without
            traffic say nothing.
    """
    scored = [(verdict, labels) for verdict, labels in windows if verdict.rows]
    last = max((at for at, (verdict, _) in enumerate(scored) if CONCEPT in verdict.evaluated), default=-1)
    old = [each for each in scored[last + 1 :] if now - each[0].end >= timedelta(days=days)]
    if not old:
        return None
    totals = [labels.total() for _, labels in old]
    return NoLabels(
        since=old[0][0].start,
        until=old[-1][0].end,
        rows=sum(each.rows for each in totals),
        labelled=sum(each.labelled for each in totals),
        labelled_passed=sum(each.confusion.true_negatives + each.confusion.false_negatives for each in totals),
    )
