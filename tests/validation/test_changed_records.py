"""The records that a change writes or puts in service are found; invalid and untouched ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.validation.changed_records import changed_records
from ml.workflow import changed_files
from tests.harness.git import changes
from tests.harness.git.changes import ChangedRepository


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository where approval 1 was merged; main is checked out."""
    made = changes.make(tmp_path, monkeypatch)
    made.propose(made.record(1))
    made.merge("approve/0001")
    return made


def numbers(env: ChangedRepository) -> list[int]:
    """The approvals of the records that the checkout's change puts forward."""
    repository = env.repository
    return [record.approval for record in changed_records(repository, changed_files.of(repository))]


def test_added_record_is_found_once(env: ChangedRepository) -> None:
    """The pointer names the record that the same change adds."""
    env.propose(env.record(2))
    env.pull_request()
    assert numbers(env) == [2]


def test_record_of_a_moved_pointer_is_found(env: ChangedRepository) -> None:
    """A rollback adds no record and serves an older one."""
    env.propose(env.record(2))
    env.merge("approve/0002")
    text = (env.root / config.SERVING).read_text().replace("approval: 2", "approval: 1")
    env.branch("rollback/0001", {config.SERVING: text})
    env.pull_request()
    assert numbers(env) == [1]


def test_unrelated_change_finds_none(env: ChangedRepository) -> None:
    """Records that main holds already are not read again."""
    env.branch("docs", {"README.md": "# Other\n"})
    env.pull_request()
    assert numbers(env) == []


def test_invalid_record_and_invalid_pointer_are_left_out(env: ChangedRepository) -> None:
    """The rules report them."""
    env.branch("broken", {config.approval_path(3): "approval: [\n", config.SERVING: "approval: [\n"})
    env.pull_request()
    assert numbers(env) == []
