"""What the ways of deciding found in the periods of a year, what they lost, and the policy in between."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from ml.report import year_comparison
from ml.report.year_data import Reaction
from tests.report.played_years import played_year


def test_periods_are_since_the_new_frauds_the_year_and_its_end() -> None:
    """The year with concept drift from month 7 on has three periods, and every way of deciding in each."""
    found = year_comparison.periods(played_year())
    assert [period.title for period in found] == [
        "Months 7 to 12, since the new frauds began",
        "Months 1 to 12, the whole year",
        "Months 9 to 12, the end of the year",
    ]
    since, whole, end = (dict(period.ways) for period in found)
    for way in (since, whole, end):
        assert list(way) == [
            "models that served",
            "models that served, with the rule until recovery",
            "first model, never retrained",
            "first model or a rule on the amount",
        ]
    served = since["models that served"].confusion
    assert (served.true_positives, served.positives, served.false_positives) == (47 + 53 + 4 * 156, 6 * 161, 1371)
    assert whole["models that served"].confusion.positives == 6 * 161 + 6 * 41
    interim = since["models that served, with the rule until recovery"]
    assert interim.confusion.true_positives == served.true_positives - 47 + 80
    assert end["first model or a rule on the amount"].value_detected == 4 * 80 * 120.5


def test_equal_periods_are_shown_once() -> None:
    """Without concept drift, and in a year that is no longer than its end."""
    quiet = dataclasses.replace(played_year(), onsets={}, rule_until_recovery=())
    assert [period.title[:14] for period in year_comparison.periods(quiet)] == ["Months 1 to 12", "Months 9 to 12"]
    short = played_year(months=1, requests=False)
    (only,) = year_comparison.periods(short)
    assert only.title == "Month 1, the whole year"
    assert (year_comparison.losses(short), year_comparison.losses(quiet)) == ("", "")


def test_summary_says_what_the_rule_finds_and_costs() -> None:
    """In the months since the new frauds began, also where the rule finds less."""
    assert year_comparison.summary(played_year()) == (
        "In months 7 to 12, since the new frauds began, the models that served found 724 of 966 frauds with 1,371 "
        "false alarms, and the first model or a rule on the amount 480 with 1,140. The rule found 244 fewer frauds "
        "and 29,402 less in amount, and raised 231 fewer false alarms. The rule and the first model together raised "
        "1,185 fewer false alarms than the first model alone, and found 240 more frauds."
    )


def test_losses_are_of_the_month_of_the_onset() -> None:
    """In money, of each way."""
    assert year_comparison.losses(played_year()) == (
        "In July (month 7), in which the new frauds began, frauds of 19,400 in amount were made. Missed of these: "
        "models that served 13,737; models that served, with the rule until recovery 9,760; first model, never "
        "retrained 14,580; first model or a rule on the amount 9,760."
    )


def test_policy_in_between_names_its_days() -> None:
    """From the day after the alarm to the recovery, or to the end; without an alarm there is none."""
    year = played_year()
    words = year_comparison.interim(year)
    assert "the alarm to begin: from 8 July 2026 to 20 July 2026, the day of the first roll-out" in words
    lost = dataclasses.replace(year, reaction=dataclasses.replace(year.reaction, recovery=None))
    assert "from 8 July 2026 to the end of the year, because no recovery" in year_comparison.interim(lost)
    calm = Reaction(onset=None, alarm=None, recovery=None)
    without = dataclasses.replace(year, reaction=calm, rule_until_recovery=())
    assert year_comparison.interim(without) == ""
    assert len(year_comparison.periods(without)[0].ways) == 3


@pytest.mark.parametrize(
    ("alarm", "recovery"),
    [
        (date(2026, 7, 7), date(2026, 7, 7)),
        (date(2026, 7, 9), date(2026, 7, 7)),
        (date(2026, 12, 31), None),
    ],
)
def test_policy_without_a_day_is_left_out(alarm: date, recovery: date | None) -> None:
    """A model had recovered by the alarm, or the alarm is on the year's last day: neither a row nor a text."""
    year = played_year()
    year = dataclasses.replace(year, reaction=dataclasses.replace(year.reaction, alarm=alarm, recovery=recovery))
    assert year_comparison.interim(year) == ""
    assert all(len(period.ways) == 3 for period in year_comparison.periods(year))
    assert year_comparison.INTERIM_NAME not in year_comparison.losses(year)
    before = dataclasses.replace(year.reaction, alarm=date(2026, 12, 30), recovery=None)
    last = year_comparison.interim(dataclasses.replace(year, reaction=before))
    assert "from 31 December 2026 to the end of the year" in last
