"""A comparison of an account with Git, and runs of deploy.yml, for the tests of self-healing; no tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ml.config.hand_over import Difference, Differences
from ml.gitops.workflow_runs import WorkflowRun
from ml.release import self_heal_hand_over

COMPARED = datetime(2026, 5, 2, 5, 20, tzinfo=UTC)
COMMIT = "a" * 40


def difference(subject: str = "endpoint", detail: str = "", remedy: str = "deploy.yml") -> Difference:
    """A difference that deploy.yml puts back, unless another remedy is given."""
    return self_heal_hand_over.difference(subject, detail or f"{subject} was changed by hand", remedy)


def comparison(*found: Difference, **changes: Any) -> Differences:
    """A comparison that found these; one of the endpoint if none is given."""
    fields: dict[str, Any] = {"commit": COMMIT, "compared": COMPARED, "unsettled": None, "undeployed": None}
    return Differences(found=found or (difference(),), **(fields | changes))


def run(number: int = 1, *, title: str = "Merge", status: str = "completed", minutes: float = -60) -> WorkflowRun:
    """A run of deploy.yml that changed last so many minutes after the comparison began."""
    return WorkflowRun(
        id=number,
        url=f"https://git.invalid/o/r/actions/runs/{number}",
        title=title,
        status=status,
        conclusion="success" if status == "completed" else "",
        created=COMPARED + timedelta(minutes=minutes - 5),
        updated=COMPARED + timedelta(minutes=minutes),
    )
