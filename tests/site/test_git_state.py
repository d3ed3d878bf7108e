"""The state of a branch: records, requests with what resolved them, and the next run of a daily schedule."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from ml import config
from ml.errors import ConfigError, GitError
from ml.site import git_state
from tests.harness.git import adopter, checkout
from tests.harness.git.repositories import GitWorkspace


@pytest.fixture
def used(tmp_path: Path) -> GitWorkspace:
    """A repository that has been in use, with a schedule."""
    root = checkout.copy(tmp_path / "used", str(git_state.DRIFT_WORKFLOW))
    adopter.write(root)
    return GitWorkspace.begin(root)


def test_state_has_every_record_and_request(used: GitWorkspace) -> None:
    """One request led to an approval, one to a gate failure; the endpoint and the schedule are the adopter's."""
    state = git_state.read(used.repository, "main")
    assert state.commit == used.repository.head()
    assert state.endpoint == adopter.ENDPOINT
    assert sorted(state.records) == [1, 2]
    found = {each.name: each.resolution for each in state.requests}
    assert list(found) == [adopter.RESOLVED, adopter.FAILED]
    assert [each is not None and each.gate_failed for each in found.values()] == [False, True]
    assert [each.record.requests for each in state.gate_failures] == [(adopter.FAILED,)]
    assert {each.landed.sha for each in state.requests} == {each.landed.sha for each in state.gate_failures}
    assert state.gate_failures[0].landed.sha == state.commit
    assert state.cron == "17 5 * * *"
    assert state.drift_rules == config.load_drift(used.root)


def test_uncommitted_files_do_not_count(used: GitWorkspace) -> None:
    """What is read is the branch."""
    (used.root / config.approval_path(2)).unlink()
    (used.root / git_state.DRIFT_WORKFLOW).unlink()
    state = git_state.read(used.repository, "main")
    assert sorted(state.records) == [1, 2]
    assert state.cron is not None


def test_missing_schedule_and_branch(used: GitWorkspace) -> None:
    """A repository without drift.yml has no schedule; a branch that does not exist is an error."""
    used.git("rm", "-q", str(git_state.DRIFT_WORKFLOW))
    used.git("commit", "-q", "-m", "No schedule")
    assert git_state.read(used.repository, "main").cron is None
    with pytest.raises(GitError, match="no commit 'other'"):
        git_state.read(used.repository, "other")


def test_invalid_record_is_named(used: GitWorkspace) -> None:
    """The error names the file."""
    used.write({config.approval_path(2): "approval: two\n"}, "Break it")
    with pytest.raises(ConfigError, match=r"approvals/0002\.yaml"):
        git_state.read(used.repository, "main")


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("17 5 * * *", "2026-06-03T05:17:00+00:00"),
        ("0 7 * * *", "2026-06-02T07:00:00+00:00"),
        ("0 6 * * *", "2026-06-03T06:00:00+00:00"),
        ("17 5 * * 1", None),
        ("77 5 * * *", None),
        ("*/5 * * * *", None),
        (None, None),
    ],
)
def test_next_run_of_a_daily_schedule(cron: str | None, expected: str | None) -> None:
    """It is after now, today or tomorrow; a schedule that is not daily has none."""
    now = datetime.fromisoformat("2026-06-02T06:00:00Z")
    found = git_state.next_run(cron, now)
    assert (found.isoformat() if found else None) == expected
