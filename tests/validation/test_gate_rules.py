"""A new approval is valid only under the gate that judged its model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.commands.validate import validate
from ml.errors import ConfigError
from tests.harness.git import changes
from tests.harness.git.changes import BOT_LOGIN, ChangedRepository


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with model-config/."""
    return changes.make(tmp_path, monkeypatch)


def change_gate(env: ChangedRepository, old: str, new: str) -> None:
    """Merges an edit of gate.yaml into main."""
    text = (env.root / config.GATE).read_text()
    assert old in text
    env.branch("gate", {config.GATE: text.replace(old, new, 1)})
    env.merge("gate")


def test_approval_from_before_a_change_of_the_gate_is_superseded(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate that was raised while the pull request was open; the message names the setting with both values."""
    record = env.record(1)
    change_gate(env, "min_recall: 0.6", "min_recall: 0.99")
    env.propose(record)
    env.pull_request(author=BOT_LOGIN)
    with pytest.raises(ConfigError, match="1 problem in model-config/"):
        validate(env.root, registry=False)
    assert "is superseded: its model was judged by another gate than the one on main (min_recall 0.6 → 0.99)" in (
        capsys.readouterr().err
    )


def test_push_of_the_merge_is_compared_with_the_main_before_it(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where no check ran on the pull request."""
    record = env.record(1)
    change_gate(env, "min_recall: 0.6", "min_recall: 0.99")
    before = env.workspace.git("rev-parse", "main")
    env.propose(record)
    env.merge("approve/0001")
    env.push(before)
    with pytest.raises(ConfigError):
        validate(env.root, registry=False)
    assert "judged by another gate" in capsys.readouterr().err


def test_other_text_with_the_same_limits_is_the_same_gate(env: ChangedRepository) -> None:
    """A comment changes no limit."""
    record = env.record(1)
    change_gate(env, "min_recall: 0.6", "# asked for by audit\nmin_recall: 0.60")
    env.propose(record)
    env.pull_request(author=BOT_LOGIN)
    validate(env.root, registry=False)


def test_later_change_of_the_gate_leaves_approvals_valid(env: ChangedRepository) -> None:
    """Records of models that were approved before are history."""
    env.propose(env.record(1))
    env.merge("approve/0001")
    text = (env.root / config.GATE).read_text().replace("min_recall: 0.6", "min_recall: 0.99", 1)
    env.branch("gate", {config.GATE: text})
    env.pull_request()
    validate(env.root, registry=False)
