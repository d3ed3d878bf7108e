"""The site's pages: escaped, linked, without scripts, and looked at in a real browser in every form."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.site import pages, report_copy
from ml.site.pages import Addresses
from tests.report import browser
from tests.report.browser import Tab
from tests.report.page_checks import check_page
from tests.site.sites import HOSTILE, at, period, site
from tests.site.test_request_causes import asked

REPORTED = "drift/20260501T000000Z_20260601T000000Z.html"
LINKED = Addresses.of_repository("https://github.com/acme/fraudops")
TIME_LINES = [f"timeline/{kind}.html" for kind in ("approval", "deployment", "gate-failure", "request", "rollback")]
NAMES = ["index.html", "timeline.html", *TIME_LINES, "words.html", "drift.html", "models/0002.html", "models/0001.html"]
PAGES = pytest.mark.parametrize("name", NAMES)
SCHEMES = pytest.mark.parametrize(
    ("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True), (1600, False), (1600, True)]
)
# An element that can be focused by keyboard is visible when it is, and a table's cells belong to named headers.
CUT = """
[...document.querySelectorAll(".scroll:not(.pan)")]
  .filter((n) => n.scrollWidth > n.clientWidth + 1).map((n) => n.ariaLabel)
"""
"""Regions of which a part is cut; a picture is moved below the finger, because its words are too small otherwise."""
PICTURE = """
[...document.querySelectorAll(".pan img")].map((n) => Math.round(n.getBoundingClientRect().width))
"""
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


def test_time_line_has_a_page_for_each_kind(rendered: dict[str, str]) -> None:
    """Its events are those of the kind; each page links all of them with their counts, and says which one it is."""
    counts = {name: page.count('<p class="when">') for name, page in rendered.items() if name.startswith("timeline")}
    assert counts["timeline.html"] == sum(counts[name] for name in TIME_LINES) > 0
    for name in TIME_LINES:
        kind = name.removeprefix("timeline/").removesuffix(".html").replace("-", " ")
        page = " ".join(rendered[name].split())
        assert set(re.findall(r'<span class="kind [a-z-]+">([a-z ]+)</span>', page)) == {kind}
        assert f'aria-current="page">{kind.capitalize()} <span class="soft">{counts[name]}</span>' in page
        assert f'<a href="../timeline.html">All <span class="soft">{counts["timeline.html"]}</span>' in page
        assert f"<h1>Time line: {kind}</h1>" in page


def test_time_line_of_one_kind_has_no_filters() -> None:
    """There is nothing to choose."""
    made = pages.render(site(events=tuple(event for event in site().events if event.kind == "request")), LINKED)
    assert [name for name in made if name.startswith("timeline")] == ["timeline.html"]
    assert "Kinds of events" not in made["timeline.html"]


def test_models_link_those_before_and_after(rendered: dict[str, str]) -> None:
    """0001 served, then 0002, then 0001 again after a rollback."""
    first, second = rendered["models/0001.html"], rendered["models/0002.html"]
    assert '<a href="../models/0002.html" rel="prev">← It replaced model 0002</a>' in first
    assert 'rel="next"' not in first
    assert '<a href="../models/0001.html" rel="prev">← It replaced model 0001</a>' in second
    assert '<a href="../models/0001.html" rel="next">Replaced by model 0001 →</a>' in second
    never = pages.render(site(periods=(period(1, at(3), None),)), LINKED)
    assert "Models before and after" not in never["models/0001.html"] + never["models/0002.html"]


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
    assert list(made) == ["index.html", "timeline.html", "words.html", "drift.html"]
    assert "Nothing serves" in made["index.html"]
    assert "No model was approved yet." in made["index.html"]


def test_written_pages_are_those_that_are_rendered(rendered: dict[str, str], tmp_path: Path) -> None:
    """The first path is the first page's."""
    written = pages.write(site(year=b"a year"), tmp_path, LINKED)
    assert written[0] == tmp_path / "index.html"
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in written}
    assert found.pop(REPORTED) == report_copy.drift_report(site().checks[-1], site())
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


def test_telephone_shows_the_latest_windows_of_the_heat_table(rendered: dict[str, str]) -> None:
    """The others are hidden there, which the page says; every table of the site is a list there."""
    page = rendered["drift.html"]
    heads = re.findall(r'<th scope="col"( class="older")? title', page)
    assert [bool(each) for each in heads] == [True] * 6 + [False] * 5
    assert "The latest 5 of 11 windows; a wider screen shows all." in page
    tables = re.findall(r"<table[^>]*>", "".join(rendered.values()))
    assert {each.partition(" style")[0].rstrip(">") for each in tables} == {
        '<table class="heat"',
        '<table class="stacked"',
    }


def test_month_with_an_alarm_does_not_look_calm() -> None:
    """Its check that found nothing has a badge, and the request with its answer comes before the headline."""
    quiet = site().checks[-2]
    waiting = dataclasses.replace(asked("daily_fraud_rate", month=4), resolution=None)
    periods = (period(2, at(4, 2), None),)
    page = pages.render(site(requests=(waiting,), periods=periods), LINKED)["drift.html"]
    entry = page[page.index('1 to 30 April 2026 <span class="kind gate-failure">needs action: alarm</span>') :]
    said = entry.index('<p class="what">A retrain was requested after an alarm of the daily test: concept drift, on 15')
    assert "The alarm was raised on 15 April 2026, the day of the request." in entry
    assert said < entry.index(f"<p>{quiet.headline}.</p>")


def test_days_of_the_reference_are_told_from_alarms_before_it() -> None:
    """The sentence on alarms stands only where there is one."""
    said = "Alarms of the daily test before model 0001 was trained are about the model before it."
    assert said not in pages.render(site(requests=()), LINKED)["drift.html"]
    waiting = dataclasses.replace(asked("daily_fraud_rate"), resolution=None)
    assert said in pages.render(site(requests=(waiting,)), LINKED)["drift.html"]


def test_simulation_is_named_on_every_page() -> None:
    """A demo is not taken for an account, nor its script for a person."""
    made = pages.render(site(simulated=True, scripted_reviewer="carol", local_user="local-user"), LINKED)
    for page in made.values():
        assert "A demo on emulators" in page
        assert "The reviewer carol is a script, not a person." in page
        assert "local-user is the local GitHub&#39;s own user: what the demo merges has its name." in page
    assert all("simulation" not in page.partition("</style>")[2] for page in pages.render(site(), LINKED).values())


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
    if width == 390:
        assert tab.value(CUT) == []
        assert all(pixels >= 700 for pixels in tab.value(PICTURE))


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
