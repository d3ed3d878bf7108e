"""The schedule of drift.yml, as GitHub describes it."""

from __future__ import annotations

from typing import Any

import pytest

from ml.diagnosis import schedule
from ml.diagnosis.check import Check
from ml.diagnosis.subjects import Subjects
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.github.scripted import PREFIX, Script, answer, refusal, serving

NOW = "2026-06-10T12:00:00Z"
WORKFLOW = "/actions/workflows/drift.yml"


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The checks of the schedule by subject, for a scripted GitHub and no AWS."""
    monkeypatch.setenv("FRAUDOPS_NOW", NOW)
    monkeypatch.setenv("GITHUB_TOKEN", "t")

    def run(script: Script) -> dict[str, Check]:
        with serving(script):
            monkeypatch.setenv("GITHUB_API_URL", f"{script.url}{PREFIX.removesuffix('/repos/o/r')}")
            return {check.subject: check for check in schedule.checks(Subjects(SHIPPED, "o/r"))}

    return run


def readable() -> Script:
    """A repository that the token can read."""
    return Script().on("GET", "", answer({"full_name": "o/r"}))


def described(state: str = "active", created: str = "2026-01-01T00:00:00Z", last: str | None = None) -> Script:
    """A repository with drift.yml, and its last scheduled run."""
    runs = [{"created_at": last}] if last else []
    script = readable().on("GET", WORKFLOW, answer({"state": state, "created_at": created}))
    return script.on("GET", f"{WORKFLOW}/runs", answer({"total_count": len(runs), "workflow_runs": runs}))


def test_daily_run_is_alive(diagnose: Any) -> None:
    """A run of this morning: both lines are ok."""
    found = diagnose(described(last="2026-06-10T05:20:00Z"))
    assert (found["drift schedule"].state, found["last scheduled run"].state) == ("ok", "ok")
    assert found["last scheduled run"].detail == "2026-06-10T05:20:00Z"


@pytest.mark.parametrize(("last", "state"), [("2026-06-08T12:00:00Z", "ok"), ("2026-06-08T11:59:59Z", "will fail")])
def test_run_may_be_two_days_old(diagnose: Any, last: str, state: str) -> None:
    """The limit itself still passes."""
    assert diagnose(described(last=last))["last scheduled run"].state == state


def test_schedule_disabled_for_inactivity_is_named(diagnose: Any) -> None:
    """One fault, with GitHub's reason; the age of the last run follows from it and is no second one."""
    found = diagnose(described("disabled_inactivity", last="2026-03-01T05:20:00Z"))
    assert found["drift schedule"].state == "will fail"
    assert "60 days" in found["drift schedule"].detail
    assert "gh workflow enable drift.yml --repo o/r" in found["drift schedule"].detail
    assert found["last scheduled run"].state == "cannot tell"


@pytest.mark.parametrize(
    ("created", "state"), [("2026-06-09T12:00:00Z", "cannot tell"), ("2026-06-01T00:00:00Z", "will fail")]
)
def test_new_workflow_has_time_to_fire(diagnose: Any, created: str, state: str) -> None:
    """Two days without a run are no fault of a new file."""
    assert diagnose(described(created=created))["last scheduled run"].state == state


def test_missing_workflow_and_refused_token_have_no_answer(diagnose: Any) -> None:
    """404: the file is not on the default branch; 403: GitHub's words."""
    assert "push this checkout" in diagnose(readable())["drift schedule"].detail
    found = diagnose(readable().on("GET", WORKFLOW, refusal(403, "Resource not accessible by personal access token")))
    assert found["drift schedule"].state == "cannot tell"
    assert "not accessible by personal access token" in found["drift schedule"].detail
