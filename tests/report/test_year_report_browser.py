"""The year report in a real browser: narrow and wide, light and dark, with and without scripts."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from ml.report import year_report
from tests.report import browser
from tests.report.browser import Tab
from tests.report.page_checks import SCHEMES, check_page
from tests.report.played_years import played_year

pytestmark = pytest.mark.skipif(
    browser.FOUND is None, reason="no Chromium here: the page was not looked at in a browser"
)

# How high the smallest text of a chart is, in pixels.
SMALLEST_TEXT = (
    "Math.min(...[...document.querySelectorAll('svg text')].filter((n) => n.checkVisibility())"
    ".map((n) => parseFloat(getComputedStyle(n).fontSize) * n.getScreenCTM().a))"
)
CHARTS = ["chart-recall", "chart-alerts", "chart-precision", "chart-serving"]
SHOWN = """
[...document.querySelectorAll('svg')].filter((n) => n.checkVisibility())
  .map((n) => [n.closest('.chart').id, n.parentElement.className, n.viewBox.baseVal.width])
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the page's file."""
    return year_report.write(played_year(), tmp_path_factory.mktemp("report"))[0].as_uri()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this file."""
    with browser.tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@SCHEMES
def test_page_fits_and_has_enough_contrast(tab: Tab, address: str, width: int, dark: bool) -> None:
    """No element overflows the window, all text has a contrast of 4.5 or more, and there are no errors or requests."""
    check_page(tab, address, width=width, dark=dark)
    assert tab.requested == [address]


@SCHEMES
def test_page_follows_the_colour_scheme(tab: Tab, address: str, width: int, dark: bool) -> None:
    """The screenshot is mostly dark in the dark scheme and mostly light otherwise; it is not blank."""
    tab.open(address, width=width, dark=dark)
    picture = np.asarray(Image.open(io.BytesIO(tab.picture())).convert("L"))
    assert picture.shape[1] == width
    assert (np.median(picture) < 60) == dark
    assert picture.std() > 10


@pytest.mark.parametrize("width", [390, 1280])
def test_static_charts_show_without_scripts(tab: Tab, address: str, width: int) -> None:
    """Wide windows show the wide drawings, narrow ones the narrow, with text of at least 11 pixels."""
    tab.open(address, width=width, dark=False, script=False)
    wide = width > 620
    assert tab.value(SHOWN) == [[name, "wide" if wide else "narrow", 760 if wide else 358] for name in CHARTS]
    assert tab.value(SMALLEST_TEXT) >= 11


@pytest.mark.parametrize("width", [390, 620, 1280, 1600])
def test_interactive_charts_take_the_width_of_their_element(tab: Tab, address: str, width: int) -> None:
    """Scripts replace each static drawing by a chart of the element's width, with text of at least 11 pixels."""
    tab.problems.clear()
    tab.open(address, width=width, dark=False)
    assert {item["status"] for item in tab.value("window.chartsDrawn")} == {"fulfilled"}
    room = tab.value("document.querySelector('.chart').clientWidth")
    assert [[name, drawn] for name, _, drawn in tab.value(SHOWN)] == [[name, room] for name in CHARTS]
    assert not tab.value("document.querySelectorAll('.chart .wide, .chart .narrow').length")
    assert tab.value(SMALLEST_TEXT) >= 11
    assert tab.problems == []


def test_pointer_shows_the_nearest_figure(tab: Tab, address: str) -> None:
    """Over the recall plot a tooltip has month, value and interval; outside of the plot it is hidden."""
    tab.open(address, width=1280, dark=False)
    tab.value("window.chartsDrawn")
    tab.value("document.querySelector('#chart-recall').scrollIntoView({block: 'center'})")
    left, top, width, height = tab.value(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.querySelector('#chart-recall').getBoundingClientRect())"
    )
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=left + width / 2, y=top + height / 2)
    assert tab.value("document.querySelector('.chart-note').textContent").startswith("Month ")
    assert tab.value("document.querySelector('.chart-note').hidden") is False
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert tab.value("document.querySelector('.chart-note').hidden") is True


def test_figures_fit_their_cells(tab: Tab, address: str) -> None:
    """On a phone all twelve months of both heat maps are visible, and no number is wider than its cell."""
    tab.open(address, width=390, dark=False)
    wide = "[...document.querySelectorAll('.heat')].map((n) => n.scrollWidth - n.parentElement.clientWidth)"
    assert max(tab.value(wide)) <= 0
    outgrown = "[...document.querySelectorAll('.heat td')].filter((n) => n.scrollWidth > n.clientWidth + 1).length"
    assert tab.value(outgrown) == 0


def test_all_decisions_are_visible_without_scripts(tab: Tab, address: str) -> None:
    """Without scripts only the filters are hidden, because they would have no effect."""
    tab.open(address, width=1280, dark=False, script=False)
    shown = tab.call("Runtime.evaluate", expression="document.body.innerText", returnByValue=True)["result"]["value"]
    assert "retrain for concept drift" in shown and "0.26 ≤ 0.60" in shown and "96.9 %" in shown
    assert tab.value("document.querySelector('.filters').hidden") is True


def test_decisions_can_be_filtered_by_keyboard(tab: Tab, address: str) -> None:
    """A filter can be focused and pressed with Enter; other decisions are hidden, and a text states the count."""
    tab.open(address, width=1280, dark=False)
    tab.value("document.querySelector('.filters').lastElementChild.focus()")
    tab.press("Enter")
    rows = "[...document.querySelectorAll('#decisions tbody tr')]"
    assert tab.value(f"{rows}.filter((n) => n.checkVisibility()).map((n) => n.dataset.kind)") == ["deployment"]
    assert tab.value("document.querySelector('#shown').textContent") == "1 of 6 decisions shown"
    assert tab.value("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_keyboard_reaches_all_links_and_regions(tab: Tab, address: str) -> None:
    """The first Tab focuses the skip link, and every visible link and scrolling region can be focused."""
    tab.open(address, width=1280, dark=False)
    tab.press("Tab")
    assert tab.value("document.activeElement.className") == "skip"
    assert tab.value("document.activeElement.getBoundingClientRect().left") >= 0
    reached = set()
    for _ in range(80):
        tab.press("Tab")
        reached.add(tab.value("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    there = tab.value(
        "[...document.querySelectorAll('a, button, summary, [tabindex]')].filter((n) => n.checkVisibility())"
        ".map((n) => [...document.querySelectorAll('*')].indexOf(n))"
    )
    assert set(there) <= reached | {there[0]}


def test_hostile_text_runs_no_script(tab: Tab, address: str) -> None:
    """Text of the year opens no dialog, and the page's policy blocks an inline script."""
    tab.problems.clear()
    tab.open(address, width=1280, dark=False)
    tab.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.harm = 1'}))")
    assert tab.value("window.harm ?? null") is None
    assert any("Content Security Policy" in problem for problem in tab.problems)
