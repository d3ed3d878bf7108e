"""What serves in words: alerts against the budget, labels and recall, and why shifts asked for no retrain."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from ml.report.judged_rows import JudgedRows
from ml.site import serving_facts
from ml.site.values import Evidence, Site
from tests.report.evaluations import evaluation
from tests.site.sites import at, check, period, site

JUDGED = JudgedRows(approval=1, rows=12_264, all_rows=24_000, days=(date(2026, 5, 16), date(2026, 5, 31)))


def latest(**changes: Any) -> Site:
    """A site without open requests whose latest check, of May, has these values; model 0001 serves."""
    return site(requests=(), evidence=measured(), checks=(check(5, 1, {"V1": 0.06, "V28": 0.33}, **changes),))


def measured(policy: str = "max_recall_at_fpr", budget: float = 0.01) -> dict[int, Evidence]:
    """The evidence of model 0001 alone, which was evaluated with this alert budget."""
    found = evaluation() | {"alert_budget": budget}
    found["threshold"] = found["threshold"] | {"policy": policy}
    return {1: Evidence(evaluation=found, calibration=None, picture=None, missing=())}


def served(approval: int, start: datetime, **changes: Any) -> Site:
    """A site whose pointer named this model last; it serves from `start` on."""
    before = period(1, at(3), start)
    return site(requests=(), periods=(before, period(approval, start, None, start=start)), **changes)


def test_alerts_are_those_of_the_judged_days() -> None:
    """A model that began to serve in the middle of the month raised its alerts since then."""
    found = latest(decided=12_264, alerts=160, judged=JUDGED)
    assert serving_facts.alerts(found) == (
        "160 of 12,264 transactions that model 0001 decided (1.3 %) from 16 to 31 May 2026: about 10.1 a day "
        "at the window's 774 transactions a day"
    )
    night = JudgedRows(approval=1, rows=5, all_rows=24_000, days=(date(2026, 5, 30), date(2026, 5, 31)))
    few = latest(decided=5, alerts=1, judged=night)
    assert serving_facts.alerts(few) == "1 of 5 transactions that model 0001 decided (20 %) from 30 to 31 May 2026"
    assert "alerts a day" not in serving_facts.budget(few)
    assert serving_facts.alerts(latest(decided=0)) == "not known"


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        (160, "Over the alert budget of 1 %, 7.7 alerts a day (interval 1.12 to 1.52 %)."),
        (120, "About the alert budget of 1 %, 7.7 alerts a day ("),
        (60, "Within the alert budget of 1 %, 7.7 alerts a day ("),
        (0, "Within the alert budget of 1 %, 7.7 alerts a day (interval 0 to "),
    ],
)
def test_alerts_are_compared_with_the_budget(alerts: int, said: str) -> None:
    """Beyond chance, and with what the budget is for."""
    found = serving_facts.budget(latest(decided=12_264, alerts=alerts))
    assert found.startswith(said)
    whole = serving_facts.budget(latest(alerts=160))
    assert whole.startswith("Within the alert budget of 1 %, 7.7 alerts a day (interval ")


def test_without_decisions_there_is_no_budget_to_compare() -> None:
    """And none without a check."""
    assert serving_facts.budget(latest(decided=0)) == ""
    assert serving_facts.budget(site(checks=())) == ""


def test_budget_is_that_of_the_approval() -> None:
    """Not the one that main has for the next training; without the evaluation it is not known."""
    found = latest(decided=12_264, alerts=160)
    assert serving_facts.budget(site(checks=found.checks, evidence=measured(budget=0.02))).startswith(
        "Within the alert budget of 2 %"
    )
    assert serving_facts.budget(site(checks=found.checks, evidence={})) == (
        "The alert budget of model 0001 is not known: its evaluation was not read."
    )


def test_model_that_was_just_deployed_has_no_facts_of_the_one_before() -> None:
    """Alerts, labels and recall of May are of model 0001; model 0002 has its own recall on its test rows."""
    now = served(2, at(6), checks=(check(5, 1, {"V28": 0.33}, recall=(0.9, 0.8, 0.95)),))
    unknown = (
        "not known yet: no window of model 0002, which serves since 1 June 2026, 06:00 UTC, was checked; the latest "
        "check, of 1 to 31 May 2026, is of model 0001"
    )
    assert serving_facts.alerts(now) == serving_facts.labels(now) == unknown
    assert serving_facts.budget(now) == ""
    assert serving_facts.recall(now) == f"{unknown}; 90 % (80 to 95 %) on its test rows"
    assert serving_facts.no_request(now) == (
        "No request is open: that is of model 0001, which no longer serves, and drift counts against the model that "
        "serves."
    )


def test_facts_are_of_the_time_since_the_model_serves() -> None:
    """A check of model 0001 from before a rollback to it says nothing about now."""
    checks = (check(3, 1, {}), check(4, 2, {}))
    assert serving_facts.alerts(served(1, at(5), checks=checks)).startswith("not known yet: no window of model 0001")
    before = served(1, at(5), checks=checks[:1])
    assert serving_facts.former(before) == "model 0001, before it served again"
    again = served(1, at(5), checks=(*checks, check(5, 1, {})))
    assert serving_facts.former(again) == ""
    assert serving_facts.alerts(again).endswith("from 1 to 31 May 2026")


def test_immature_labels_say_when_they_are_expected() -> None:
    """By the shortest time that labels of a window took, which a later evaluation of it does not lengthen."""
    soon = check(3, 1, {}, concept_tested=True, evaluated=at(4, 20))
    again = check(4, 1, {}, concept_tested=True, evaluated=at(6, 1))
    now = check(5, 1, {}, label_days=16)
    assert serving_facts.labels(site(checks=(soon, again, now))) == (
        "0 of 16 days are mature: the test for concept drift of model 0001 on mature labels has not been done yet in "
        "this window (the daily concept test does not wait for them; each run of drift.yml has its result in its "
        "summary); a day needs labels of 98 % of its rows and an age of 7 days. Of all windows so far, the labels of 1 "
        "to 31 March 2026 were mature the soonest, 20 days after its last day; as soon as that, these are expected "
        "about 20 June 2026."
    )
    late = serving_facts.labels(site(checks=(soon, now), built=at(7)))
    assert late.endswith("were expected about 20 June 2026. They are late: see `fraudops labels status`.")
    tested = latest(label_days=16, mature_days=16, concept_tested=True)
    assert serving_facts.labels(tested) == "16 of 16 days are mature: concept drift of model 0001 was tested."
    assert serving_facts.labels(site(checks=())) == "not known"


def test_labels_are_expected_after_the_last_day_of_the_model() -> None:
    """And not before the rule's age, which is all that is known before a window was tested."""
    half = check(5, 1, {}, label_days=16, judged=replace(JUDGED, days=(date(2026, 5, 1), date(2026, 5, 16))))
    assert serving_facts.labels(site(checks=(half,))).endswith("an age of 7 days. That is 24 May 2026 at the earliest.")
    assert serving_facts.labels(latest(label_days=0)) == (
        "none: no transaction that model 0001 scored in this window has an id that labels can be joined to."
    )


def test_recall_is_estimated_beside_that_of_the_test_rows() -> None:
    """An estimate without labels is not a measurement."""
    second = check(5, 2, {}, recall=(0.979, 0.95, 0.99))
    assert serving_facts.recall(served(2, at(5), checks=(second,))) == (
        "97.9 % (95.0 to 99.0 %), estimated without labels; 90 % (80 to 95 %) on its test rows. Concept drift can "
        "break the estimate."
    )
    unknown = served(2, at(5), checks=(check(5, 2, {}),))
    assert serving_facts.recall(unknown) == "not estimated; 90 % (80 to 95 %) on its test rows"
    certain = check(5, 2, {}, recall=(1.0, 1.0, 1.0))
    assert serving_facts.recall(served(2, at(5), checks=(certain,))) == (
        "not known; 90 % (80 to 95 %) on its test rows. An estimate without labels would say the same whatever "
        "happens, because no fraud of the model's held-out rows scored below the threshold."
    )
    assert serving_facts.recall(served(9, at(5), checks=(check(5, 9, {}),))) == "not estimated"
    assert serving_facts.recall(site(checks=())) == "not known; 90 % (80 to 95 %) on its test rows"
    assert serving_facts.recall(site(periods=(), checks=())) == "not known"


def test_digests_of_git_registry_and_deployment_are_compared() -> None:
    """With the time of the comparison; a difference names each of them."""
    whole = site()
    approved = whole.records[1].artifact.sha256

    def found(registered: str | None, deployed: str = approved) -> str:
        read = Evidence(
            evaluation=None, calibration=None, picture=None, missing=(), registered=registered, compared=at(6, 2)
        )
        deployment = replace(whole.periods[-1].deployments[-1], artifact_sha256=deployed)
        periods = (*whole.periods[:-1], replace(whole.periods[-1], deployments=(deployment,)))
        return serving_facts.digest(site(periods=periods, evidence={1: read}))

    assert found(approved) == (
        f"sha256 {approved[:12]} in Git's approval, the registry and the deployment record; compared on 2 June 2026, "
        "06:00 UTC"
    )
    assert found("e" * 64) == (
        f"they differ: Git's approval has sha256 {approved}, the registry has sha256 {'e' * 64}, the deployment record "
        f"has sha256 {approved}; compared on 2 June 2026, 06:00 UTC"
    )
    assert ", the registry has none, " in found("")
    assert f"the deployment record has sha256 {'d' * 64}" in found(approved, "d" * 64)
    assert serving_facts.digest(site(evidence={})) == (
        f"sha256 {approved[:12]} in Git's approval; the registry was not read"
    )
    assert serving_facts.digest(site(periods=())) == "not known"


def test_rules_of_requests_are_those_of_main() -> None:
    """A kind of drift that needs several windows is told from one that asks at once."""
    shipped = site().drift_rules
    assert serving_facts.request_rules(site()) == (
        "What asks for a retrain: data or prediction drift if 2 of the latest 3 windows have it; concept drift as soon "
        "as a window has it; an alarm of the daily test at once."
    )
    one = shipped.decide.data.model_copy(update={"windows": 1, "of": 1})
    rules = shipped.model_copy(update={"decide": shipped.decide.model_copy(update={"data": one})})
    assert serving_facts.request_rules(site(drift_rules=rules)).startswith(
        "What asks for a retrain: data or concept drift as soon as a window has it; prediction drift if 2 of the "
    )


def test_shifts_that_asked_for_nothing_are_explained() -> None:
    """How many windows the rule needs and has; with enough of them, what else holds a request back."""
    assert serving_facts.no_request(latest()) == (
        "1 of 2 inputs shifted. No request is open: data drift asks for a retrain if it is in 2 of the latest 3 "
        "windows that were checked against the serving model, and it is in 1."
    )
    enough = site(requests=(), checks=(check(4, 1, {}, fired=("data",)), check(5, 1, {"V28": 0.3})))
    said = serving_facts.no_request(enough)
    assert "and it is in 2; its cooldown is 21 days, at most 2 requests a month" in said
    assert serving_facts.no_request(site()) == ""
    assert serving_facts.no_request(latest(fired=())) == ""
