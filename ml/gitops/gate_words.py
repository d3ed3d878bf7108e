"""Words the reasons of the gate for readers who do not know its rules. Decides nothing.

A reason is written by the Evaluate step (ml.model.gate) and stays as it is in evaluation.json and in the records.
Pages, comments and messages show it through `readable`.
"""

from __future__ import annotations

import re

_UNDECIDED = re.compile(
    r"; its interval (?P<end>begins|ends) at [\d.]+(?: %)?, "
    r"but [\d,]+ rows cannot tell(?:, (?P<needed>[\d,]+) are needed)?: the rate itself decides\."
)
_ROWS = {"begins": "frauds", "ends": "legitimate rows"}
"""Which rows a rate is of: recall is compared where its interval begins, false positives where theirs ends."""


def readable(reason: str) -> str:
    """A reason with what a rate was compared by, in words.

    Example: `Recall 0.98 > 0.60 on 15 frauds in the test window; its interval begins at 0.80, but 15 rows cannot tell,
    43 are needed: the rate itself decides.` becomes `Recall 0.98 > 0.60 on 15 frauds in the test window. Too few frauds
    to judge by the interval (43 needed), so the rate was compared.`
    """
    return _UNDECIDED.sub(_in_words, reason)


def _in_words(found: re.Match[str]) -> str:
    needed = f" ({found['needed']} needed)" if found["needed"] else ""
    return f". Too few {_ROWS[found['end']]} to judge by the interval{needed}, so the rate was compared."
