"""Verdicts on a former model: only concept drift after the champion's training data counts against the champion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml.drift.decision_policy import carry_over, due
from ml.model.drift.detector import DriftVerdict
from tests.model.drift_samples import RULES

FORMER, CHAMPION = "a" * 64, "b" * 64


def month(number: int) -> datetime:
    """The first of a month of 2026."""
    return datetime(2026, number, 1, tzinfo=UTC)


def verdict_on(number: int, reference: str, *verdicts: str, **changes: Any) -> DriftVerdict:
    """The verdict on a month with mature labels."""
    fields: dict[str, Any] = {
        "start": month(number),
        "end": month(number + 1),
        "reference": reference,
        "rows": 24_000,
        "verdicts": verdicts,
        "evaluated": ("concept", "data", "prediction"),
        "reasons": (),
        "findings": (),
        "features": (),
        "scores": None,
        "labels": None,
        "estimated": None,
        "concept_onset": None,
    }
    return DriftVerdict(**(fields | changes))


@pytest.mark.parametrize(("learned", "counts"), [(month(6), True), (month(7), True), (month(8), False), (None, False)])
def test_concept_drift_after_the_training_data_counts_against_the_champion(
    learned: datetime | None, counts: bool
) -> None:
    """July's labels mature when the champion, trained on rows up to `learned`, serves."""
    past = [verdict_on(6, FORMER, "data"), verdict_on(7, FORMER, "data", "concept"), verdict_on(8, CHAMPION, "none")]
    found = carry_over(past, champion=CHAMPION, learned_until=learned)
    assert (found[1].reference == CHAMPION) is counts
    assert (found[0], found[2]) == (past[0], past[2])
    if counts:
        assert (found[1].verdicts, found[1].evaluated) == (("concept",), ("concept",))


def test_onset_of_the_run_decides() -> None:
    """A continuing concept drift that the champion was trained on does not count against it."""
    past = [verdict_on(5, FORMER, "concept"), verdict_on(6, FORMER, "concept"), verdict_on(7, FORMER, "concept")]
    assert carry_over(past, champion=CHAMPION, learned_until=month(7)) == past
    interrupted = [past[0], verdict_on(6, FORMER, "none"), past[2]]
    assert carry_over(interrupted, champion=CHAMPION, learned_until=month(7))[2].reference == CHAMPION


def test_day_of_the_onset_is_used_if_known() -> None:
    """The onset may be later than the first day of the window."""
    late = verdict_on(7, FORMER, "concept", concept_onset=datetime(2026, 7, 20, tzinfo=UTC))
    assert carry_over([late], champion=CHAMPION, learned_until=month(8))[0].reference == CHAMPION


def test_nothing_is_due_before_the_first_window_of_the_champion() -> None:
    """After it, concept drift that the champion cannot have learned is due, from its onset."""
    past = [verdict_on(6, FORMER, "none"), verdict_on(7, FORMER, "concept")]
    assert due(past, RULES, champion=CHAMPION, learned_until=month(7)) == ()
    immature = verdict_on(8, CHAMPION, "none", evaluated=("data", "prediction"))
    (decision,) = due([*past, immature], RULES, champion=CHAMPION, learned_until=month(7))
    assert (decision.kind, decision.onset) == ("concept", month(7))
