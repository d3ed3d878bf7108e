"""Explains the words of an approval's pull request that a reviewer may not know, folded. The site uses them too."""

from __future__ import annotations

from ml.gitops.markdown_escaping import details, table

MEANINGS = {
    "champion": "the model that serves while a new one is compared with it",
    "known pattern, new pattern": "the frauds that the champion was made for, and those that began since; an adapted "
    "model has a part for each, and a transaction counts to the part that gives it the higher odds of fraud",
    "adapt, drop, fit, threshold": "kinds of run: a part for new frauds beside the champion, without that part, all "
    "coefficients anew, the same coefficients with a new threshold",
    "mature labels": "labels old and complete enough that later corrections are unlikely",
    "alert budget": "the share of the transactions that may become alerts, because people look at them",
    "average precision": "how well the scores rank frauds before others, over all thresholds; 1 is best",
    "within chance": "the 95 % interval of a difference contains zero: rows drawn again could show the opposite",
}
"""The meaning of each word, without a capital and a full stop."""


def section() -> str:
    """A folded table of the words and their meanings."""
    return details("Words", table(("word", "meaning"), [*MEANINGS.items()]))
