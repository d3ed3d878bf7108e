"""The words of the site's pages that a reader may not know, each in a sentence. The page of words shows them."""

from __future__ import annotations

WORDS: tuple[tuple[str, str], ...] = (
    ("alarm", "The daily test found more frauds than the drift reference has, before labels are mature."),
    ("alert budget", "The share of the transactions that may become alerts, because people look at them."),
    ("alert, false alarm", "A transaction with a score at or above the threshold; one that is no fraud."),
    (
        "approval, pull request",
        "Merging an approval's pull request approves one model. In the demo a script approves, and the local GitHub's "
        "own user merges.",
    ),
    ("average precision", "How well the scores rank frauds before others, over all thresholds; 1 is best."),
    ("champion, model before", "The model that serves while a new one is compared with it."),
    ("concept drift", "The relation between transaction and fraud has changed, for example by a new kind of fraud."),
    ("data drift, shifted inputs", "The distribution of the inputs has changed; fraud may be as before."),
    ("drift reference", "What inputs, scores and frauds looked like in the rows that a model was approved on."),
    (
        "effect size w",
        "How far the shares of a text column's values are from the reference (Cohen's w): 0 is no change, 0.1 small, "
        "0.5 large.",
    ),
    ("first kind of fraud", "In a simulated year, the frauds that the scenario did not relabel."),
    ("gate", "The limits that a new model must meet to be proposed: model-config/training/gate.yaml."),
    (
        "kind of training",
        "fit: all coefficients from the rows; adapt: the model before as the part for known patterns, and a part for "
        "new ones; drop: without that part; threshold: the same coefficients with a new threshold.",
    ),
    (
        "known pattern, new pattern",
        "An adapted model has two parts. A transaction counts to the one that gives it the higher odds of fraud: the "
        "model before (known), or the part that was fitted to the new frauds (new).",
    ),
    ("mature labels", "Labels old and complete enough that later corrections are unlikely."),
    ("prediction drift", "The distribution of scores, or the share of alerts, has changed."),
    ("recall, precision", "The share of the frauds that raise an alert; the share of the alerts that are frauds."),
    (
        "since (in the reason of a request)",
        "An estimate of when the new frauds began, made from the labels known at the time; requests may differ in it.",
    ),
    ("suppressed request", "A retrain that was due and not requested, with what held it back."),
    (
        "within chance",
        "The 95 % interval of a difference contains zero: rows drawn again could show the opposite.",
    ),
)
