"""Retrain decisions: k of n windows of one model, including the latest, and the onset."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from ml.model.drift.retrain_decision import decide, decisions
from ml.model.drift.verdict import DriftVerdict
from tests.model.drift_samples import RULES

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
SIGNS = {"d": "data", "p": "prediction", "c": "concept", "s": "schema"}


def window(number: int, signs: str, reference: str = "a") -> DriftVerdict:
    """A window by signs: d, p, c and s fired; `?` labels immature; `x` no data; anything else is quiet."""
    fired = tuple(SIGNS[sign] for sign in signs if sign in SIGNS)
    seen = () if "x" in signs else ("data", "prediction")
    return DriftVerdict(
        start=FIRST + number * MONTH,
        end=FIRST + (number + 1) * MONTH,
        reference=reference,
        rows=1000,
        verdicts=fired or ("none",),
        evaluated=seen if "?" in signs or "x" in signs else ("concept", *seen),
        reasons=(),
        findings=(),
        features=(),
        scores=None,
        labels=None,
        estimated=None,
        concept_onset=None,
    )


def windows(*signs: str) -> list[DriftVerdict]:
    """Windows in a row."""
    return [window(number, sign) for number, sign in enumerate(signs)]


@pytest.mark.parametrize(
    ("signs", "kind", "onset"),
    [
        ([], None, None),
        (["-"], None, None),
        (["d"], None, None),
        (["d", "d"], "data", 0),
        (["d", "-", "d"], "data", 0),
        (["d", "d", "-"], None, None),
        (["d", "-", "-", "d"], None, None),
        (["-", "d", "d", "d", "d"], "data", 1),
        (["d", "p"], None, None),
        (["p", "dp", "d"], "data", 1),
        (["p", "p"], "prediction", 0),
        (["c"], "concept", 0),
        (["-", "c"], "concept", 1),
        (["c", "-"], None, None),
        (["-", "c", "?"], "concept", 1),
        (["d", "dc"], "concept", 1),
        (["c", "c", "?"], "concept", 0),
        (["d", "x", "d"], "data", 0),
        (["d", "d", "x"], None, None),
        (["s", "s", "s"], None, None),
    ],
)
def test_request_is_due_if_enough_windows_agree(signs: list[str], kind: str | None, onset: int | None) -> None:
    """Two of three for data and prediction, one mature window for concept, which comes first; schema never."""
    decision = decide(windows(*signs), RULES)
    assert decision.kind == kind
    assert decision.due == (kind is not None)
    assert decision.onset == (None if onset is None else FIRST + onset * MONTH)


def test_due_causes_are_ordered_by_strength() -> None:
    """Concept, data, prediction, each with the windows that fired and those considered."""
    made = decisions(windows("dp", "-", "dpc"), RULES)
    assert [decision.kind for decision in made] == ["concept", "data", "prediction"]
    data = made[1]
    assert data.fired == ((FIRST, FIRST + MONTH), (FIRST + 2 * MONTH, FIRST + 3 * MONTH))
    assert len(data.considered) == 3


def test_verdicts_on_a_former_model_do_not_count() -> None:
    """Only windows of the latest model count."""
    history = [window(0, "d", "former"), window(1, "d", "now")]
    assert not decide(history, RULES).due
    assert decide([*history, window(2, "d", "now")], RULES).onset == FIRST + MONTH


def test_later_verdict_on_a_window_replaces_the_earlier() -> None:
    """A window that was evaluated twice counts once; the order of windows does not matter."""
    assert not decide([window(0, "c"), window(0, "-")], RULES).due
    assert decide([window(1, "d"), window(0, "?"), window(0, "d")], RULES).kind == "data"


def test_concept_drift_uses_the_onset_day_of_the_labels() -> None:
    """The onset is the detected day inside the first window of the run."""
    day = FIRST + timedelta(days=12)
    first = dataclasses.replace(window(0, "c"), concept_onset=day)
    assert decide([first, window(1, "c")], RULES).onset == day
