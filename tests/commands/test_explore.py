"""`fraudops explore`: a page of a data file that is right, loads nothing, and fits any screen."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ml import config
from ml.commands.explore import data_set, explore
from ml.errors import DataError, FraudopsError
from ml.playground.template_state import FOLDER as SHIPPED
from ml.report import data_page
from tests.report import browser
from tests.report.browser import Tab
from tests.report.explored_pages import HOSTILE, drawn_rows, explored_page
from tests.report.page_checks import SCHEMES, check_page


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Stand-in rows."""
    return drawn_rows()


@pytest.fixture(scope="module")
def page(frame: pd.DataFrame) -> str:
    """The page of those rows."""
    return explored_page(frame)


def test_page_of_a_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Figures are those of the valid rows; invalid ones are counted, and the same file gives the same page."""
    broken = pd.concat([frame, frame.head(3)], ignore_index=True)
    broken.loc[5, "V2"] = None
    broken.to_csv(tmp_path / "rows.csv", index=False)
    report = explore(SHIPPED, str(tmp_path / "rows.csv"), tmp_path / "pages/data.html")
    assert (report.rows, report.invalid_rows, report.duplicates) == (4_002, 1, 3)
    assert report.frauds == int(broken["Class"].drop(5).sum())
    assert report.separability > 0.9
    text = (tmp_path / "pages/data.html").read_text("utf-8")
    assert f"4,002 transactions, {report.frauds} of them frauds" in text
    shown = f"{report.separability:.3f}"
    (row,) = re.findall(rf"<tr><td>{report.best_column}</td>.*?</tr>", text)
    assert f'<td class="number">{shown}</td>' in row
    (direction,) = re.findall("<td>(higher|lower)</td>", row)
    assert re.search(rf"chance of {shown} a fraud has the {direction} value", text)
    strengths = re.findall(r'<tr><td>\w+</td><td class="number">([\d.]+)</td><td class="number">[\d.]+ to', text)
    assert len(strengths) > 20 and min(map(float, strengths)) >= 0.5
    assert text.count("<figure>") == 4
    explore(SHIPPED, str(tmp_path / "rows.csv"), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text("utf-8") == text


def test_file_without_frauds_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The message names file and column."""
    frame[frame["Class"] == 0].to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"rows\.csv: has no valid frauds in column Class"):
        explore(SHIPPED, str(tmp_path / "rows.csv"), tmp_path / "data.html")
    assert not (tmp_path / "data.html").exists()


def test_place_that_cannot_be_written_is_an_error(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The message says how to choose another."""
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(FraudopsError, match="choose another path with --out"):
        explore(SHIPPED, str(tmp_path / "rows.csv"), tmp_path / "rows.csv" / "data.html")


def test_data_without_time_and_amount_have_a_page(frame: pd.DataFrame) -> None:
    """What depends on them is left out."""
    training = config.load_settings(SHIPPED).training
    columns = config.load_data(SHIPPED).model_copy(update={"time": None, "amount": None}).to_columns()
    found = data_set("rows", frame, columns, training.binning)
    assert (found.hours, found.amounts, found.binned, len(found.pictures)) == ([], [], None, 2)
    assert "Bins of the amount" not in data_page.page(found)


def test_page_loads_and_runs_nothing(page: str) -> None:
    """Untrusted text is escaped, and the page's policy allows inline pictures only."""
    assert "<script" not in page
    assert html.escape(HOSTILE) in page
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
    address = (tmp_path / "data.html").as_uri()
    (tmp_path / "data.html").write_text(page)
    check_page(tab, address, width=width, dark=dark)
