"""The environment that the tests of a module share: each test finds what the play left, and GitHub stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.sagemaker.models import sagemaker_backends

from ml.aws import s3_objects
from ml.aws.session import client
from tests.harness.aws import moto_server
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform.kept_environment import KeptEnvironment

OBJECT, OTHER = "s3://lake/evidence.json", "s3://lake/other.json"
plays: list[str] = []


def play(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> BotEnvironment:
    """One object, one package, and a variable."""
    plays.append(bot.tip("main"))
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-04-01T06:00:00Z")
    s3_objects.write(OBJECT, b"first", "application/json")
    bot.register(-1.0)
    return bot


@pytest.fixture
def kept(server: str, tmp_path: Path) -> Iterator[KeptEnvironment]:
    """An environment that was not used yet."""
    plays.clear()
    made = KeptEnvironment(server, tmp_path, play)
    yield made
    made.close()


def packages() -> dict[str, object]:
    """The packages of moto."""
    found: dict[str, object] = sagemaker_backends["123456789012"]["eu-west-1"].model_packages
    return found


def test_what_a_test_changes_is_gone(kept: KeptEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects, packages and commits are those of the play, which ran once."""
    with kept.use(tmp_path / "a", monkeypatch) as bot:
        commit = bot.workspace.write({"README.md": "mine\n"}, "Change it")
        s3_objects.write(OBJECT, b"second", "application/json")
        s3_objects.write(OTHER, b"new", "application/json")
        packages().clear()
    with kept.use(tmp_path / "b", monkeypatch) as bot:
        assert s3_objects.read(OBJECT) == b"first"
        assert [key for key in s3_objects.keys("lake", "") if "executions/" not in key] == ["evidence.json"]
        assert len(packages()) == 1
        assert (bot.workspace.repository.head(), bot.root) == (plays[0], tmp_path / "b/repository")
        assert commit != plays[0]
        client("s3").delete_object(Bucket="lake", Key="evidence.json")
    with kept.use(tmp_path / "c", monkeypatch):
        assert s3_objects.read(OBJECT) == b"first"
    assert len(plays) == 1


def test_change_of_github_fails(kept: KeptEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next test has a play of its own."""

    def push() -> None:
        with kept.use(tmp_path / "a", monkeypatch) as bot:
            bot.workspace.write({"README.md": "mine\n"}, "Change it")
            bot.push()

    with pytest.raises(pytest.fail.Exception, match="changes GitHub"):
        push()
    with kept.use(tmp_path / "b", monkeypatch) as bot:
        assert (len(plays), bot.tip("main")) == (2, plays[1])


def test_emptied_server_is_played_again(
    kept: KeptEnvironment, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test in between with an environment of its own empties moto."""
    with kept.use(tmp_path / "a", monkeypatch):
        pass
    moto_server.reset(server)
    with kept.use(tmp_path / "b", monkeypatch):
        assert s3_objects.read(OBJECT) == b"first"
    assert len(plays) == 2
