"""The site of a demo links to GitHub's exported pages, and has the year with its own links relinked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml.commands import site_build
from ml.playground import demo_site


def test_links_of_a_page_are_moved() -> None:
    """Those below the folder are; links of the page itself and other texts stay."""
    page = '<a href="github/a/b/pull-1.html">github/a/b/</a> <a href="#recall">recall</a>'
    assert demo_site.relinked(page, "github/a/b", "../../x&y/b") == (
        '<a href="../../x&amp;y/b/pull-1.html">github/a/b/</a> <a href="#recall">recall</a>'
    )


def test_site_is_made_with_relative_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of GitHub in another folder are reached from the site's first page, the year's too."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(site_build, "build", lambda root, out, **options: made.update(options, root=root, out=out))
    report = tmp_path / "simulation/report.html"
    report.parent.mkdir()
    report.write_text('<a href="github/me/it/run-1.html">run</a>', encoding="utf-8")
    github = tmp_path / "simulation/github/me/it"
    demo_site.build(tmp_path / "clone", tmp_path / "demo/site", github, year=report)
    assert made["addresses"].commit == "../../simulation/github/me/it/commit-{}.html"
    assert made["addresses"].pull == "../../simulation/github/me/it/pull-{}.html"
    assert made["addresses"].docs == "../../clone/docs/{}"
    assert made["year"] == '<a href="../../simulation/github/me/it/run-1.html">run</a>'
    assert (made["simulated"], made["scripted_reviewer"]) == (True, "scripted-reviewer")
    assert made["local_user"] == "local-user"
    assert (made["root"], made["out"]) == (tmp_path / "clone", tmp_path / "demo/site")
    demo_site.build(tmp_path / "clone", tmp_path / "demo/site", github)
    assert made["year"] is None
