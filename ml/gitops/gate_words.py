"""Words the reasons of the gate for readers who do not know its rules. Decides nothing.

A reason is written by the Evaluate step (ml.model.gate) and stays as it is in evaluation.json and in the records.
Pages, comments and messages show it through `readable`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_UNDECIDED = re.compile(
    r"; its interval (?P<end>begins|ends) at [\d.]+(?: %)?, "
    r"but [\d,]+ rows cannot tell(?:, (?P<needed>[\d,]+) are needed)?: the rate itself decides\."
)
_NOT_SHOWN = re.compile(r"\b(?P<number>\d+) more checks passed\.")
"""The checks that the reason has no room for. None of them failed; that does not say that each could tell."""
_OUTCOMES = {"passed": "passed", "worse": "worse but tolerated", "cannot tell": "cannot tell"}
_ROWS = {"begins": "frauds", "ends": "legitimate rows"}
"""Which rows a rate is of: recall is compared where its interval begins, false positives where theirs ends."""


def readable(reason: str, checks: Sequence[Mapping[str, Any]] = ()) -> str:
    """A reason with what a rate was compared by, and how the checks that it leaves out ended, in words.

    Args:
        checks: the verdict's, as evaluation.json has them; without them the reason says only that none failed.

    Example: `Recall 0.98 > 0.60 on 15 frauds in the test window; its interval begins at 0.80, but 15 rows cannot tell,
    43 are needed: the rate itself decides.` becomes `Recall 0.98 > 0.60 on 15 frauds in the test window. Too few frauds
    to judge by the interval (43 needed), so the rate was compared.`
    """
    return _NOT_SHOWN.sub(lambda found: _rest(int(found["number"]), checks), _UNDECIDED.sub(_in_words, reason))


def _rest(number: int, checks: Sequence[Mapping[str, Any]]) -> str:
    """How the last `number` checks ended: a reason shows the first ones (ml.model.gate)."""
    if len(checks) < number:
        return f"{number} more: none failed (each passed, is worse but tolerated, or cannot tell)."
    found = Counter(check.get("outcome") for check in checks[-number:])
    counts = {name: found[name] for name in ("worse", "cannot tell")}
    counts = {"passed": number - sum(counts.values())} | counts
    return f"{number} more: {', '.join(f'{count} {_OUTCOMES[name]}' for name, count in counts.items() if count)}."


def _in_words(found: re.Match[str]) -> str:
    needed = f" ({found['needed']} needed)" if found["needed"] else ""
    return f". Too few {_ROWS[found['end']]} to judge by the interval{needed}, so the rate was compared."
