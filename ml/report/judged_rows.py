"""Says which rows of a window a drift check judges: those that the serving model scored. Decides nothing.

The inputs of all rows of a window are tested, whichever model scored them. Scores and labels are those of the model of
the check alone; a model that began to serve within the window scored a part of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, kw_only=True)
class JudgedRows:
    """The rows that the model `approval` scored, of all with an answer, with the first and last day that has some.

    The days are None if no row has an id to join labels on.
    """

    approval: int
    rows: int
    all_rows: int
    days: tuple[date, date] | None

    @property
    def others(self) -> int:
        """The rows that other models scored."""
        return self.all_rows - self.rows

    @property
    def share(self) -> float:
        """The share of the window's rows that are judged."""
        return self.rows / max(self.all_rows, 1)

    @property
    def model(self) -> str:
        """The model in words."""
        return f"model {self.approval:04d}"

    @property
    def when(self) -> str:
        """The days in words, e.g. `from 29 to 31 July 2026`; empty if they are not known."""
        if self.days is None:
            return ""
        first, last = self.days
        end = f"{last.day} {last:%B %Y}"
        if first == last:
            return f"on {end}"
        same = (first.year, first.month) == (last.year, last.month)
        return f"from {first.day} to {end}" if same else f"from {first.day} {first:%B %Y} to {end}"


def read(document: Mapping[str, Any], rows: int) -> JudgedRows | None:
    """The rows that a stored check judges, of those answered of all `rows`; None if its model answered every one."""
    versions = dict(document.get("traffic", {}).get("other_models", {}))
    answered = rows - versions.pop("", 0)  # no model has answered the others: refused requests, answers not captured
    others = sum(versions.values())
    if not others:
        return None
    days = sorted(date.fromisoformat(str(day["day"])) for day in document["labels"]["days"] if day["rows"])
    return JudgedRows(
        approval=document["model"]["approval"],
        rows=max(answered - others, 0),
        all_rows=answered,
        days=(days[0], days[-1]) if days else None,
    )
