"""The limits that the first page's figures are judged by."""

from __future__ import annotations

from ml.site import limits, pages
from tests.site.sites import site
from tests.site.test_serving_facts import measured


def test_budget_and_policy_are_those_of_the_serving_model() -> None:
    """What the budget is for depends on the policy; the gate is that of main."""
    budget, policy, gate = limits.sentences(site(evidence=measured()))
    assert budget == (
        "Alert budget: alerts on 1 % of the transactions. It is a ruler for recall and reviews, not a limit: the "
        "threshold follows another policy."
    )
    assert policy == (
        "Threshold policy: the highest recall with alerts on at most 0.8 % of the legitimate transactions."
    )
    assert gate.startswith("Gate: a new model is proposed if its recall is more than 60 % on at least 15 frauds, ")
    assert gate.endswith("that it is not worse than the serving model: at most 13.5 points less recall.")
    limited = limits.sentences(site(evidence=measured("alert_budget")))
    assert limited[0].endswith("of the transactions. The threshold was chosen to keep it on the validation rows.")


def test_first_page_has_the_limits_beside_what_is_to_do() -> None:
    """Without the evaluation those of the gate alone."""
    assert len(limits.sentences(site(evidence={}))) == 1
    page = pages.render(site(evidence=measured()), pages.Addresses.of_repository(None))["index.html"]
    assert "<dt>Limits</dt><dd><ul><li>Alert budget: alerts on 1 %" in page
