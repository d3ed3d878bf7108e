"""The limits that the first page's figures are judged by."""

from __future__ import annotations

import dataclasses
from typing import Any

from ml.site import limits, pages
from tests.site.sites import site
from tests.site.test_serving_facts import measured


def test_budget_and_policy_are_those_of_the_serving_model() -> None:
    """What the budget is for depends on the policy; the gate is that of main."""
    budget, policy, *_ = limits.sentences(site(evidence=measured()))
    assert budget == (
        "Alert budget: alerts on 1 % of the transactions. It is a ruler for recall and reviews, not a limit: the "
        "threshold follows another policy."
    )
    assert policy == (
        "Threshold policy: the highest recall with alerts on at most 0.8 % of the legitimate transactions."
    )
    limited = limits.sentences(site(evidence=measured("alert_budget")))
    assert limited[0].endswith("of the transactions. The threshold was chosen to keep it on the validation rows.")


def gate(**challenger: Any) -> tuple[str, ...]:
    """The sentences on the gate of a site whose evaluation was not read."""
    made = site(evidence={})
    rules = made.gate.model_copy(update={"challenger": made.gate.challenger.model_copy(update=challenger)})
    return limits.sentences(dataclasses.replace(made, gate=rules))


OPENING = (
    "Gate: a new model is proposed only if its recall is more than 60 % on at least 15 frauds, with alerts on at most "
    "1.5 % of the legitimate transactions, judged by the lower end of its interval for recall and the upper end for "
    "false alarms where rows are enough, else by the rate itself; and only if the evidence shows that "
)
REST = " A run that fits no coefficients need not show that."


def test_gate_is_said_by_its_policy() -> None:
    """`better` demands that recall or ranking is better; a loss of recall is limited with both. The rest is named."""
    first, second = gate()
    lost = "its recall is not lower than that of the serving model by more than 13.5 points."
    assert first == OPENING + lost + REST
    assert second == (
        "Other limits of the gate (model-config/training/gate.yaml), passed unless the new model is shown to be worse "
        "than the serving one by more: precision 15 points, average precision 0.02, false-positive rate 0.75 points, "
        "recall in each slice 13.5 points."
    )
    better, same = gate(policy="better")
    assert (
        better
        == OPENING
        + (
            "its recall or its ranking (average precision) is better than that of the serving model, and does not show "
            "that its recall is lower by more than 13.5 points."
        )
        + REST
    )
    assert same == second
    made = site(evidence={})
    (point, _) = limits.sentences(dataclasses.replace(made, gate=made.gate.model_copy(update={"decides": "point"})))
    assert "of the legitimate transactions, judged by the rate itself; and only if the evidence shows" in point


def test_first_page_has_the_limits_beside_what_is_to_do() -> None:
    """Without the evaluation those of the gate alone."""
    assert len(limits.sentences(site(evidence={}))) == 2
    page = pages.render(site(evidence=measured()), pages.Addresses.of_repository(None))["index.html"]
    assert "<dt>Limits</dt><dd><ul><li>Alert budget: alerts on 1 %" in page
