"""A real Git repository per test, with this project's serving file in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.emulator import Hub


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    """A repository on main with model-config/ committed by a person."""
    return GitWorkspace.make(tmp_path / "repository")


@pytest.fixture
def hub(workspace: GitWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The workspace's repository on a GitHub emulator, in the environment of a workflow's step."""
    with LocalGitHub(tmp_path / "github") as server:
        made = Hub.around(server, workspace)
        monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
        monkeypatch.setenv("GITHUB_TOKEN", made.token)
        yield made
