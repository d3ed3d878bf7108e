"""pages.yml, run by act: nothing unless it is switched on, then the site of Git in the artifact that Pages takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.git import adopter
from tests.harness.workflows import published_site
from tests.harness.workflows.environment import passed, started

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


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
        site = published_site.files(env)
        assert site.keys() >= {"index.html", "timeline.html", "drift.html", "models/0001.html", "models/0002.html"}
        text = site["index.html"].decode()
        assert "Git names model 0002" in text
        assert f"/{env.bot.hub.name}/commit/" in text


def test_site_of_the_account_needs_the_role(tmp_path: Path) -> None:
    """Without the variable of drift.yml's role the run says so. test_run_drift.py publishes such a site."""
    with started(tmp_path, set_state=adopter.write) as env:
        env.bot.api.create_variable("FRAUDOPS_PAGES", "account")
        env.dispatch("pages.yml")
        run = env.fired()["pages.yml"]
        assert passed(run) == {"Report why nothing ran"}
        assert "FRAUDOPS_ROLE_DRIFT is empty" in run.summary
