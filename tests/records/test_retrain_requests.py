"""Which record resolves which request, read from the work tree and from a commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.errors import ConfigError
from ml.records import retrain_requests
from ml.records.retrain_requests import GitCommit, RecordSource, WorkTree
from tests.harness.git import repositories
from tests.harness.git.repositories import GitWorkspace

FIRST, SECOND, THIRD = "20260301T060000Z-data-drift", "20260302T060000Z-data-drift", "20260303T060000Z-concept-drift"
SourceOf = Callable[[GitWorkspace], RecordSource]
SOURCES = [
    pytest.param(lambda workspace: WorkTree(workspace.root), id="work tree"),
    pytest.param(lambda workspace: GitCommit(workspace.repository, "HEAD"), id="commit"),
]


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    """A repository without records."""
    return GitWorkspace.make(tmp_path / "repository")


def approve(workspace: GitWorkspace, number: int, *requests: str, day: int) -> Path:
    """Commits an approval of that day in May that names `requests`; returns its path."""
    path = config.approval_path(number)
    record = repositories.record(number, requests=requests, created=datetime(2026, 5, day, tzinfo=UTC))
    workspace.write({path: config.dump(record)}, f"Record approval {number}")
    return path


def fail_gate(workspace: GitWorkspace, *requests: str, day: int) -> Path:
    """Commits a gate failure of that day in May that names `requests`; returns its path."""
    record = config.GateFailureRecord(
        kind="fit",
        commit=f"{day:040x}",
        requests=requests,
        verdict=config.Verdict(status="failed", reason="Recall 0.5"),
        evaluation_uri="s3://lake/evaluation.json",
        execution_arn="arn:x",
        created=datetime(2026, 5, day, tzinfo=UTC),
    )
    path = config.gate_failure_path(record.created, record.commit)
    workspace.write({path: config.dump(record)}, "Record a gate failure")
    return path


@pytest.mark.parametrize("source", SOURCES)
def test_request_is_open_until_a_record_names_it(workspace: GitWorkspace, source: SourceOf) -> None:
    """An approval resolves the requests that it names, a gate failure too; the order of the others is kept."""
    names = [THIRD, SECOND, FIRST]
    assert retrain_requests.resolutions(source(workspace)).open(names) == names
    approval = approve(workspace, 1, FIRST, day=1)
    assert retrain_requests.resolutions(source(workspace)).open(names) == [THIRD, SECOND]
    failure = fail_gate(workspace, THIRD, day=2)
    resolutions = retrain_requests.resolutions(source(workspace))
    assert resolutions.open(names) == [SECOND]
    found = [resolutions.of(name) for name in (FIRST, SECOND, THIRD)]
    assert [item and (item.record, item.gate_failed) for item in found] == [(approval, False), None, (failure, True)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("approval_day", [1, 3])
def test_oldest_of_two_records_resolves_a_request(workspace: GitWorkspace, source: SourceOf, approval_day: int) -> None:
    """The oldest record made the request no longer open, whatever its kind; the history has both, oldest first."""
    approval, failure = approve(workspace, 1, FIRST, day=approval_day), fail_gate(workspace, FIRST, day=2)
    resolutions = retrain_requests.resolutions(source(workspace))
    expected = [approval, failure] if approval_day == 1 else [failure, approval]
    assert [item.record for item in resolutions.history] == expected
    resolution = resolutions.of(FIRST)
    assert resolution is not None
    assert resolution.record == expected[0]


def test_both_sources_give_equal_resolutions(workspace: GitWorkspace) -> None:
    """Records of one time are ordered by path; a record may name many requests, one, or none."""
    fail_gate(workspace, SECOND, day=2)
    approve(workspace, 2, FIRST, SECOND, day=2)
    approve(workspace, 10, THIRD, day=1)
    approve(workspace, 3, day=4)
    found = [retrain_requests.resolutions(source.values[0](workspace)) for source in SOURCES]  # type: ignore[operator]
    assert found[0] == found[1]
    assert [item.request for item in found[0].history] == [THIRD, FIRST, SECOND, SECOND]


def test_commit_source_does_not_see_the_work_tree(workspace: GitWorkspace) -> None:
    """An uncommitted approval, a deleted one, and later commits do not matter; the commit's own requests are listed."""
    workspace.write({config.REQUESTS / f"{FIRST}.yaml": "", config.REQUESTS / "README.md": ""}, "Open a request")
    path = approve(workspace, 1, FIRST, day=1)
    source = GitCommit(workspace.repository, "HEAD")
    (workspace.root / path).unlink()
    approve(workspace, 2, SECOND, day=2)
    assert source.requests() == (FIRST,)
    assert [item.request for item in retrain_requests.resolutions(source).history] == [FIRST]
    assert [item.request for item in retrain_requests.resolutions(WorkTree(workspace.root)).history] == [SECOND]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "path", [config.approval_path(1), config.GATE_FAILURES / "20260301T060000Z-0123456789ab.yaml"], ids=str
)
def test_invalid_record_is_an_error(workspace: GitWorkspace, source: SourceOf, path: Path) -> None:
    """No request is taken for open because the record that resolves it cannot be read."""
    workspace.write({path: "requests: 3\n"}, "Break a record")
    with pytest.raises(ConfigError, match=path.name):
        retrain_requests.resolutions(source(workspace))


def test_record_in_the_work_tree_agrees_with_its_name(workspace: GitWorkspace) -> None:
    """An approval under another number is an error, as for every reader of the work tree."""
    path = approve(workspace, 1, FIRST, day=1)
    (workspace.root / path).rename(workspace.root / config.approval_path(2))
    with pytest.raises(ConfigError, match="approval must be 2"):
        retrain_requests.resolutions(WorkTree(workspace.root))


@pytest.mark.parametrize(
    ("evidence", "raised_by"),
    [
        ({"findings": [{"statistic": "daily_fraud_rate"}]}, "alarm"),
        ({"findings": ({"statistic": "psi"}, {"statistic": "daily_new_pattern_frauds"})}, "end"),
        ({"findings": [{"statistic": "days_since_onset"}]}, "schedule"),
        ({"findings": [{"statistic": "psi"}, 3]}, "windows"),
        ({"findings": "daily_fraud_rate"}, "windows"),
        ({}, "windows"),
    ],
)
def test_evidence_says_what_raised_a_request(evidence: dict[str, Any], raised_by: str) -> None:
    """A person may have written it in any form."""
    assert retrain_requests.raised_by(evidence) == raised_by
