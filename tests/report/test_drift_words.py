"""Tests of what happened in words: verdicts of the detector, and findings made by hand for rare kinds."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ml.model.drift import detector
from ml.model.drift.verdict import Finding
from ml.report import drift_words as words
from ml.report.judged_rows import JudgedRows
from tests.model.drift import test_category_counts
from tests.report.drift_pages import REFERENCE, RULES, verdict_on


def finding(**changes: Any) -> Finding:
    """A finding that fired."""
    values: dict[str, Any] = {
        "kind": "concept",
        "statistic": "recall",
        "subject": None,
        "value": 0.17,
        "threshold": 0.7,
        "p_value": 1e-9,
        "alpha": 1e-4,
        "fired": True,
        "reference": 0.84,
    }
    return Finding(**(values | changes))


def having(*findings: Finding) -> detector.DriftVerdict:
    """The verdict of a quiet month with these findings instead of its own."""
    return dataclasses.replace(verdict_on(4)[0], findings=findings, verdicts=tuple({each.kind for each in findings}))


def test_headline_of_concept_drift_has_recall_and_the_band() -> None:
    """The month, both recalls, and how many of which transactions are frauds; a shifted input comes last."""
    found, _ = verdict_on(4, shift=0.6, flip=0.5)
    assert words.headline(found) == (
        "In April 2026 recall fell from 0.84 to 0.17; 511 of 969 transactions between 20.9 and 40.9 are frauds, "
        "4.7 % in the drift reference; the mean of V2 rose by 0.61 standard deviations, limit 0.15"
    )


def test_lines_say_each_finding_once() -> None:
    """Five tests of one shift of V2 are one line; a band or a rate that fires in several pools too."""
    found, _ = verdict_on(4, shift=0.6, flip=0.5)
    lines = words.lines(found)
    assert [(line.kind, line.words) for line in lines if line.kind == "data"] == [
        ("data", "The mean of V2 rose by 0.61 standard deviations, limit 0.15")
    ]
    assert lines[0].words == "Recall fell from 0.84 to 0.17"
    assert sum(len(line.findings) for line in lines) == sum(each.fired for each in found.findings)
    pooled = having(finding(windows=1), finding(windows=3, value=0.4))
    assert [(line.words, len(line.findings)) for line in words.lines(pooled)] == [("Recall fell from 0.84 to 0.17", 2)]


def test_headline_of_a_quiet_month_has_recall() -> None:
    """What was tested, and the recall on mature labels; without them, that concept drift was not tested."""
    assert words.headline(verdict_on(4)[0]) == (
        "In April 2026 no test of the whole window found drift: 4,000 transactions were tested; "
        "recall is 0.92, 0.84 in the drift reference"
    )
    immature = dataclasses.replace(verdict_on(4)[0], findings=(), verdicts=("none", "labels immature"))
    assert words.headline(immature).endswith("concept drift cannot be tested before labels are mature")
    assert words.lines(immature) == ()


def test_headline_without_traffic_is_not_that_nothing_drifted() -> None:
    """No data is neither drift nor no drift."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    summary = detector.WindowSummary.empty(REFERENCE)
    found = detector.evaluate(REFERENCE, summary, None, RULES, start=start, end=start + timedelta(days=31))
    assert words.headline(found).startswith("In March 2026 drift could not be tested: 0 rows, where ")


def test_headline_of_categories_and_schema() -> None:
    """A value that the reference does not list breaks the schema."""
    found = test_category_counts.verdict(lambda shops: np.where(np.arange(len(shops)) % 20 == 0, "FOOD", shops))
    assert "fields break the schema, shop: 200 of 4,000 rows have a value that the reference" in words.headline(found)
    assert "shop: 200 of 4,000 rows have a value that the reference does not list" in [
        line.words for line in words.lines(found)
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"statistic": "false_positive_rate", "value": 0.004, "reference": 0.001},
            "False-positive rate rose from 0.1 % to 0.4 %",
        ),
        ({"statistic": "precision", "value": None, "reference": 0.4}, "Precision fell from 0.40 to –"),
        (
            {"statistic": "recall", "value": 0.61, "reference": 0.84, "windows": 3},
            "Recall fell from 0.84 to 0.61 over 3 windows",
        ),
        (
            {
                "statistic": "fraud_rate",
                "subject": "amount >= 1017.97",
                "value": 0.5,
                "reference": 0.002,
                "detail": "3 frauds of 6 rows in 3 windows; reference 2 of 1,000",
                "windows": 3,
            },
            "3 of 6 transactions of 1,018 or more are frauds, 0.2 % in the drift reference over 3 windows",
        ),
        (
            {"statistic": "fraud_rate", "subject": "amount < 5.6", "value": 0.12, "reference": 0.01},
            "12 % of transactions below 5.6 are frauds, 1 % in the drift reference",
        ),
        (
            {"statistic": "fraud_rate", "subject": "any amount", "value": 0.0, "reference": 0.01},
            "0 % of transactions of any amount are frauds, 1 % in the drift reference",
        ),
        (
            {"kind": "prediction", "statistic": "alert_rate", "value": 0.2, "reference": 0.05},
            "Alert rate rose from 5 % to 20 %",
        ),
        (
            {"kind": "prediction", "statistic": "ks", "subject": "score"},
            "The Kolmogorov-Smirnov distance of score is 0.17, limit 0.7",
        ),
    ],
)
def test_line_of_one_finding(changes: dict[str, Any], said: str) -> None:
    """Rare rates are percentages; several windows are named; a band without counts has its share."""
    (line,) = words.lines(having(finding(**changes)))
    assert line.words == said
    assert said[1:] in words.headline(having(finding(**changes)))


@pytest.mark.parametrize(
    ("value", "shown", "said"),
    [(1.29e-215, "< 0.001", "p < 0.001"), (0.0009, "< 0.001", "p < 0.001"), (0.023, "0.023", "p = 0.023")],
)
def test_p_value_has_no_meaningless_digits(value: float, shown: str, said: str) -> None:
    """Below 0.001 the size says nothing to a reader."""
    assert (words.p_value(value), words.p_equals(value), words.p_value(None)) == (shown, said, "–")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-04-01", "2026-05-01", "in April 2026"),
        ("2026-12-01", "2027-01-01", "in December 2026"),
        ("2026-04-01", "2026-04-08", "from 2026-04-01 to 2026-04-07"),
        ("2026-04-01", "2026-04-02", "on 2026-04-01"),
        ("2026-04-01T06:00", "2026-04-01T18:30", "from 2026-04-01 06:00 to 2026-04-01 18:30 UTC"),
    ],
)
def test_period_in_words(start: str, end: str, said: str) -> None:
    """A whole month has its name; a range ends on its last day."""
    first, last = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end))
    assert words.period(first, last) == said


JUDGED = JudgedRows(approval=4, rows=500, all_rows=4_000, days=(date(2026, 4, 29), date(2026, 4, 30)))
"""The last days of a month of which other models scored the rest."""


def test_headline_of_a_part_says_first_what_is_judged() -> None:
    """A recall of two days is not that of the month: the days, the rows and the remaining rows are named."""
    assert words.headline(verdict_on(4)[0], JUDGED) == (
        "Only 500 of 4,000 transactions in April 2026 are judged, those that model 0004 scored from 29 to 30 April "
        "2026: no concept drift was found in them (recall is 0.92, 0.84 in the drift reference); other models scored "
        "the remaining 3,500, of which only the inputs are tested"
    )


def test_headline_of_a_part_names_drift_and_immature_labels() -> None:
    """Inputs are those of all rows and come last; without days, the model alone is named."""
    found, _ = verdict_on(4, shift=0.6, flip=0.5)
    said = words.headline(found, JUDGED)
    assert "2026: recall fell from 0.84 to 0.17; 511 of 969" in said
    assert "of which only the inputs are tested: the mean of V2 rose" in said
    quiet = dataclasses.replace(found, findings=(), verdicts=("none", "labels immature"))
    assert "that model 0004 scored: concept drift is not tested yet, because their labels are not mature; other" in (
        words.headline(quiet, dataclasses.replace(JUDGED, days=None))
    )
    scores = having(finding(kind="prediction", statistic="alert_rate", value=0.2, reference=0.05))
    assert "2026: alert rate rose from 5 % to 20 %; other" in words.headline(scores, JUDGED)


def test_few_rows_of_other_models_come_last() -> None:
    """A model that began to serve on the first morning is judged on the month."""
    most = dataclasses.replace(JUDGED, rows=3_987)
    assert words.headline(verdict_on(4)[0], most).endswith("; other models scored 13 of 4,000 transactions")
    start = datetime(2026, 3, 1, tzinfo=UTC)
    empty = detector.evaluate(
        REFERENCE, detector.WindowSummary.empty(REFERENCE), None, RULES, start=start, end=start + timedelta(days=31)
    )
    assert words.headline(empty, JUDGED).startswith("In March 2026 drift could not be tested: 0 rows")


@pytest.mark.parametrize(
    ("recall", "said"),
    [
        ((0.979, 0.95, 0.99), "97.9 % (95.0 to 99.0 %)"),
        ((0.9996, 0.9988, 0.9999), "99.96 % (99.88 to 99.99 %)"),
        ((0.99998, 0.9999, 1.0), "99.998 % (99.990 to 100 %)"),
        ((1.0, 1.0, 1.0), None),
    ],
)
def test_estimate_has_the_digits_that_tell_it_from_all(recall: tuple[float, float, float], said: str | None) -> None:
    """An interval without width tells nothing."""
    assert words.estimate(recall) == said
