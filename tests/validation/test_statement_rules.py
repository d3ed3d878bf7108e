"""Statements beside records: named after them, about their model, append-only, by the bot, and never missing again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.validation import rules, statement_rules
from ml.validation.problem import Problem
from ml.workflow.changed_files import Change
from tests.harness.git import changes
from tests.harness.git.changes import ChangedRepository
from tests.harness.platform import statements

FIRST, SECOND = config.statement_path(1), config.statement_path(2)


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with the record of approval 1 and its statement."""
    made = changes.make(tmp_path, monkeypatch)
    write(made, 1, statements.unsigned(made.record(1)))
    return made


def write(env: ChangedRepository, number: int, content: bytes | None) -> None:
    """Commits a record and its statement."""
    files: dict[str | Path, str] = {config.approval_path(number): config.dump(env.record(number))}
    if content is not None:
        files[config.statement_path(number)] = content.decode()
    env.workspace.write(files, "Approve")


def contradictions(env: ChangedRepository, **files: str) -> list[str]:
    """What contradicts in a change in which these approvals have that status, by `a` and number."""
    names = {config.approval_path(int(name[1:])).as_posix(): status for name, status in files.items()}
    change = Change(event="push", base=None, main=None, files=names, forced=False)
    return [problem.message for problem in rules.contradictions(env.repository, change)]


def test_statement_of_the_record_is_known_and_valid(env: ChangedRepository) -> None:
    """Nothing is said about it; its signature is not verified here."""
    assert rules.known(FIRST)
    assert list(rules.broken(env.root, [FIRST, config.approval_path(1)])) == []
    assert contradictions(env) == []
    assert statement_rules.read(env.root, FIRST).key == "arn:none"


@pytest.mark.parametrize("name", ["1.intoto.json", "00001.intoto.json", "first.intoto.json"])
def test_statement_is_named_after_its_approval(env: ChangedRepository, name: str) -> None:
    """In four digits, as its record is."""
    path = config.APPROVALS / name
    (env.root / path).write_bytes(statements.unsigned(env.record(1)))
    (problem,) = rules.broken(env.root, [path])
    assert problem == Problem(
        path=path, message=f"{path}: must be named after its approval in four digits, e.g. 0007.intoto.json"
    )


def test_other_json_files_are_unknown() -> None:
    """Nothing reads them."""
    assert not rules.known(config.APPROVALS / "0001.json")
    assert not rules.known(config.REQUESTS / "0001.intoto.json")


def test_statement_that_cannot_be_read_is_named(env: ChangedRepository) -> None:
    """Once, by the rule about single files."""
    (env.root / FIRST).write_text("{}")
    assert all(problem.path == FIRST for problem in rules.broken(env.root, [FIRST]))
    assert list(rules.broken(env.root, [FIRST]))
    assert contradictions(env) == []


def test_statement_of_another_model_contradicts(env: ChangedRepository) -> None:
    """Its signature does not matter here; a statement without a record contradicts too."""
    write(env, 2, statements.unsigned(env.record(1)))
    (message,) = contradictions(env)
    assert message.startswith(f"{SECOND}: is about another model than its record: artifact is ")
    (env.root / config.approval_path(2)).unlink()
    assert contradictions(env) == [f"{SECOND}: there is no {config.approval_path(2)} beside it"]


def test_new_record_needs_a_statement_once_one_has_it(env: ChangedRepository) -> None:
    """A record that main has already, and the first ones of a repository, need none."""
    write(env, 2, None)
    (message,) = contradictions(env, a2="A")
    assert message.startswith(f"{config.approval_path(2)}: has no signed statement of provenance")
    assert "approval 0001 has one" in message
    assert contradictions(env) == []
    (env.root / FIRST).unlink()
    assert contradictions(env, a2="A") == []


def test_statement_is_append_only_and_the_bots(env: ChangedRepository) -> None:
    """As its record: an edit, a deletion, and a person's commit are refused."""
    for kind in ("M", "D"):
        files = {FIRST.as_posix(): kind}
        change = Change(event="push", base=None, main=None, files=files, forced=False)
        (problem,) = rules.rewritten(env.repository, change)
        assert "model-config/approvals/ is append-only; restore it" in problem.message
    base = env.workspace.git("rev-parse", "HEAD~1")
    change = Change(event="push", base=base, main=None, files={FIRST.as_posix(): "A"}, forced=False)
    (problem,) = rules.foreign(env.repository, change, None)
    assert "and only the bot writes" in problem.message
