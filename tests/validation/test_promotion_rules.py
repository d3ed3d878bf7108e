"""The rules of staging: what production may name, and what staging's file must say."""

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
    """A repository whose main has a staging, and approval 1 in it."""
    made = changes.make(tmp_path, monkeypatch)
    staging = (made.root / config.SERVING).read_text().replace("fraudops-production", "fraudops-staging")
    made.branch("staging", {config.STAGING: staging})
    made.merge("staging")
    made.propose(made.record(1))
    made.merge("approve/0001")
    return made


def problems(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The problems that validate prints; it must fail."""
    with pytest.raises(ConfigError, match=r"problems? in model-config/, each named above"):
        validate(env.root, registry=False)
    return capsys.readouterr().err.splitlines()


def point(env: ChangedRepository, branch: str, file: Path, old: str, new: str) -> None:
    """A pull request that changes one value of a serving file."""
    text = (env.root / file).read_text()
    assert old in text
    env.branch(branch, {file: text.replace(old, new, 1)})
    env.pull_request()


def test_promotion_of_what_staging_names_is_valid(env: ChangedRepository) -> None:
    """Production's first model, and then a rollback to it."""
    point(env, "promote/0001", config.SERVING, "approval: null", "approval: 1")
    validate(env.root, registry=False)


def test_production_takes_nothing_that_staging_never_named(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """An approval's pull request that moves production's pointer as well is refused."""
    env.propose(env.record(2))
    env.pull_request(author=BOT_LOGIN)
    text = (env.root / config.SERVING).read_text().replace("approval: null", "approval: 2")
    (env.root / config.SERVING).write_text(text)
    (problem,) = problems(env, capsys)
    assert "approval 0002 never was in model-config/serving/staging.yaml on main" in problem


def test_promotion_of_an_outdated_comparison_is_refused(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Approval 2 was compared with nothing, and production has taken approval 1 meanwhile."""
    env.propose(env.record(2))
    env.merge("approve/0002")
    text = (env.root / config.SERVING).read_text().replace("approval: null", "approval: 1")
    env.branch("promote/0001", {config.SERVING: text})
    env.merge("promote/0001")
    point(env, "promote/0002", config.SERVING, "approval: 1", "approval: 2")
    (problem,) = problems(env, capsys)
    assert "approval 0002 was compared with nothing, and main serves approval 0001 in production now" in problem


def test_file_of_staging_must_name_a_record_and_an_endpoint_of_its_own(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two stages on one endpoint would replace each other's models."""
    point(env, "wrong", config.STAGING, "approval: 1", "approval: 9")
    assert "approval 0009 has no record" in problems(env, capsys)[0]
    point(env, "shared", config.STAGING, "fraudops-staging", "fraudops-production")
    assert any("endpoint must be another than production's" in line for line in problems(env, capsys))


def test_staging_heals_nothing_by_itself(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` compares production alone."""
    point(env, "heal", config.STAGING, "self_heal: false", "self_heal: true")
    assert any("self_heal must be false" in line for line in problems(env, capsys))


def test_file_of_staging_is_read_strictly(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is production's."""
    point(env, "typo", config.STAGING, "instance:", "instances:")
    assert any("staging.yaml" in line and "instances" in line for line in problems(env, capsys))


SHADOW = "rollout: {traffic: shadow, shadow: {hours: 1, max_rows: 1000}, "


def shadowed(env: ChangedRepository, file: Path) -> str:
    """The serving file with a shadow."""
    text = (env.root / file).read_text().replace("rollout: {traffic: all_at_once, ", SHADOW)
    assert SHADOW in text
    return text


def test_shadow_is_stated_for_production_and_needs_a_staging(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Staging's own roll-out has none, and without staging there is nowhere to score."""
    env.branch("shadow", {config.SERVING: shadowed(env, config.SERVING)})
    env.pull_request()
    validate(env.root, registry=False)
    env.branch("wrong", {config.STAGING: shadowed(env, config.STAGING)})
    env.pull_request()
    assert any("staging.yaml: rollout must have no shadow" in line for line in problems(env, capsys))


def test_shadow_without_staging_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An approval would go to production without it."""
    made = changes.make(tmp_path, monkeypatch)
    made.branch("shadow", {config.SERVING: shadowed(made, config.SERVING)})
    made.pull_request()
    (problem,) = problems(made, capsys)
    assert "production.yaml: rollout has a shadow, which is in staging, and there is no" in problem
