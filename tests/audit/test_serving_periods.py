"""Which models may have answered at a moment, by the records of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ml.audit import serving_periods
from ml.aws.deployment_records import Deployment
from tests.harness.aws.deployments import finished

ENDPOINT = "fraudops-production"


def deployed(approval: int, start: str, end: str, **changes: Any) -> Deployment:
    """A deployment from `start` to `end`, hours of one day."""
    started, ended = (f"2026-03-01T{hour}:00Z" for hour in (start, end))
    return finished(approval, ended, started=started, **changes)


HISTORY = [
    deployed(1, "08:00", "08:10"),
    deployed(2, "10:00", "10:10"),
    deployed(9, "10:30", "10:40", endpoint="another"),
    deployed(3, "12:00", "12:10", status="failed"),
    deployed(2, "13:00", "13:10"),
]


@pytest.mark.parametrize(
    ("time", "approvals"),
    [
        ("07:59", []),
        ("08:05", [1]),
        ("09:00", [1]),
        ("10:05", [1, 2]),  # both answer while the endpoint is updated
        ("11:00", [2]),
        ("12:30", [2, 3]),  # a deployment that failed its smoke test may have changed the endpoint
        ("13:05", [2, 3, 2]),
        ("14:00", [2]),
    ],
)
def test_period_is_from_one_success_to_the_next(time: str, approvals: list[int]) -> None:
    """Until the next deployment has succeeded, the former model may answer; another endpoint's do not count."""
    moment = datetime.fromisoformat(f"2026-03-01T{time}:00Z")
    assert [item.approval for item in serving_periods.at(HISTORY, ENDPOINT, moment)] == approvals
