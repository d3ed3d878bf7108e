"""Tests of the drift report: plots from counts, and a page that loads nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.model.drift import detector
from ml.report import drift_report as report
from tests.model.drift import test_category_counts
from tests.report import browser
from tests.report.browser import Tab
from tests.report.drift_pages import (
    HOSTILE,
    REFERENCE,
    RULES,
    Drifted,
    drifted_month,
    drifted_page,
    written,
)
from tests.report.page_checks import SCHEMES, check_page


@pytest.fixture(scope="module")
def drifted() -> Drifted:
    """A month with a shift of V2 and flipped labels, and the months before it."""
    return drifted_month()


@pytest.fixture(scope="module")
def page(drifted: Drifted) -> str:
    """The page of that month, with hostile text in a field."""
    return drifted_page(drifted)


def test_draw_is_deterministic(drifted: Drifted) -> None:
    """There are five plots, each with content."""
    found, summary, history = drifted
    first, second = (report.draw(REFERENCE, found, summary, history, RULES) for _ in range(2))
    assert first == second
    assert set(first) == {"features.png", "distributions.png", "scores.png", "outcomes.png", "history.png"}
    for content in first.values():
        image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert image.shape[1] == pytest.approx(864, abs=3)
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20


def test_window_without_traffic_has_a_page_without_plots() -> None:
    """Without traffic there are no plots, but there is a page."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    summary = detector.WindowSummary.empty(REFERENCE)
    found = detector.evaluate(
        REFERENCE, summary, None, RULES, start=start, end=start + timedelta(days=31), reference="a" * 64
    )
    pictures = report.draw(REFERENCE, found, summary, [found], RULES)
    assert pictures == {}
    text = report.page(written(found, labels={"days": []}), found, [found], pictures)
    assert "too little traffic, or none for too long, to test for drift" in text
    assert "<img" not in text


def test_page_says_against_which_data_it_judges(drifted: Drifted) -> None:
    """Days of the window that are part of the reference show no drift from it: that is no calm month."""
    found, _, history = drifted
    days = {"start": "2026-04-03T00:00:00Z", "end": "2026-04-20T00:00:00Z"}
    made = written(found)
    text = report.page({**made, "model": {**made["model"], "reference": days}}, found, history, {})
    assert "<title>Drift check against model 0007: concept, data, " in text
    assert "Judged against the drift reference of model 0007 (data of 2026-04-03 to 2026-04-20).</h1>" in text
    said = "Days of this window are part of that reference, so their distribution is not measured as drift from it."
    assert f"<p>{said}</p>" in text
    for start, end in (("2026-01-01", "2026-03-31"), ("2026-05-01", "2026-05-02")):
        earlier = {"start": f"{start}T00:00:00", "end": f"{end}T00:00:00"}
        other = report.page({**made, "model": {**made["model"], "reference": earlier}}, found, history, {})
        assert "part of that reference" not in other
    assert "part of that reference" not in report.page(made, found, history, {})


def test_page_shows_categories() -> None:
    """An input that is text has Cohen's w and the share of unseen values, and dashes where a number has a mean."""
    found = test_category_counts.verdict(lambda shops: np.where(np.arange(len(shops)) % 20 == 0, "FOOD", shops))
    text = report.page(written(found), found, [found], {})
    (row,) = re.findall(r"<tr><td[^>]*>shop.*?</tr>", text)
    figures = re.findall(r'<td class="number"[^>]*>([^<]*)</td>', row)
    shop = next(item for item in found.features if item.name == "shop")
    assert figures == [
        report.figure(shop.js), "–", report.figure(shop.psi), report.figure(shop.chi_square),
        "–", "–", "–", "0", "–", "0.05",
    ]  # fmt: skip
    assert "200 of 4,000 rows have a value that the reference does not list" in text
    words = re.findall(r"<th[^>]*>([^<]*)</th>", text[text.index("Statistics of all inputs") :])
    assert words[:10] == [
        "input",
        "JS",
        "KS",
        "PSI",
        "effect size",
        "mean shift",
        "mean",
        "std",
        "missing",
        "out of range",
    ]


def test_page_shows_what_fired_and_the_limits(page: str) -> None:
    """The page has verdicts, figures with limits, rows of other models and unreadable lines."""
    words = re.sub(r"<[^>]+>|\s+", " ", page)
    assert "Tests of the whole window: concept, data" in words
    for part in (
        "fraud rate",
        "population stability index",
        "recall",
        "against approval 0007",
        "0006 12 rows",
        "3 lines",
    ):
        assert part in words, part
    assert "an estimate without labels" in words


def test_page_says_first_what_happened(page: str) -> None:
    """The heading is the sentence with the figure; every table of statistics but that of windows is folded."""
    (heading,) = re.findall(r"<h1>(.*?)</h1>", page)
    assert heading.startswith("In April 2026 recall fell from 0.84 to 0.17; 511 of 969 transactions between ")
    assert heading.endswith(
        "; other models scored 12 of 3,999 transactions. Judged against the drift reference of model 0007."
    )
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    assert re.findall(r"<table[^>]*>", shown) == ['<table class="stacked">']
    assert "The mean of V2 rose by 0.61 standard deviations" in shown
    assert page.count("&lt; 0.001") >= 6


def test_page_runs_and_loads_nothing(page: str) -> None:
    """Untrusted input is text; the page's policy allows inline pictures only."""
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'; img-src data:" in page
    assert set(re.findall(r'(?:src|href)="([a-z]+:)', page)) == {"data:"}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this file."""
    if browser.FOUND is None:
        pytest.skip("no Chromium here: the page was not looked at in a browser")
    with browser.tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@SCHEMES
def test_page_fits_and_has_enough_contrast(tab: Tab, page: str, tmp_path: Path, width: int, dark: bool) -> None:
    """No overflow, contrast of 4.5 or more, no errors, no requests."""
    address = (tmp_path / "report.html").as_uri()
    (tmp_path / "report.html").write_text(page)
    check_page(tab, address, width=width, dark=dark)
