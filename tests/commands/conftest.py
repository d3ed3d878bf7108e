"""Environments that the tests of several verbs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml import clock
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served, serving_history
from tests.harness.platform.kept_environment import KeptEnvironment


@pytest.fixture
def bot(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """A platform on moto, and a repository on a GitHub emulator of its own; nothing is approved yet."""
    env = served.on_moto(server, tmp_path, monkeypatch)
    with LocalGitHub(tmp_path / "github", clock=clock.now) as github:
        yield bot_environment.around(env, github, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def kept_history(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptEnvironment]:
    """The history of `serving_history`, played once for the tests of a module."""
    kept = KeptEnvironment(server, tmp_path_factory.mktemp("history"), serving_history.play)
    yield kept
    kept.close()


@pytest.fixture
def served_before(
    kept_history: KeptEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BotEnvironment]:
    """As `serving_history.play`, for tests that change nothing on GitHub."""
    with kept_history.use(tmp_path, monkeypatch) as bot:
        yield bot
