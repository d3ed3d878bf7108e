"""Every page of the project against axe-core's rules in a real Chromium, with all folds open.

`make axe` installs axe-core from its lock, and .ci/run runs it; it fails where Chromium or axe-core is missing. The
group is not part of `make test`, which needs neither.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from local_github.server import LocalGitHub

from ml.gitops import approval_text
from ml.report import year_report
from ml.site import pages
from ml.site.pages import Addresses
from tests.gitops.test_approval_text import page as approval_page
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.emulator import Hub
from tests.report import browser
from tests.report.browser import Tab
from tests.report.drift_pages import drifted_month, drifted_page
from tests.report.explored_pages import drawn_rows, explored_page
from tests.report.played_years import played_year
from tests.site.sites import site

pytestmark = pytest.mark.axe
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
TIME_LINES = [f"timeline/{kind}.html" for kind in ("approval", "deployment", "gate-failure", "request", "rollback")]
SITE = ["index.html", "timeline.html", *TIME_LINES, "words.html", "drift.html", "models/0002.html", "models/0001.html"]
REPORTS = ["drift-report.html", "year.html", "year-without-script.html", "data.html"]
GITHUB = [
    "home.html",
    "index.html",
    "pulls.html",
    "issues.html",
    "actions.html",
    "pull-1.html",
    "issue-2.html",
    "run-41.html",
    "commit.html",
]
NAMES = [*(f"site/{name}" for name in SITE), *REPORTS, *(f"github/{name}" for name in GITHUB)]
SCHEMES = pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1600, False), (1600, True)])
# Charts are drawn first where the page has a script that draws them.
FOUND = """
(async () => {
  await (window.chartsDrawn ?? null);
  document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  const {violations, passes} = await axe.run(document);
  return {
    passes: passes.length,
    violations: violations.flatMap((rule) => rule.nodes.map((node) =>
      `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}: ${node.html.slice(0, 200)}`)),
  };
})()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page by its name."""
    made = tmp_path_factory.mktemp("pages")
    (made / "site").mkdir()
    pages.write(site(), made / "site", Addresses.of_repository("https://github.com/acme/fraudops"))
    year = year_report.page(played_year())
    texts = {
        "drift-report.html": drifted_page(drifted_month()),
        "year.html": year,
        "year-without-script.html": re.sub(r"<script.*?</script>", "", year, flags=re.S),
        "data.html": explored_page(drawn_rows()),
    }
    for name, text in texts.items():
        (made / name).write_text(text, "utf-8")
    _write_github(tmp_path_factory.mktemp("emulator"), made / "github")
    return made


class _Runs:
    """A run source with one failed run, whose step summary is `summary`."""

    def __init__(self, commit: str, summary: str) -> None:
        step = SimpleNamespace(name="Train", status="completed", conclusion="failure", log="step\n" * 80)
        job = SimpleNamespace(id=7, name="train", status="completed", conclusion="failure", steps=[step], log="job\n")
        self._run = SimpleNamespace(
            id=41, number=1, attempt=2, workflow="train", title="train: concept drift", event="push", sha=commit,
            branch="main", actor="alice", status="completed", conclusion="failure", message="", jobs=[job],
            summary=summary, created="2026-03-01T00:00:00Z", updated="2026-03-01T00:00:00Z",
        )  # fmt: skip

    def runs_of(self, repository: str) -> list[Any]:
        """The run."""
        return [self._run]


def _write_github(work: Path, folder: Path) -> None:
    """Exports the pages of a repository on the GitHub emulator: an approval pull request, an issue, a run."""
    with chdir(work), LocalGitHub(work / "github") as server:
        hub = Hub.around(server, GitWorkspace.make(work / "repository"))
        hub.workspace.git("checkout", "-q", "-b", "approve/0007")
        hub.workspace.write({"notes/seven.md": "seven\n"}, "Add 0007")
        hub.workspace.git("push", "-q", f"{server.url.replace('://', f'://x:{hub.token}@')}/{hub.name}.git", "HEAD")
        shown = approval_page()
        text = approval_text.render(shown)
        hub.person().create_pull(base="main", head="approve/0007", title="0007: better than 0006", body=text)
        hub.person().create_issue("Gate failed", text)
        commit = hub.workspace.git("rev-parse", "HEAD")
        server.backend.run_source = _Runs(commit, text)
        server.export(work / "exported", commits=[commit])
    os.renames(work / "exported" / hub.name, folder)
    (work / "exported/index.html").rename(folder / "home.html")
    (folder / f"commit-{commit}.html").rename(folder / "commit.html")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this file; the tests fail where Chromium or axe-core is missing."""
    assert browser.FOUND is not None, "no Chromium here: install it (apt-get install chromium), and run make axe again"
    assert AXE.is_file(), "axe-core is not installed: run make axe"
    with browser.tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
@SCHEMES
def test_axe_finds_nothing(tab: Tab, folder: Path, name: str, width: int, dark: bool) -> None:
    """No rule of axe-core finds a violation, best practices included, and rules were applied."""
    tab.open((folder / name).as_uri(), width=width, dark=dark)
    tab.call("Runtime.evaluate", expression=AXE.read_text("utf-8"))
    found = tab.value(FOUND)
    assert found["violations"] == [], "\n".join(found["violations"])
    assert found["passes"] > 10


def test_axe_finds_a_violation(tab: Tab, tmp_path: Path) -> None:
    """A page with grey text on grey and a picture without a text fails, so the other tests can."""
    page = tmp_path / "poor.html"
    page.write_text('<!doctype html><title>t</title><p style="color:#999;background:#888">grey</p><img src="data:,">')
    tab.open(page.as_uri(), width=1600, dark=False)
    tab.call("Runtime.evaluate", expression=AXE.read_text("utf-8"))
    rules = {each.split(":")[0] for each in tab.value(FOUND)["violations"]}
    assert {"color-contrast", "html-has-lang", "image-alt"} <= rules


def test_every_page_is_tested(folder: Path) -> None:
    """A page that is written and not named here fails this test."""
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
    assert {name for name in written if not name.startswith("site/drift/")} == set(NAMES)
