"""Agreement, alerts, scores and labels of two models on the same transactions."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from ml.aws.capture.captured_requests import CapturedRequest, CapturedRow
from ml.aws.shadow_store import CopyAnswer
from ml.release import shadow_comparison
from ml.release.shadow_comparison import ComparedRows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def request(
    identity: str, *rows: tuple[str | None, float, float, float]
) -> tuple[CapturedRequest, tuple[str, CopyAnswer]]:
    """A request of rows with event id, amount, and both scores; a score of 0.5 or more is an alert."""
    captured = CapturedRequest(
        id=identity,
        at=NOON,
        body="",
        content_type=None,
        rows=tuple(
            CapturedRow(event_id=event_id, amount=amount, score=score, decision=int(score >= 0.5))
            for event_id, amount, score, _ in rows
        ),
    )
    scores = tuple(score for *_, score in rows)
    return captured, (identity, CopyAnswer(status=200, scores=scores, decisions=tuple(int(s >= 0.5) for s in scores)))


def compared(
    *made: tuple[CapturedRequest, tuple[str, CopyAnswer]], labels: dict[str, int] | None = None
) -> ComparedRows:
    """The rows of some requests."""
    return ComparedRows.of([each for each, _ in made], dict(answer for _, answer in made), labels or {})


FOUR = (("a", 10.0, 0.9, 0.8), ("b", 20.0, 0.1, 0.7), ("c", 40.0, 0.6, 0.2), ("d", 80.0, 0.1, 0.3))
"""One row of each cell: both, challenger only, champion only, neither."""


def test_each_row_is_in_one_cell() -> None:
    """Shares have Wilson's interval, and the alerts a day are the share of the day's rows."""
    found = shadow_comparison.figures(compared(request("1", *FOUR)), rows_a_day=1_000)
    assert [found["agreement"][cell]["count"] for cell in shadow_comparison.CELLS] == [1, 1, 1, 1]
    assert found["agreement"]["same_decision"]["value"] == 0.5
    assert found["agreement"]["both"]["low"] == pytest.approx(0.0456, abs=1e-4)
    assert found["agreement"]["both"]["high"] == pytest.approx(0.6994, abs=1e-4)
    assert found["alerts_a_day"]["champion"]["value"] == found["alerts_a_day"]["challenger"]["value"] == 500
    assert found["scores"]["mean_difference"] == pytest.approx(0.075)
    assert found["scores"]["largest"] == pytest.approx(0.6)
    assert found["different"]["champion_only"] == {
        "listed": [{"event_id": "c", "amount": 40.0, "champion_score": 0.6, "challenger_score": 0.2}],
        "more": 0,
    }


def test_last_answer_to_a_transaction_counts() -> None:
    """A row without an id is a transaction of its own; one without a decision is left out."""
    first, last = request("1", ("a", 1.0, 0.9, 0.1), (None, 1.0, 0.1, 0.1)), request("2", ("a", 1.0, 0.9, 0.9))
    undecided = request("3", ("x", 1.0, 0.9, 0.9))
    answer = CopyAnswer(status=200, scores=(0.9,), decisions=(-1,))
    rows = compared(first, last, request("4", (None, 1.0, 0.1, 0.1)), (undecided[0], ("3", answer)))
    assert (len(rows), rows.repeated, rows.undecided) == (3, 1, 1)
    assert int(rows.cells()["both"].sum()) == 1


def test_refused_request_is_not_compared() -> None:
    """Its rows are counted as errors elsewhere."""
    captured, _ = request("1", *FOUR)
    rows = ComparedRows.of([captured], {"1": CopyAnswer(status=400)}, {})
    found: dict[str, Any] = shadow_comparison.figures(rows, rows_a_day=10)
    assert found["rows"] == 0
    assert found["agreement"]["both"]["value"] is None
    assert found["alerts_a_day"]["champion"] == {"value": None, "low": None, "high": None}
    assert set(found["scores"].values()) == {None}


def test_list_is_limited_and_ids_are_cut() -> None:
    """The largest differences come first, and the rest is counted."""
    many = [(f"e{place}", math.nan, 0.1, 0.5 + place / 1_000) for place in range(60)]
    found = shadow_comparison.figures(compared(request("1", *many, ("x" * 200, 1.0, 0.0, 1.0))), rows_a_day=1)
    listed = found["different"]["challenger_only"]
    assert (len(listed["listed"]), listed["more"]) == (50, 11)
    assert listed["listed"][0]["event_id"] == "x" * 80 + "…"
    assert (listed["listed"][1]["event_id"], listed["listed"][1]["amount"]) == ("e59", None)


def test_labels_are_counted_in_each_cell_and_for_each_model() -> None:
    """Frauds, their amounts, recall and precision; nothing is said of what has no label."""
    found = shadow_comparison.label_figures(compared(request("1", *FOUR), labels={"a": 0, "b": 1, "d": 1, "z": 1}))
    cells = found["cells"]
    assert {name: (cell["labelled"], cell["frauds"]) for name, cell in cells.items()} == {
        "both": (1, 0),
        "challenger_only": (1, 1),
        "champion_only": (0, 0),
        "neither": (1, 1),
    }
    assert cells["challenger_only"]["fraud_amount"] == 20.0
    assert (found["champion"]["recall"]["count"], found["champion"]["recall"]["of"]) == (0, 2)
    assert (found["challenger"]["recall"]["count"], found["challenger"]["precision"]["of"]) == (1, 2)
    assert found["challenger"]["fraud_amount"] == 20.0
    assert found["p_value"] == 1.0
    none = shadow_comparison.label_figures(compared(request("1", *FOUR)))
    assert none["p_value"] is None
    assert none["champion"]["recall"]["reason"] == "no fraud is known"


def test_rank_correlation_needs_scores_that_differ() -> None:
    """It is 1 for the same order, and not defined for one score."""
    same = compared(request("1", ("a", 1.0, 0.1, 0.2), ("b", 1.0, 0.3, 0.4), ("c", 1.0, 0.5, 0.9)))
    assert shadow_comparison.figures(same, rows_a_day=1)["scores"]["rank_correlation"] == pytest.approx(1)
    flat = compared(request("1", ("a", 1.0, 0.1, 0.2), ("b", 1.0, 0.1, 0.4)))
    assert shadow_comparison.figures(flat, rows_a_day=1)["scores"]["rank_correlation"] is None
