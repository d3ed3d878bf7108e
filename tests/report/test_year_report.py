"""The report of a simulated year: its page is complete, and untrusted text on it has no effect."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ml.report import heat_tables, vega_charts, year_charts, year_data, year_plots, year_report
from ml.report.vega_charts import Chart
from ml.report.year_data import PlayedYear
from tests.report.played_years import FEATURES, HOSTILE, played_year


class Page(HTMLParser):
    """The parsed page: elements with their attributes, and the text between them."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        """All text, with white space collapsed."""
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def page() -> Page:
    """The page of the year with hostile text."""
    return Page(year_report.page(played_year()))


def test_document_has_twelve_monthly_figures() -> None:
    """report.json has recall with and without retraining, false-positive rates and alerts, twelve values each."""
    document = json.loads(played_year().to_json())
    for values in (
        document["with_retraining"]["recall"],
        document["without_retraining"]["recall"],
        document["false_positive_rate"],
        document["alerts"],
    ):
        assert len(values) == 12
    assert document["with_retraining"]["recall"][6] == pytest.approx(47 / 161)
    assert document["alerts"] == document["with_retraining"]["alerts"]
    assert document["pooled"]["with_retraining"]["recall"]["of"] == 4 * 161
    assert [len(document[name]) for name in ("requests", "retrains", "deployments", "decisions")] == [2, 2, 2, 6]


def test_document_compares_the_sides_month_by_month() -> None:
    """Each side has twelve figures of recall, the first kind, false alarms and money; the reaction is in days."""
    document = json.loads(played_year().to_json())
    for side in ("with_retraining", "without_retraining", "rule"):
        for name in ("recall", "recall_first_kind", "false_positive_rate", "value_detected", "fraud_value"):
            assert len(document[side][name]) == 12, (side, name)
        assert max(document[side]["value_detected"]) <= max(document[side]["fraud_value"])
    assert document["rule"]["recall"][6] == pytest.approx(80 / 161)
    assert document["with_retraining"]["recall_first_kind"][6] == pytest.approx(11 / 40)
    assert document["without_retraining"]["value_detected"][6] == 40 * 120.5
    assert (document["days_to_alarm"], document["days_to_recovery"]) == (6, 19)


def test_page_says_what_retraining_gains_over_a_rule(page: Page) -> None:
    """At equal false alarms, in recall and in money, also if less is gained; a side without so few is named."""
    for words in (
        "alerts on amounts from 812.50 on",
        "set anew to give 920 of them",
        "Against the first model or a rule on the amount: recall 96.3 % instead of 59.0 %, of the first kind 96.3 % "
        "instead of 59.0 %; frauds of 28,920 more in amount (74,710 instead of 45,790).",
        "Days from concept drift to the alarm, to recovery 6, 19 alarm on 7 July 2026, recovery on 20 July 2026; 365 "
        "daily checks, 21 by the workflow",
    ):
        assert words in page.text, words


def test_page_says_what_each_chart_shows(page: Page) -> None:
    """In words above it, which need neither a script nor a picture."""
    for words in (
        "With retraining, recall is lowest in month 7, 29.2 %. "
        "In month 12 recall is 96.9 % (92.9 to 98.7 %, 156 of 161)",
        "2,740 alerts on 365 days, at most 10 on one day; 691 of them were frauds.",
        "In month 12 precision is 39.8 % (35.1 to 44.7 %, 156 of 392).",
        "Model 0001 served from 31 December 2025 on, approved by fraudops demo.",
    ):
        assert words in page.text, words


def test_page_names_a_side_that_cannot_have_so_few_false_alarms() -> None:
    """The rule's amounts alone may have more."""
    year = played_year()
    equal = {side: found for side, found in year.equal_false_alarms.items() if side != "rule"}
    text = year_report.page(dataclasses.replace(year, equal_false_alarms=equal))
    assert "The first model or a rule on the amount cannot have as few false alarms." in text


def test_document_round_trips() -> None:
    """A year that is read back from JSON is equal, and so is its page."""
    one = played_year()
    again = PlayedYear.from_dict(json.loads(one.to_json()))
    assert again == one
    assert year_report.page(again) == year_report.page(one)


def test_another_schema_is_refused() -> None:
    """A document of a later schema version is an error."""
    with pytest.raises(ValueError, match="schema must be 4"):
        PlayedYear.from_dict(json.loads(played_year().to_json()) | {"schema": 5})


def test_untrusted_text_is_escaped(page: Page) -> None:
    """Markup in reasons, evidence and descriptions is shown as text in the page, its script and its data."""
    assert page.all("script") == [{"type": "application/json", "id": "charts"}, {}]
    assert page.text.count(HOSTILE) >= 4


def test_page_loads_nothing(page: Page) -> None:
    """It has no external image, script, style or font, and its policy forbids them."""
    assert not page.all("img") and not page.all("iframe")
    assert [item["href"] for item in page.all("link")] == ["data:,"]
    policy = next(item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'") and "unsafe" not in policy
    own = year_report.page(played_year()).replace(
        vega_charts.script(), ""
    )  # Vega names url(#…) for gradients in a page
    assert "url(" not in own and "@import" not in own and "unsafe" not in own
    assert not re.search(r"</script|<!--", vega_charts.script(), re.IGNORECASE)
    assert not [item for _, item in page.elements if "style" in item]
    assert not [name for _, item in page.elements for name in item if name.startswith("on")]


def test_only_http_and_relative_addresses_are_links(page: Page) -> None:
    """javascript: and data: addresses are shown as text."""
    addresses = [str(item["href"]) for item in page.all("a")]
    assert "repository/commit-4f2a9c1.html" in addresses and "https://github.example/commit/b81d003" in addresses
    assert not [address for address in addresses if address.startswith(("javascript", "data"))]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " javascript:x", "data:text/html,x", "//evil", "", "http://["]
)
def test_unsafe_addresses_are_no_links(address: str) -> None:
    """Addresses that run a script or that browsers resolve to another host."""
    assert not year_report.is_safe_link(address)


def test_every_chart_has_a_text_alternative(page: Page) -> None:
    """Each chart has a title and a description, each section a heading, and ids are unique."""
    ids = [item["id"] for _, item in page.elements if "id" in item]
    assert len(ids) == len(set(ids))
    assert len(page.all("svg")) == 8  # four charts, for wide windows and for narrow ones
    drawn = [item for item in page.all("div") if item.get("class") == "chart"]
    for item, chart in zip(drawn, year_charts.charts(played_year()), strict=True):
        assert item == {
            "class": "chart",
            "id": f"chart-{chart.name}",
            "role": "img",
            "aria-label": f"{chart.title}. {chart.description}",
        }
        assert chart.title and chart.description
    for item in page.all("section"):
        assert item["aria-labelledby"] in ids


def test_approvals_in_the_chart_of_recall_are_linked_below_it(page: Page) -> None:
    """A chart is one image to a screen reader, so the links of its marks are in the caption."""
    assert "began to serve: 0002 on 1 September 2026" in page.text
    assert "repository/commit-c0ffee0.html" in [item["href"] for item in page.all("a")]


def test_interactive_charts_have_the_data_of_the_static_ones() -> None:
    """Every chart has a specification for Vega; it names no address and shows a figure under the pointer."""
    for chart in year_charts.charts(played_year()):
        text = json.dumps(chart.vega())
        assert "words" in text
        assert re.findall(r"https?://[^\"]+", text) == ["https://vega.github.io/schema/vega/v6.json"]
        assert chart.svg(vega_charts.NARROW) == chart.svg(vega_charts.NARROW)


def test_tables_have_headers(page: Page) -> None:
    """Every header cell has a scope; every scrolling region has a name and can be reached by keyboard."""
    assert all(item.get("scope") in ("col", "row") for item in page.all("th"))
    assert all(
        item.get("tabindex") == "0" and item.get("aria-label")
        for item in page.all("div")
        if item.get("role") == "region"
    )
    assert page.all("html") == [{"lang": "en"}]


def test_page_has_all_events(page: Page) -> None:
    """The page has requests, gate verdicts, approvals with their approvers, and the evidence of all decisions."""
    for words in (
        "20260901T060000Z-concept-drift",
        "approved as 0002",
        "failed the gate",
        "fraudops simulation (by its rule)",
        "0.29 (46 of 161), approved on 0.95, p = 3e-40",
        "Concept drift begins in month 7.",
        "≥ 1,018",
    ):
        assert words in page.text, words
    for name in FEATURES:
        assert name in page.text


def test_month_without_data_is_hatched(page: Page) -> None:
    """Each feature shows 'no data' for that month, neither a number nor a blank cell."""
    gaps = [item for item in page.all("td") if item.get("class") == "gap"]
    assert len(gaps) == len(FEATURES)
    assert gaps[0]["title"] == "Time, month 5: no data"


def test_year_without_requests_is_explained() -> None:
    """The page states that there was no request and no decision."""
    quiet = Page(year_report.page(played_year(requests=False)))
    assert "There was none in this year." in quiet.text


def test_short_year_is_drawn() -> None:
    """A year of one month is drawn; pooled figures use the available months."""
    assert "months 1" in Page(year_report.page(played_year(months=1, requests=False))).text
    assert year_plots.draw(played_year(months=1, requests=False))


def test_levels_begin_at_the_floor() -> None:
    """A value equal to the floor has the level whose legend begins at the floor."""
    assert [heat_tables.drift_level(value, 0.05) for value in (0, 0.049, 0.05, 0.2, 9)] == [0, 2, 3, 5, 5]
    assert heat_tables.rate_level(0.0034, 0.0017) == 1
    assert heat_tables.rate_level(0.5, 0.0017) == 5
    assert heat_tables.rate_level(0.5, 0.0) == 0


def test_bands_have_names() -> None:
    """The names are in the order of the counts, the lowest first."""
    assert year_data.band_names((5.6, 1018.0)) == ["< 6", "6–1,018", "≥ 1,018"]
    assert year_data.band_names(()) == ["all"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0085, "0.85 %"), (0.0994, "9.94 %"), (0.976, "97.6 %"), (0.9996, "more than 99.9 %"), (1, "100 %")],
)
def test_shares_have_one_or_two_decimals(share: float, words: str) -> None:
    """One decimal from 10 % on, two below; what is not all never reads so."""
    assert year_report.percent(share) == words


def test_labels_of_roll_outs_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two roll-outs within half a month have their numbers in two rows, and the legend names the lines once."""
    drawn: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        drawn.append(figure)
        return b""

    monkeypatch.setattr(year_plots, "png", keep)
    year = played_year()
    one, retrain = year.deployments[-1], year.retrains[-1]
    close = dataclasses.replace(one, approval=9, start=one.start + timedelta(days=3))
    retrains = (*year.retrains, dataclasses.replace(retrain, approval=9))
    year_plots.recall(dataclasses.replace(year, retrains=retrains, deployments=(*year.deployments, close)))
    (axes,) = drawn[0].axes
    drawn[0].canvas.draw()
    labels = [text for text in axes.texts if re.fullmatch(r"\d{4}", text.get_text())]
    assert {"0009", f"{one.approval:04d}"} <= {text.get_text() for text in labels}
    boxes = [text.get_window_extent() for text in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    legend = axes.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names.count("retrained model serves, with its approval") == 1


def test_pictures_are_deterministic_and_not_blank(tmp_path: Path) -> None:
    """Each picture has the same bytes when drawn twice, a readable width and more than one colour."""
    one, two = year_plots.draw(played_year()), year_plots.draw(played_year())
    assert one == two and set(one) == {"recall.png", "drift.png", "alerts.png", "fraud-by-amount.png"}
    for name, content in one.items():
        picture = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
        assert picture.shape[1] == 1152 and 0.01 < (picture < 250).mean() < 0.9, name


def test_write_creates_all_files(tmp_path: Path) -> None:
    """It creates the folder with the page, the document and the pictures."""
    paths = year_report.write(played_year(), tmp_path / "simulation")
    assert [path.name for path in paths[:2]] == ["report.html", "report.json"]
    assert all(path.stat().st_size > 1_000 for path in paths)
    document: dict[str, Any] = json.loads(paths[1].read_text())
    assert document["scenario"] == "both"


@pytest.mark.parametrize(
    ("chart", "names"),
    [
        (year_charts.recall, ("with retraining", "without retraining", "first model or amount rule")),
        (year_charts.alerts, ("false alarms", "frauds")),
    ],
)
def test_chart_has_a_legend_for_its_series(chart: Callable[[PlayedYear], Chart], names: tuple[str, ...]) -> None:
    """The static drawing names every series once."""
    drawing = chart(played_year()).svg(980)
    assert all(drawing.count(f">{name}<") == 1 for name in names)


def test_alarm_request_and_recovery_have_their_own_days(page: Page) -> None:
    """The month of the alarm is not called calm where the tests of the whole month have found nothing."""
    assert "alarm on 7 July 2026, recovery on 20 July 2026" in page.text
    assert "The alarm is the first daily check that found the concept drift, on 7 July 2026." in page.text
    quiet = dataclasses.replace(played_year().months[6], verdict="none")
    year = dataclasses.replace(played_year(), months=(*played_year().months[:6], quiet, *played_year().months[7:]))
    text = Page(year_report.page(year)).text
    assert "no drift; alarm on 7 July 2026" in text
    assert text.count("; alarm on") == 1
    assert "Trained and tested on" in text
