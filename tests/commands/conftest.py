"""Environments that the tests of several verbs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml import clock
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served


@pytest.fixture
def bot(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """A platform on moto, and a repository on a GitHub emulator of its own; nothing is approved yet."""
    env = served.on_moto(server, tmp_path, monkeypatch)
    with LocalGitHub(tmp_path / "github", clock=clock.now) as github:
        yield bot_environment.around(env, github, tmp_path, monkeypatch)
