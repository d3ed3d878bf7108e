"""The words of the site's pages that a reader may not know, each in a sentence. The page of words shows them.

What an approval's pull request explains as well has its meaning from there.
"""

from __future__ import annotations

from ml.gitops.approval_words import MEANINGS
from ml.site.values import Site

_OF_APPROVALS = {
    "alert budget": "alert budget",
    "average precision": "average precision",
    "champion, model before": "champion",
    "kind of training": "adapt, drop, fit, threshold",
    "known pattern, new pattern": "known pattern, new pattern",
    "mature labels": "mature labels",
    "within chance": "within chance",
}
"""The words of approval_words.py by their names on the site."""
_OWN = {
    "alarm": "The daily test found more frauds than the drift reference has, before labels are mature.",
    "alert, false alarm": "A transaction with a score at or above the threshold; one that is no fraud.",
    "approval, pull request": "Merging an approval's pull request approves one model.",
    "concept drift": "The relation between transaction and fraud has changed, for example by a new kind of fraud.",
    "data drift, shifted inputs": "The distribution of the inputs has changed; fraud may be as before.",
    "drift reference": "What inputs, scores and frauds looked like in the rows that a model was approved on.",
    "effect size w": "How far the shares of a text column's values are from the reference (Cohen's w): 0 is no change, "
    "0.1 small, 0.5 large.",
    "first kind of fraud": "In a simulated year, the frauds that the scenario did not relabel.",
    "gate": "The limits that a new model must meet to be proposed: model-config/training/gate.yaml.",
    "prediction drift": "The distribution of scores, or the share of alerts, has changed.",
    "recall, precision": "The share of the frauds that raise an alert; the share of the alerts that are frauds.",
    "since (in the reason of a request)": "An estimate of when the new frauds began, made from the labels known at the "
    "time; requests may differ in it.",
    "suppressed request": "A retrain that was due and not requested, with what held it back.",
}
_OF_A_DEMO = "In the demo a script approves, and the local GitHub's own user merges."


def words(site: Site) -> tuple[tuple[str, str], ...]:
    """The words in alphabetical order, each with its meaning in sentences; who approves in a demo only on its site."""
    found = _OWN | {name: _sentence(MEANINGS[word]) for name, word in _OF_APPROVALS.items()}
    if site.simulated:
        found["approval, pull request"] += f" {_OF_A_DEMO}"
    return tuple(sorted(found.items()))


def _sentence(meaning: str) -> str:
    return f"{meaning[:1].upper()}{meaning[1:]}."
