"""What a comparison means for a promotion."""

from __future__ import annotations

import pytest

from ml.release import shadow_verdict
from tests.release.shadow_documents import document

OPEN = document()["window"] | {"over": False, "compared_hours": 4.2}
BEFORE, AFTER = "2026-03-03T11:59:59Z", "2026-03-03T12:00:00Z"
"""A second before a day has passed since the end of the time, and a day after it."""

EARLY, END = "2026-03-02T01:00:00Z", "2026-03-02T12:00:00Z"
"""Within the time, and its end."""
LATE, LATER = "2026-03-12T08:00:00Z", "2026-03-13T08:00:00Z"
"""A first run ten days after the end of the time, and one a day after that run."""


@pytest.mark.parametrize(
    ("found", "decision", "reason"),
    [
        (document(window=OPEN), "wait", "4.2 of 24 hours are compared; both decide alike on 99.20% of 1,000"),
        (document(window=OPEN, errors={"500": 2}), "wait", "2 of 800 requests that production answered were answered"),
        (document(errors={"500": 2}), "wait", "a server error (2 with 500), and are sent again by the next run; they"),
        (
            document(errors={"500": 2}, at=BEFORE, failing_since=END),
            "wait",
            "if they still fail at 2026-03-03T12:00:00Z",
        ),
        (
            document(errors={"500": 2}, at=AFTER, failing_since=END),
            "reject",
            "(2 with 500), still 24 hours after the end of its time",
        ),
        (document(errors={"503": 800}, rows=0, at=AFTER, failing_since=END), "reject", "800 of 800 requests"),
        (document(errors={"400": 9}), "reject", "9 of 800 requests that production answered were refused (9 with 400)"),
        (
            document(errors={"400": 799, "503": 1}),
            "reject",
            "799 of 800 requests that production answered were refused",
        ),
        (document(errors={"400": 799, "503": 1}, at=AFTER), "reject", "were refused (799 with 400)"),
        (document(window=OPEN, errors={"400": 799, "503": 1}), "wait", "; 1 of 800 requests that production answered"),
        (document(window=OPEN, errors={"400": 799, "503": 1}), "wait", "with a server error (1 with 503), and are"),
        (
            document(errors={"500": 2}, at=LATE, failing_since=LATE),
            "wait",
            "if they still fail at 2026-03-13T08:00:00Z",
        ),
        (document(errors={"500": 2}, at=LATE), "wait", "if they still fail at 2026-03-13T08:00:00Z"),
        (document(errors={"500": 2}, at=LATER, failing_since=LATE), "reject", "after it, 2026-03-12T08:00:00Z"),
        (document(errors={"500": 2}, at=AFTER, failing_since=EARLY), "reject", "24 hours after the end of its time"),
        (document(window=OPEN, errors={"400": 9}), "wait", "4.2 of 24 hours"),
        (document(), "no objection yet", "labels are not mature (0 of 1000 rows have a label, 98% are needed)"),
        (document(rows=0), "reject", "no transaction has an answer of both, so nothing was compared"),
        (document(frauds=(9, 3, 1)), "no objection", "of 13 known frauds the challenger alerts on 12 and the model in"),
        (document(lost=30, frauds=(9, 1, 5)), "no objection", "the model in production on 14"),
        (document(lost=30, frauds=(9, 0, 12)), "reject", "fewer beyond chance (p = 0.00049)"),
        (document(gained=30, frauds=(9, 12, 0)), "no objection", "the challenger alerts on 21"),
    ],
)
def test_decision_and_reason(found: dict[str, object], decision: str, reason: str) -> None:
    """Time comes first, then refusals, server errors and labels; only a loss beyond chance is one.

    Server errors have a day, from the first that was found after the time.
    """
    said = shadow_verdict.decide(found)
    assert said[0] == decision
    assert reason in said[1]
