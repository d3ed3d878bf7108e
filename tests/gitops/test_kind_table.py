"""The table of what both models find by kind of rows."""

from __future__ import annotations

from ml.gitops import kind_table
from tests.harness.github.rendered_markdown import render
from tests.report.evaluations import COMPARED, HOSTILE_VALUE, evaluation, schema_1


def test_table_has_the_counts_of_both_models() -> None:
    """Found frauds and false alarms add up to the alerts; hours are UTC."""
    made = evaluation(champion=COMPARED)
    hours, shop = made["by_kind"]["kinds"]
    markdown = kind_table.by_kind(made)
    head = "| transactions | rows | frauds | found | found by champion | false alarms | false alarms of champion |"
    assert head in markdown
    counts = hours["models"]["champion"]
    wrong = counts["alerts"] - counts["found"]
    row = f"| hour 00:00 to 04:00 UTC | 1,000 | {hours['positives']} | {counts['found']} | {counts['found']} | "
    assert f"{row}{wrong} | {wrong} |" in markdown
    assert "Frauds found by hour and category" in markdown
    assert f"4,000 test rows that the champion has not seen, with {made['by_kind']['positives']} frauds" in markdown
    assert shop["rows"] == 3000


def test_values_of_a_category_are_text() -> None:
    """An element, a cell separator and a mention in a value show as they are."""
    html = render(kind_table.by_kind(evaluation()))
    assert HOSTILE_VALUE.startswith("<script>")
    assert "<script" not in html
    assert html.count("<td>") + html.count("<td ") == 2 * 5


def test_without_champion_there_is_one_model() -> None:
    """The columns of the champion are left out."""
    markdown = kind_table.by_kind(evaluation())
    assert "champion" not in markdown
    assert "| found | false alarms |" in markdown


def test_evaluations_without_kinds_have_no_table() -> None:
    """Schema 1 has none, and data without amount, time and categories have an empty list."""
    assert kind_table.by_kind(schema_1(evaluation())) == ""
    assert kind_table.by_kind(evaluation() | {"by_kind": {"rows": 1, "positives": 0, "kinds": []}}) == ""
