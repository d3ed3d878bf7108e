"""docs/cost.md: computed from docs/cost.yaml, current, and complete about what is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]  # it has no stubs

from docs import cost
from ml import config
from ml.model.drift.verdict import CAUSES, VERDICTS
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / cost.FIGURES).read_text("utf-8")

SMALL = """
prices:
  a: {what: A, per: hour, usd: 0.5, source: list, address: "https://example.com/list", date: 2026-01-01}
usage:
  hours: {value: 10, unit: h, measured: false, source: assumed}
"""


def test_page_is_current() -> None:
    """docs/cost.md is the text that docs/cost.py makes."""
    assert (ROOT / cost.PAGE).read_text("utf-8") == cost.page(cost.read(TEXT)), (
        "run: make docs (cost.md is out of date)"
    )


def test_bill_is_units_times_price() -> None:
    """One ml.m5.large costs hours × price; jobs are billed by the second, their starts included."""
    figures = cost.read(TEXT)
    instance = cost.endpoint(figures, "host_m5_large")
    assert instance.usd == pytest.approx(730 * 0.115)
    lines = {line.price.what: line for line in cost.rest(figures)}
    jobs, worked = lines["Prepare and Evaluate, ml.m5.xlarge"], figures["prepare_seconds"] + figures["evaluate_seconds"]
    assert jobs.units == pytest.approx(2 * (2 * 240 + worked) / 3600)
    assert lines["CloudWatch custom metric"].usd == pytest.approx(82 * 30 / 730 * 0.30)


def test_unknown_prices_are_named_and_not_summed() -> None:
    """A line without a price adds nothing, and the page names it."""
    figures = cost.read(TEXT)
    lines = cost.rest(figures)
    unknown = [line for line in lines if line.usd is None]
    assert unknown
    assert cost.total(lines) == pytest.approx(sum(line.usd for line in lines if line.usd is not None))
    text = cost.page(figures)
    for line in unknown:
        assert f"Unknown: {line.price.what}" in text


def test_page_links_each_price_to_its_source() -> None:
    """Each known price has a link on the page; an unknown one has none."""
    figures = cost.read(TEXT)
    text = cost.page(figures)
    rows = text[text.index("## Prices") :].splitlines()
    for price in figures.prices.values():
        (row,) = (row for row in rows if row.startswith(f"| {price.what} |"))
        assert ("](https://" in row) is (price.usd is not None)
        assert price.address is None or f"({price.address})" in row


def test_serverless_breaks_even_where_both_cost_the_same() -> None:
    """At that many requests a month the two endpoints cost the same, data in and out included."""
    figures = cost.read(TEXT)
    requests = cost.break_even_requests(figures)
    assert cost.serverless_month(figures, requests) == pytest.approx(cost.endpoint(figures, "host_m5_large").usd)
    data = requests * figures["request_kb"] / 1e6 * 0.016
    assert cost.serverless_month(figures, requests) - data == pytest.approx(requests * 0.005 * 0.00006)


def test_counts_are_those_of_the_code_and_the_template() -> None:
    """Alarms are those of infra/platform.yaml, metrics those of a drift check with the shipped inputs."""
    figures = cost.read(TEXT)
    resources = cfn_yaml.load(str(ROOT / "infra/platform.yaml"))["Resources"].values()
    assert figures["alarms"] == sum(item["Type"] == "AWS::CloudWatch::Alarm" for item in resources)
    columns = len(config.load_settings(SHIPPED).training.columns.inputs) + 1  # and the score
    rows_drift_traffic_checks_hours, rates = 5, 5  # check_artifacts.points and drift_check._publish_completion
    assert figures["metrics"] == 2 * columns + len(VERDICTS) + len(CAUSES) + rows_drift_traffic_checks_hours + rates


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: list", "source: ''", r"prices\.a: needs a source"),
        ("date: 2026-01-01", "date: null", r"prices\.a: a price needs its date"),
        ("usd: 0.5", "usd: null", r"prices\.a: a price needs its date, and an unknown price has none"),
        ('"https://example.com/list"', "null", r"prices\.a: a price needs the address of its source"),
        (
            'usd: 0.5, source: list, address: "https://example.com/list", date: 2026-01-01',
            'usd: null, source: list, address: "https://example.com/list", date: null',
            r"prices\.a: a price needs the address of its source, and an unknown price has none",
        ),
        ('"https://example.com/list"', '"a note on costs"', r"prices\.a\.address: must be an https address"),
        ("https://example.com/list", "http://example.com/list", r"prices\.a\.address: must be an https address"),
        ("https://example.com/list", "https://list", r"prices\.a\.address: must be an https address"),
        ("https://example.com/list", "https://github.com/a/b", r"prices\.a\.address: .* with a commit"),
        (
            "https://example.com/list",
            "https://github.com/a/b/blob/main/prices.json",
            r"prices\.a\.address: .* with a commit: .* \(got https://github\.com/a/b/blob/main/prices\.json\)",
        ),
        ("usd: 0.5", "usd: 0", r"prices\.a\.usd: must be above 0 \(got 0\)"),
        ("what: A", "name: A", r"prices\.a: .*unexpected keyword argument 'name'"),
        ("source: assumed", "source: ''", r"usage\.hours: needs a source"),
        ("value: 10", "value: -1", r"usage\.hours\.value: must not be negative \(got -1\)"),
    ],
)
def test_figure_without_evidence_is_refused(old: str, new: str, message: str) -> None:
    """The error names file and figure."""
    assert cost.read(SMALL)["hours"] == 10
    with pytest.raises(ValueError, match=r"docs/cost\.yaml: " + message):
        cost.read(SMALL.replace(old, new))


def test_serving_page_states_the_computed_comparison() -> None:
    """docs/serving.md compares a serverless endpoint with an instance in the figures of docs/cost.yaml."""
    figures, page = cost.read(TEXT), (ROOT / "docs/serving.md").read_text("utf-8")
    instance = cost.endpoint(figures, "host_m5_large").usd
    for requests, shown in (
        (1e6, f"{cost.serverless_month(figures, 1e6):.2f}"),
        (1e8, f"{cost.serverless_month(figures, 1e8):.0f}"),
    ):
        assert f"| {requests / 1e6:.0f} million requests a month | {instance:.2f} USD | {shown} USD |" in page
    assert f"from about {cost.break_even_requests(figures) / 1e6:.0f} million requests a month on" in page
