"""Words the limits that the first page's figures are judged by: alert budget, threshold policy, gate. Decides nothing.

Budget and policy are those that the serving model was evaluated with; the gate is that of main, for the next model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml import config
from ml.site import wording
from ml.site.values import Site

_POLICIES = {
    "max_recall_at_fpr": "the highest recall with alerts on at most {} of the legitimate transactions",
    "alert_budget": "alerts on at most {} of the transactions",
    "min_cost": "the least cost, at {} for an alert",
    "fixed": "the score {} itself",
}
_LIMIT = "The threshold was chosen to keep it on the validation rows"
_RULER = "It is a ruler for recall and reviews, not a limit: the threshold follows another policy"


def chosen_for(evaluation: Mapping[str, Any]) -> str:
    """What the threshold of a model was chosen for."""
    threshold = evaluation["threshold"]
    policy, value = threshold["policy"], threshold["value"]
    shown = f"{value:g}" if policy in ("fixed", "min_cost") else wording.percent(value)
    return _POLICIES.get(policy, str(policy)).format(shown)


def sentences(site: Site) -> tuple[str, ...]:
    """The limits, a sentence each; budget and policy are left out if the serving model's evaluation was not read."""
    return (*_of_the_model(site), *_gate(site.gate))


def _of_the_model(site: Site) -> tuple[str, ...]:
    approval = site.current.approval if site.current is not None else None
    evidence = site.evidence.get(approval) if approval is not None else None
    evaluation = evidence.evaluation if evidence is not None else None
    if evaluation is None:
        return ()
    kind = _LIMIT if evaluation["threshold"]["policy"] == "alert_budget" else _RULER
    return (
        f"Alert budget: alerts on {wording.percent(evaluation['alert_budget'])} of the transactions. {kind}.",
        f"Threshold policy: {chosen_for(evaluation)}.",
    )


def _gate(gate: config.GateFile) -> tuple[str, str]:
    challenger = gate.challenger
    by = "the rate itself"
    if gate.decides == "bound":
        by = (
            "the lower end of its interval for recall and the upper end for false alarms where rows are enough, else "
            "by the rate itself"
        )
    loss = f"{100 * challenger.max_recall_loss:g} points"
    shown = f"that its recall is not lower than that of the serving model by more than {loss}"
    if challenger.policy == "better":
        shown = (
            "that its recall or its ranking (average precision) is better than that of the serving model, and does not "
            f"show that its recall is lower by more than {loss}"
        )
    return (
        f"Gate: a new model is proposed only if its recall is more than {wording.percent(gate.min_recall)} on at least "
        f"{gate.min_positives} frauds, with alerts on at most {wording.percent(gate.max_false_positive_rate)} of the "
        f"legitimate transactions, judged by {by}; and only if the evidence shows {shown}. A run that fits no "
        "coefficients need not show that.",
        "Other limits of the gate (model-config/training/gate.yaml), passed unless the new model is shown to be worse "
        f"than the serving one by more: precision {100 * challenger.max_precision_loss:g} points, average precision "
        f"{challenger.max_average_precision_loss:g}, false-positive rate "
        f"{100 * challenger.max_false_positive_rate_gain:g} points, recall in each slice {loss}.",
    )
