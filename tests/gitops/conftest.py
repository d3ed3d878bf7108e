"""A real Git repository per test, with this project's serving file in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from tests.gitops.local_hub import Hub
from tests.gitops.repositories import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A repository on main with model-config/ committed by a person."""
    return Workshop.make(tmp_path / "repository")


@pytest.fixture
def hub(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The workshop's repository on a local GitHub, in the environment of a workflow's step."""
    with LocalGitHub(tmp_path / "github") as server:
        made = Hub.around(server, workshop)
        monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
        monkeypatch.setenv("GITHUB_TOKEN", made.token)
        yield made
