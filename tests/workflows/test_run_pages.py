"""pages.yml, run by act: nothing unless it is switched on, then the site of Git in the artifact that Pages takes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.harness.git import adopter
from tests.harness.workflows.environment import WorkflowEnvironment, passed, started

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


def artifact(env: WorkflowEnvironment) -> Path:
    """The one tar file of the run's artifact."""
    (found,) = (env.bot.folder / "clouds").rglob("artifacts/github-pages/artifact.tar")
    return found


def test_site_is_published_only_if_switched_on(tmp_path: Path) -> None:
    """Without the variable the run says why; with it, and without an account, every page is in the artifact."""
    with started(tmp_path, set_state=adopter.write) as env:
        env.dispatch("pages.yml")
        run = env.fired()["pages.yml"]
        assert passed(run) == {"Report why nothing ran"}
        assert "FRAUDOPS_PAGES" in run.summary
        env.bot.api.create_variable("FRAUDOPS_PAGES", "true")
        env.dispatch("pages.yml")
        run = env.fired()["pages.yml"]
        assert passed(run) == {"Build the site", "Publish the site"}
        with tarfile.open(artifact(env)) as packed:
            names = {Path(member.name).as_posix() for member in packed.getmembers() if member.isfile()}
            index = packed.extractfile("./index.html")
            assert index is not None
            text = index.read().decode()
        assert names >= {"index.html", "timeline.html", "drift.html", "models/0001.html", "models/0002.html"}
        assert "Git names model 0002" in text
        assert f"/{env.bot.hub.name}/commit/" in text
