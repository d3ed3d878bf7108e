"""Pages with any text in every field: the same elements with the same attributes as with plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml.model.metrics import Estimate
from ml.report import data_page, page_template, year_report
from ml.report.data_statistics import Bin, Column, Separability
from ml.site import pages
from tests.fuzz.untrusted import MARKUP, hostile_text
from tests.harness.fuzzing import examples
from tests.report import browser, played_years
from tests.report.browser import Tab
from tests.site import sites

ADDRESSES = pages.Addresses.of_repository("https://github.com/acme/fraudops")
SCHEMES = ("https://github.com/acme/fraudops/", "https://github.example/", "data:image/png;", "data:,")
"""The beginnings of addresses that are not relative: those of the repositories of the site and of the year."""
TEXTS = hostile_text.filter(lambda text: text.strip() != "" and text.isprintable())
Elements = list[tuple[str, tuple[str, ...]]]
PARSED = """
([...new DOMParser().parseFromString(%s, "text/html").querySelectorAll("*")]
  .map((n) => [n.localName, [...n.attributes].map((a) => a.name).sort()]))
"""


class _Structure(HTMLParser):
    """The start tags of a page with the names of their attributes, and every address in it."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Elements = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]


def structure(page: str) -> _Structure:
    """The page as Python's own parser reads it."""
    parser = _Structure()
    parser.feed(page)
    parser.close()
    return parser


def data_set(text: str) -> data_page.DataSet:
    """A data set whose path, columns, bins and faults have the name `text`."""
    share = Estimate(value=0.1, low=0.05, high=0.2, count=1, of=10, reason=None)
    separable = Separability(value=0.6, low=0.5, high=0.7)
    column = Column(name=text, missing=1, means=(0.0, 1.0), deviations=(1.0, 1.0), separability=separable)
    bins = (Bin(name=text, rows=10, frauds=share),)
    return data_page.DataSet(
        path=text, rows=10, frauds=share, start=text, end=text, faults={text: 2}, duplicates=1, columns=(column,),
        amount=text, amounts=bins, binned=separable, hours=bins, categories={text: bins},
        correlated=((text, text, 0.9),), pictures=((text, b"png"),),
    )  # fmt: skip


def rendered(text: str) -> Mapping[str, str]:
    """Every page with `text` in each field that comes from Git, GitHub, the lake, a file or a person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "HOSTILE", text)
        patch.setattr(played_years, "HOSTILE", text)
        found = pages.render(sites.site(), ADDRESSES)
        found |= {"data": data_page.page(data_set(text)), "year": year_report.page(played_years.played_year())}
    return {name: re.sub("base64,[A-Za-z0-9+/=]+", "base64,AA==", page) for name, page in found.items()}


def harmless(text: str) -> str:
    """`text` with a letter in place of each character that HTML interprets: of the same length and as many words."""
    return re.sub("[<>&\"'=/`{}%:!]", "x", text)


@given(text=TEXTS)
@example(text=" ".join(MARKUP[:7]))
@examples(3)
def test_text_makes_no_element_and_no_address(text: str) -> None:
    """As Python's parser of HTML reads the pages; addresses are https, relative or PNGs."""
    plain = rendered(harmless(text))
    for name, page in rendered(text).items():
        found = structure(page)
        assert found.elements == structure(plain[name]).elements, name
        assert [each for each in found.addresses if ":" in each and not each.startswith(SCHEMES)] == [], name


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all examples."""
    with browser.tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.skipif(browser.FOUND is None, reason="no Chromium here: the pages were not parsed by a browser")
@given(text=st.one_of(TEXTS, st.sampled_from(MARKUP).filter(str.isprintable)))
@examples(2)
def test_browser_finds_the_same_elements(tab: Tab, text: str) -> None:
    """As Chromium parses the pages, whose rules for broken markup differ from those of other parsers."""
    plain = rendered(harmless(text))
    for name, page in rendered(text).items():
        assert tab.value(PARSED % json.dumps(page)) == tab.value(PARSED % json.dumps(plain[name])), name


def test_frame_of_pages_forbids_scripts_and_requests() -> None:
    """The second line of defence: where a text did become markup, the browser would run and load nothing of it."""
    page = page_template.environment().get_template("page.html").render()
    assert "default-src 'none'" in page
    assert "script-src" not in page
    assert "base-uri 'none'" in page
