"""The site's pages: escaped, linked, without scripts, and looked at in a real browser in every form."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.site import pages
from ml.site.pages import Addresses
from tests.report import browser
from tests.report.browser import Tab
from tests.report.page_checks import check_page
from tests.site.sites import HOSTILE, REPORT, site

REPORTED = "drift/20260501T000000Z_20260601T000000Z.html"
LINKED = Addresses.of_repository("https://github.com/acme/fraudops")
NAMES = ["index.html", "timeline.html", "drift.html", "models/0002.html", "models/0001.html"]
PAGES = pytest.mark.parametrize("name", NAMES)
SCHEMES = pytest.mark.parametrize(
    ("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True), (1600, False), (1600, True)]
)
# An element that can be focused by keyboard is visible when it is, and a table's cells belong to named headers.
NAMELESS = """
[...document.querySelectorAll("a, summary, [tabindex], img, section")]
  .filter((n) => !(n.textContent.trim() || n.getAttribute("aria-label") || n.getAttribute("alt")))
  .map((n) => n.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """The pages of a site with everything."""
    return pages.render(site(), LINKED)


def test_site_has_a_page_for_every_model(rendered: dict[str, str]) -> None:
    """The first page is named first, and the same site gives the same bytes."""
    assert list(rendered) == NAMES
    assert pages.render(site(), LINKED) == rendered


@PAGES
def test_page_escapes_text_and_runs_nothing(rendered: dict[str, str], name: str) -> None:
    """Untrusted text of Git, GitHub and the lake is text, and the page's policy allows no script and no request."""
    page = rendered[name]
    assert "<script" not in page
    assert html.escape(HOSTILE, quote=False)[:13] in page
    assert "default-src 'none'; img-src data:" in page
    assert "javascript:" not in page
    assert {each.split(":")[0] for each in re.findall(r'(?:src|href)="([a-z]+:[^"]*)"', page)} <= {"data", "https"}


@PAGES
def test_relative_links_of_a_page_resolve(rendered: dict[str, str], name: str) -> None:
    """Every relative link is to a page of the site, from the folder of the page."""
    for target in re.findall(r'href="([^"#:]+)["#]', rendered[name]):
        place = (Path("/site") / name).parent / target
        assert str(Path(*place.resolve().parts[2:])) in {*rendered, REPORTED}, target


def test_links_to_the_repository_are_made_of_its_address(rendered: dict[str, str]) -> None:
    """Commits and pull requests are linked; the address that GitHub sent is not used."""
    assert 'href="https://github.com/acme/fraudops/pull/2"' in rendered["models/0002.html"]
    assert f'href="https://github.com/acme/fraudops/commit/{"f" * 40}"' in rendered["index.html"]


def test_addresses_beside_the_site_are_relative_to_each_page() -> None:
    """Pages of a folder below reach them too."""
    beside = Addresses(commit="../github/commit-{}.html", pull="../github/pull-{}.html")
    made = pages.render(site(), beside)
    assert 'href="../../github/pull-2.html"' in made["models/0002.html"]
    assert f'href="../github/commit-{"f" * 40}.html"' in made["index.html"]


@pytest.mark.parametrize("address", [None, "javascript:alert(1)", "acme/fraudops"])
def test_without_a_web_address_nothing_is_linked(address: str | None) -> None:
    """Commits are shown as text."""
    assert Addresses.of_repository(address) == Addresses(commit=None, pull=None)
    made = pages.render(site(), Addresses.of_repository(address))
    assert "https:" not in made["models/0002.html"]
    assert "<code>ffffffffffff</code>" in made["index.html"]


def test_long_details_are_folded_and_small_p_values_readable(rendered: dict[str, str]) -> None:
    """The first words show; a p-value of 0 or 3e-40 is below 0.001."""
    assert "<summary>It led to model 0002. Data drift in 2 of the latest 3 windows" in rendered["timeline.html"]
    assert "p &lt; 0.001" in rendered["timeline.html"]
    assert "p 0)" not in rendered["timeline.html"]
    assert "3e-40" not in rendered["index.html"]


def test_offline_pages_say_what_is_missing() -> None:
    """Every page names it."""
    made = pages.render(site(offline=True, missing=("alerts and drift checks",), checks=(), evidence={}), LINKED)
    assert all("Missing: alerts and drift checks" in page for page in made.values())
    assert "not known" in made["index.html"]


def test_empty_site_is_whole() -> None:
    """Before the first approval there are pages, and they say that there is nothing."""
    empty = site(
        periods=(), records={}, evidence={}, requests=(), gate_failures=(), checks=(), events=(), missing=(),
        disagreements=(), next_check=None,
    )  # fmt: skip
    made = pages.render(empty, LINKED)
    assert list(made) == ["index.html", "timeline.html", "drift.html"]
    assert "Nothing serves" in made["index.html"]
    assert "No model was approved yet." in made["index.html"]


def test_written_pages_are_those_that_are_rendered(rendered: dict[str, str], tmp_path: Path) -> None:
    """The first path is the first page's."""
    written = pages.write(site(year=b"a year"), tmp_path, LINKED)
    assert written[0] == tmp_path / "index.html"
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in written}
    assert found.pop(REPORTED) == REPORT
    assert found.pop("year.html") == b"a year"
    assert list(found) == list(rendered)


def test_year_and_commits_are_named(rendered: dict[str, str]) -> None:
    """A year's page is in the navigation if there is one; every commit that is linked is listed."""
    assert "year.html" not in rendered["index.html"]
    assert 'href="../year.html"' in pages.render(site(year=b"a year"), LINKED)["models/0002.html"]
    linked = {sha for page in rendered.values() for sha in re.findall(r"/commit/([0-9a-f]{40})", page)}
    assert linked <= set(pages.commits(site()))


def test_drift_page_has_a_cell_for_each_input_and_window(rendered: dict[str, str]) -> None:
    """Shifts in hundredths, what drifted underlined, no data hatched, and the report linked."""
    page = rendered["drift.html"]
    assert '<td class="h5 fired" title="V28, 1 to 31 May 2026: 0.330, drifted">33</td>' in page
    assert '<td class="gap" title="&lt;script&gt;' in page
    assert f'href="{REPORTED}"' in page
    assert "No report: s3://lake/report.html: no such object" in page
    assert "7.3 alerts a day" in page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site in a folder, and copies of its pages with every fold open."""
    made = tmp_path_factory.mktemp("site")
    pages.write(site(), made, LINKED)
    for name, copy in UNFOLDED.items():
        (made / copy).write_text((made / name).read_text("utf-8").replace("<details>", "<details open>"), "utf-8")
    return made


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this file."""
    if browser.FOUND is None:
        pytest.skip("no Chromium here: the pages were not looked at in a browser")
    with browser.tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


UNFOLDED = {name: f"open-{name.replace('/', '-')}" for name in NAMES}


@pytest.mark.parametrize("name", [*NAMES, *UNFOLDED.values()])
@SCHEMES
def test_page_fits_and_has_enough_contrast(tab: Tab, folder: Path, name: str, width: int, dark: bool) -> None:
    """No overflow, contrast of 4.5 or more, no errors, no requests, also unfolded; everything has a name."""
    check_page(tab, (folder / name).as_uri(), width=width, dark=dark)
    assert tab.value(NAMELESS) == []


@PAGES
def test_keyboard_reaches_all_links_and_regions(tab: Tab, folder: Path, name: str) -> None:
    """The first Tab focuses the skip link, and every visible link, fold and scrolling region can be focused."""
    tab.open((folder / name).as_uri(), width=1280, dark=False)
    tab.press("Tab")
    assert tab.value("document.activeElement.className") == "skip"
    assert tab.value("document.activeElement.getBoundingClientRect().left") >= 0
    there = "[...document.querySelectorAll('a, summary, [tabindex]')].filter((n) => n.checkVisibility())"
    count = tab.value(f"{there}.length")
    reached = {tab.value(f"{there}.indexOf(document.activeElement)")}
    for _ in range(count - 1):
        tab.press("Tab")
        reached.add(tab.value(f"{there}.indexOf(document.activeElement)"))
    assert reached == set(range(count))


@PAGES
def test_hostile_text_runs_no_script(tab: Tab, folder: Path, name: str) -> None:
    """The page's policy blocks an inline script that some text would have brought."""
    tab.problems.clear()
    tab.open((folder / name).as_uri(), width=1280, dark=False)
    tab.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.harm = 1'}))")
    assert tab.value("window.harm ?? null") is None
    assert any("Content Security Policy" in problem for problem in tab.problems)
