"""The first page: what serves, what is merged and not deployed, alerts, drift and open requests in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ml.site import model_card, overview, pages
from ml.site.values import AlarmState, Evidence
from tests.harness.aws.deployments import finished
from tests.report.evaluations import evaluation
from tests.site.sites import at, check, period, site


def test_now_answers_in_words() -> None:
    """What serves, since when, approved by whom; alerts a day; the drift check; requests; the next check."""
    now = overview.now(site())
    assert now.heading == "Model 0001 serves"
    (sentence,) = now.sentences
    assert sentence.startswith("It serves since 2 May 2026, 07:00 UTC. The rollback was approved by bob and merged by")
    assert now.alerts == "7.3 a day: 226 of 24,000 transactions (0.942 %) from 1 to 31 May 2026"
    assert now.drift.startswith("In May 2026 V28 moved ")
    assert now.drift.endswith(". Against model 0001; checked on 1 June 2026, 05:00 UTC.")
    assert now.requests == "1, since 1 June 2026"
    assert now.alarms == "1 of 3 in alarm, 1 without data"
    (ringing,) = now.ringing
    assert ringing.startswith("drift since 1 June 2026, 06:00 UTC: Traffic has drifted.")
    assert now.next_check == "3 June 2026, 05:00 UTC"
    assert now.budget == "The alert budget of model 0001 is not known: its evaluation was not read."
    assert now.recall.startswith("not estimated; ")
    assert now.labels.startswith("none: no transaction that model 0001 scored")
    assert now.no_request == ""


def test_alerts_of_a_model_that_decided_a_part_are_of_the_traffic_of_the_window() -> None:
    """Another model decided the first half of the month: 113 alerts on 12,000 of 24,000 rows in 31 days."""
    half = check(5, 1, {"V28": 0.33}, decided=12_000, alerts=113)
    assert overview.now(site(checks=(half,))).alerts == (
        "113 of 12,000 transactions that model 0001 decided (0.942 %) from 1 to 31 May 2026: about 7.3 a day at "
        "the window's 774 transactions a day"
    )


def test_first_page_says_what_a_person_has_to_do() -> None:
    """Each source that needs a person is one sentence; where none does, the page says so."""
    now = overview.now(site())
    assert not now.idle
    assert now.actions == (
        "Find out why Git, registry, lake and GitHub do not say the same, as listed below.",
        "Look at the CloudWatch alarms that are listed below.",
        "A retrain request is open: see that its training runs, and review the model that it proposes.",
    )
    calm = {"disagreements": (), "alarms": (), "requests": (), "missing": ()}
    now = overview.now(site(**calm))
    assert now.idle
    assert now.actions == (
        "No action is due by the rules for Git, registry and drift checks. Open pull requests, issues and failed "
        "workflow runs on GitHub are not read here.",
    )
    unread = overview.now(site(**(calm | {"alarms": None}))).actions[0]
    assert unread.startswith(
        "No action is due by the rules for Git, registry and drift checks, as far as they could be read."
    )
    unchecked = overview.now(site(**calm, checks=())).actions[0]
    assert unchecked.startswith("No action is due by the rules for Git and registry. ")
    drifted = overview.now(site(**(calm | {"checks": (check(5, 1, {}, fired=("concept",)),)})))
    assert drifted.actions == ("Look at the latest drift check: concept.",)
    failed = period(2, at(4), None, deployments=(finished(2, "2026-04-01T07:00:00Z", status="failed", reason="No."),))
    assert overview.now(site(**calm, periods=(period(1, at(3), None), failed))).actions == (
        "The deployment of model 0002 failed: run deploy.yml again, or merge its rollback if one is open.",
    )
    assert overview.now(site(**calm, offline=True)).actions == (
        "What there is to do is not known without the account.",
    )
    page = pages.render(site(**calm), pages.Addresses.of_repository(None))["index.html"]
    assert "<dt>To do</dt><dd>No action is due by the rules for Git, registry and drift checks" in page


def test_alerts_beyond_the_budget_are_for_a_person_to_judge() -> None:
    """No rule acts on them, so the page names them where it says that no action is due."""
    evidence = {
        1: Evidence(evaluation=evaluation() | {"alert_budget": 0.01}, calibration=None, picture=None, missing=())
    }
    calm: dict[str, Any] = {"disagreements": (), "alarms": (), "requests": (), "missing": (), "evidence": evidence}
    over = site(**calm, checks=(check(5, 1, {}, decided=12_264, alerts=160),))
    now = overview.now(over)
    assert now.idle
    assert now.budget.startswith("Over the alert budget of 1 %")
    assert now.to_judge.startswith(
        "For a person to judge: the interval of the share of alerts lies above the alert budget"
    )
    page = pages.render(over, pages.Addresses.of_repository(None))["index.html"]
    assert f"not read here.<p>{now.to_judge}</p></dd>" in page
    about = site(**calm, checks=(check(5, 1, {}, decided=12_264, alerts=120),))
    assert overview.now(about).to_judge == ""
    assert "For a person to judge" not in pages.render(about, pages.Addresses.of_repository(None))["index.html"]
    assert overview.now(site(**calm, checks=())).to_judge == ""


def test_models_must_not_be_compared_by_their_lines() -> None:
    """Each was measured on test rows of its own."""
    page = pages.render(site(), pages.Addresses.of_repository(None))["index.html"]
    assert "figures are of its own test rows, which are not those of the others: do not compare them" in page


def test_rows_that_no_check_has_filled_yet_are_one() -> None:
    """Alerts, recall and labels are known after the first check, which the page explains once."""
    page = pages.render(site(checks=(), missing=()), pages.Addresses.of_repository(None))["index.html"]
    assert "<dt>Alerts, recall, labels</dt><dd>Known after the first drift check, which reads them" in page
    assert "<dt>Labels</dt>" not in page


def test_reason_without_a_check_is_that_of_the_site() -> None:
    """A window may have ended without traffic, nothing may serve, and offline the lake is not read."""
    known: dict[str, Any] = {"checks": (), "missing": ()}
    stored = overview.now(site(**known)).unchecked
    assert "none of a window that has ended is stored" in stored
    assert "none has ended" not in stored
    nothing = overview.now(site(**known, periods=(period(None, at(4), None),))).unchecked
    assert nothing.startswith("Not known: no drift check is stored, and nothing serves.")
    assert overview.now(site(**known, offline=True)).unchecked == "Not known without the account."
    assert overview.now(site()).unchecked == ""


def test_check_that_decided_no_row_knows_no_alerts() -> None:
    """Another model may have decided all of them: this is not `0 of 0`."""
    page = pages.render(site(checks=(check(5, 1, {}, decided=0, alerts=0),)), pages.Addresses.of_repository(None))[
        "drift.html"
    ]
    assert "24,000 transactions, alerts not known, judged against the drift reference of model" in page
    assert "0 of 0" not in page


def test_latest_check_says_whether_to_act() -> None:
    """The first page has the words of the drift page."""
    calm = overview.now(site())
    assert (calm.urgency, calm.urgent) == ("shifted inputs only", False)
    drifted = overview.now(site(checks=(check(5, 1, {}, fired=("concept",)),)))
    assert (drifted.urgency, drifted.urgent) == ("needs action: concept", True)
    assert overview.now(site(checks=())).urgency == ""


def test_archives_that_differ_are_marked() -> None:
    """As what fired is; a site whose sources agree has no such mark."""
    whole = site()
    approved = whole.records[1].artifact.sha256
    for registered, marked in ((approved, False), ("e" * 64, True)):
        read = dataclasses.replace(whole.evidence[1], registered=registered, compared=at(6, 2))
        deployed = tuple(dataclasses.replace(each, artifact_sha256=approved) for each in whole.periods[-1].deployments)
        periods = (*whole.periods[:-1], dataclasses.replace(whole.periods[-1], deployments=deployed))
        page = pages.render(site(periods=periods, evidence={1: read}), pages.Addresses.of_repository(None))
        assert ('<dd class="fired">they differ' in page["index.html"]) == marked


def test_check_of_the_model_before_is_named_as_such() -> None:
    """Drift of what no longer serves is not that of what does."""
    now = overview.now(site(periods=(period(1, at(3), at(6)), period(2, at(6), None))))
    assert now.drift.endswith(". Against model 0001, which no longer serves; checked on 1 June 2026, 05:00 UTC.")
    assert now.alerts.startswith("not known yet: no window of model 0002")


def test_merged_model_that_is_not_deployed_is_named() -> None:
    """What serves goes on, and the reason of a failed deployment is said."""
    waiting = period(2, at(4), None, start=None, deployments=())
    first = period(1, at(3), None)
    assert overview.now(site(periods=(first, waiting))).sentences[1] == (
        "Main names model 0002 since 1 April 2026, 06:00 UTC, and it is not deployed yet."
    )
    failed = dataclasses.replace(
        waiting, deployments=(finished(2, "2026-04-01T07:00:00Z", status="failed", reason="It did not start."),)
    )
    assert (
        overview.now(site(periods=(first, failed)))
        .sentences[1]
        .endswith("and its deployment failed: It did not start.")
    )
    nothing = period(None, at(5), None)
    assert overview.now(site(periods=(first, nothing))).sentences[1] == "The serving pointer on main names nothing."


def test_without_sources_the_page_says_so() -> None:
    """Offline nothing is known of alerts and drift; with an empty lake, no window was checked yet."""
    offline = overview.now(site(offline=True, checks=(), next_check=None))
    assert (offline.heading, offline.alerts, offline.drift) == ("Git names model 0001", "not known", "not known")
    assert offline.next_check == "drift.yml on main has no daily schedule"
    assert overview.now(site(alarms=None)).alarms == "not read"
    assert overview.now(site(alarms=())).alarms == "the stack has none"
    removed = overview.now(site(alarms=(AlarmState(name="drift", state="MISSING", since=None, meaning=""),)))
    assert (removed.alarms, removed.ringing) == (
        "none of 1 in alarm, 1 removed",
        ("drift: the stack has this alarm, and the account does not",),
    )
    assert overview.now(site(checks=())).drift == "no window was checked yet"


@pytest.mark.parametrize(("offline", "heading"), [(True, "Git names no model"), (False, "Nothing serves")])
def test_pointer_to_nothing_is_a_heading(*, offline: bool, heading: str) -> None:
    """Git alone does not know what serves."""
    periods = (period(1, at(3), at(4)), period(None, at(4), None))
    assert overview.now(site(periods=periods, offline=offline)).heading == heading


def test_models_are_lines_with_what_serves_marked() -> None:
    """One line for each card."""
    whole = site()
    cards = [model_card.card(whole, whole.records[number]) for number in (2, 1)]
    lines = overview.models(whole, cards)
    assert [(line.approval, line.serves) for line in lines] == [(2, False), (1, True)]
    assert lines[0].recall == "90 % (80 to 95 %)"
    assert lines[1].false_positive_rate == "–"
