"""A former model's verdict: what its successor has learned is answered, a concept that began later is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml.drift.decision_policy import carried, due
from ml.model.drift.detector import DriftVerdict
from tests.model.drift_samples import RULES

FORMER, SERVES = "a" * 64, "b" * 64


def month(number: int) -> datetime:
    """The first of a month of 2026."""
    return datetime(2026, number, 1, tzinfo=UTC)


def judged(number: int, reference: str, *verdicts: str, **changes: Any) -> DriftVerdict:
    """The verdict on a month, all of whose labels have come."""
    fields: dict[str, Any] = {
        "start": month(number),
        "end": month(number + 1),
        "reference": reference,
        "rows": 24_000,
        "verdicts": verdicts,
        "judged": ("concept", "data", "prediction"),
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
def test_a_concept_that_began_after_the_model_counts_against_it(learned: datetime | None, counts: bool) -> None:
    """July's labels come when the successor, made of rows up to then, serves."""
    past = [judged(6, FORMER, "data"), judged(7, FORMER, "data", "concept"), judged(8, SERVES, "none")]
    found = carried(past, serves=SERVES, learned_until=learned)
    assert (found[1].reference == SERVES) is counts
    assert (found[0], found[2]) == (past[0], past[2])
    if counts:
        assert (found[1].verdicts, found[1].judged) == (("concept",), ("concept",))


def test_it_is_the_beginning_of_the_run_that_counts() -> None:
    """A concept that the model has seen most of, and that goes on, is none of its own windows'."""
    past = [judged(5, FORMER, "concept"), judged(6, FORMER, "concept"), judged(7, FORMER, "concept")]
    assert carried(past, serves=SERVES, learned_until=month(7)) == past
    healed = [past[0], judged(6, FORMER, "none"), past[2]]
    assert carried(healed, serves=SERVES, learned_until=month(7))[2].reference == SERVES


def test_the_day_of_the_onset_counts_where_it_is_known() -> None:
    """Later within the window than its first day."""
    late = judged(7, FORMER, "concept", concept_onset=datetime(2026, 7, 20, tzinfo=UTC))
    assert carried([late], serves=SERVES, learned_until=month(8))[0].reference == SERVES


def test_nothing_is_due_before_a_window_of_the_model_that_serves() -> None:
    """Then a concept that it cannot have learned asks for another, from where that began."""
    past = [judged(6, FORMER, "none"), judged(7, FORMER, "concept")]
    assert due(past, RULES, serves=SERVES, learned_until=month(7)) == ()
    unripe = judged(8, SERVES, "none", judged=("data", "prediction"))
    (decision,) = due([*past, unripe], RULES, serves=SERVES, learned_until=month(7))
    assert (decision.kind, decision.onset) == ("concept", month(7))
