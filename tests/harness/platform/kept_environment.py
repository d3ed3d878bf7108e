"""A bot environment that the tests of a module share, as its play left it; not a test itself.

Playing approvals takes longer than most tests that read them. Each test gets a copy of the checkout and the objects and
packages as they were; what it changes is gone afterwards. A test that changes GitHub fails: it needs an environment of
its own, the fixture `bot`.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import ACCOUNT
from local_github.server import LocalGitHub
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends

from ml import clock
from ml.gitops.repository import Repository
from tests.harness import evaluation_pictures
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served

Play = Callable[[BotEnvironment, pytest.MonkeyPatch], BotEnvironment]
_BUCKET, _REGION = "lake", "eu-west-1"


class KeptEnvironment:
    """Plays `play` when it is first used, and again where another test has emptied the moto server meanwhile."""

    def __init__(self, server: str, folder: Path, play: Play) -> None:
        self._server, self._folder, self._play = server, folder, play
        self._played: _Played | None = None
        self._plays = 0

    def close(self) -> None:
        """Ends the GitHub emulator."""
        if self._played is not None:
            self._played.github.stop()
            self._played = None

    @contextmanager
    def use(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
        """The environment for one test, with its checkout and the outputs of its workflow step below `folder`."""
        if self._played is None or not self._played.is_there():
            self.close()
            self._played = self._new()
        played, root = self._played, folder / "repository"
        shutil.copytree(played.bot.root, root)
        workspace = GitWorkspace(root, Repository(root))
        for name, value in played.variables.items():
            monkeypatch.setenv(name, value.replace(str(played.bot.folder), str(folder)))
        evaluation_pictures.keep(monkeypatch)
        env = dataclasses.replace(played.bot.env, workspace=workspace)
        hub = dataclasses.replace(played.bot.hub, workspace=workspace)
        try:
            yield BotEnvironment(env=env, hub=hub, folder=folder)
        finally:
            played.restore()
        if played.on_github() != played.journal:
            self.close()
            pytest.fail("the test changes GitHub, which the tests of its module share: let it play for itself")

    def _new(self) -> _Played:
        self._plays += 1
        folder = self._folder / str(self._plays)
        folder.mkdir()
        before = dict(os.environ)
        github = LocalGitHub(folder / "github", clock=clock.now).start()
        try:
            with pytest.MonkeyPatch.context() as patch:
                env = served.on_moto(self._server, folder, patch)
                bot = self._play(bot_environment.around(env, github, folder, patch), patch)
                return _Played(
                    bot, github, {name: value for name, value in os.environ.items() if before.get(name) != value}
                )
        except BaseException:
            github.stop()
            raise


class _Played:
    """What a play left: its environment, variables, objects and packages."""

    def __init__(self, bot: BotEnvironment, github: LocalGitHub, variables: dict[str, str]) -> None:
        self.bot, self.github, self.variables = bot, github, variables
        self._bucket = s3_backends[ACCOUNT]["aws"].buckets[_BUCKET]
        self._versions = {key: list(self._bucket.keys.getlist(key)) for key in self._bucket.keys}
        self._packages = dict(sagemaker_backends[ACCOUNT][_REGION].model_packages)
        self.journal = self.on_github()

    def is_there(self) -> bool:
        """Whether moto still has it."""
        return s3_backends[ACCOUNT]["aws"].buckets.get(_BUCKET) is self._bucket

    def on_github(self) -> Any:
        """All records of the GitHub emulator, and the branches of its repository."""
        (repository,) = self.github.state.repositories.values()
        with self.github.backend.lock():
            return self.github.state.journal(), repository.git.text("for-each-ref")

    def restore(self) -> None:
        """Puts back objects and packages that the test has changed or deleted, and removes those that it has added."""
        if not self.is_there():
            return
        keys = self._bucket.keys
        for key in list(keys):
            keys.setlist(key, list(self._versions.get(key, ())))  # closes the contents of other versions
            if key not in self._versions:
                dict.pop(keys, key)
        packages = sagemaker_backends[ACCOUNT][_REGION].model_packages
        packages.clear()
        packages.update(self._packages)
