"""One condition of the gate, and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["better", "not worse", "worse", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of the gate: the observed value, the limit, and a sentence with both.

    `bound` is the end of the interval that is compared with `limit` if `decided_by` is `bound`. `outcome` is what a
    comparison with the champion shows, None for a limit.
    """

    name: str
    passed: bool
    observed: float | None
    limit: float
    detail: str
    bound: float | None = None
    decided_by: Literal["point", "bound"] = "point"
    outcome: Outcome | None = None


def digits(observed: float, limit: float) -> tuple[str, str]:
    """Both with the limit's decimals, at least two, or with as many as are needed for different texts."""
    written = len(f"{limit:.12g}".partition(".")[2])
    for decimals in range(max(2, written), 17):
        texts = f"{observed:.{decimals}f}", f"{limit:.{decimals}f}"
        if observed == limit or texts[0] != texts[1]:
            return texts
    return repr(observed), repr(limit)


def count(number: int, what: str) -> str:
    """`1 fraud`, `2,000 frauds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
