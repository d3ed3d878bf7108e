"""Cron expressions of `schedule:`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_github.actions import cron
from local_github.actions.workflow_file import WorkflowInvalid


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("17 4 * * *", "2026-03-01T04:17", True),
        ("17 4 * * *", "2026-03-01T04:18", False),
        ("*/15 * * * *", "2026-03-01T04:45", True),
        ("5/20 * * * *", "2026-03-01T04:25", True),
        ("0 0 1 * *", "2026-03-02T00:00", False),
        ("0 0 * * MON-FRI", "2026-03-02T00:00", True),
        ("0 0 * * 0", "2026-03-01T00:00", True),
        ("0 0 13 * FRI", "2026-03-06T00:00", True),
        ("0 0 13 * FRI", "2026-03-13T00:00", True),
        ("0 0 13 * FRI", "2026-03-12T00:00", False),
        ("0 0 1 jan,MAR *", "2026-03-01T00:00", True),
    ],
)
def test_cron_is_due_in_its_minutes(expression: str, moment: str, due: bool) -> None:
    """Fields are POSIX's, in UTC; if both day fields are restricted, either is enough."""
    assert cron.is_due(expression, datetime.fromisoformat(moment).replace(tzinfo=UTC)) is due


@pytest.mark.parametrize(
    "expression",
    ["@daily", "* * * *", "60 * * * *", "* * 0 * *", "* * * * 7", "a * * * *", "5-1 * * * *", "*/0 * * * *"],
)
def test_cron_that_github_refuses_is_refused(expression: str) -> None:
    """The error names the expression."""
    with pytest.raises(WorkflowInvalid, match="cron"):
        cron.is_due(expression, datetime(2026, 3, 1, tzinfo=UTC))


@given(moment=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)))
def test_cron_made_from_a_moment_is_due_at_it(moment: datetime) -> None:
    """Numeric and named days of the week agree with the calendar."""
    at = moment.replace(tzinfo=UTC)
    assert cron.is_due("* * * * *", at)
    assert cron.is_due(f"{at.minute} {at.hour} {at.day} {at.month} *", at)
    assert cron.is_due(f"{at.minute} {at.hour} * * {at.isoweekday() % 7}", at)
    assert cron.is_due(f"{at.minute} {at.hour} * * {at.strftime('%a')}", at)
