"""Computes the score of a captured row again, with the endpoint's own parser, and explains it. Reads no file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml.model import explanation
from ml.model.category_levels import Levels
from ml.model.request_parser import RequestParser
from ml.model.scorer import Scorer
from ml.model.scoring_responses import PayloadError

TOLERANCE = 1e-9
"""Scores that differ by less are equal, as in the smoke test: the endpoint's libraries may round the last bit
differently."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """What one input adds to the log-odds of a part.

    `low` (included) and `high` (not) are the ends of the bin that the value lies in, in hours of the day if
    `hour_of_day`; None where it is open, or if there is no bin. `level` is the level of a category whose coefficient
    counts; None for a number.
    """

    input: str
    value: float | str
    low: float | None
    high: float | None
    hour_of_day: bool
    level: str | None
    log_odds: float


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the model: `log_odds` is `intercept` plus the terms, the largest first."""

    pattern: str
    probability: float
    log_odds: float
    intercept: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """The score that the archive gives; `pattern` is the one that the row follows most, known or new."""

    score: float
    alert: bool
    calibrated: float
    """The fraud rate to expect among rows like this one."""
    pattern: str
    parts: tuple[Part, ...]

    def differences(self, score: float, decision: int, threshold: float) -> list[str]:
        """Where the captured answer is another one. `decision` is -1 if none was captured."""
        found = []
        if not abs(self.score - score) <= TOLERANCE:  # `not <=` so that NaN differs
            found.append(f"the captured score is {score!r}, and the archive gives {self.score!r}")
        elif decision not in (-1, self.alert) and abs(self.score - threshold) > TOLERANCE:
            words = {True: "an alert", False: "no alert"}
            found.append(f"the captured decision is {words[bool(decision)]}, and the archive gives {words[self.alert]}")
        return found


class _RecordedLevels(Levels):
    """The levels of a category, and the texts whose places were asked for, in order."""

    def __init__(self, known: Levels) -> None:
        super().__init__(known.levels)
        self.texts: list[str] = []

    def place(self, text: str) -> float:
        self.texts.append(text)
        return super().place(text)


def compute(scorer: Scorer, body: str, content_type: str | None, row: int) -> Recomputed:
    """The score of row `row` of a request, from 0.

    Raises:
        PayloadError: the model's parser refuses the request, so that this model cannot have answered it.
    """
    document = scorer.document
    recorded = {name: _RecordedLevels(levels) for name, levels in document.levels.items()}
    parser = RequestParser(document.inputs, document.amount, document.iso_times, recorded)
    rows = parser.parse(body, content_type).rows
    if row >= len(rows):
        raise PayloadError(400, f"the request has {len(rows)} rows for this model, and row {row} was answered")
    numbers = rows[row]
    values: list[float | str] = [
        recorded[name].texts[row] if name in recorded else value
        for name, value in zip(scorer.inputs, numbers, strict=True)
    ]
    found = explanation.explain(scorer, values)
    return Recomputed(
        score=found.score,
        alert=found.alert,
        calibrated=float(scorer.calibrated([numbers])[0]),
        pattern=found.pattern,
        parts=tuple(
            Part(
                pattern=part.pattern,
                probability=part.probability,
                log_odds=part.log_odds,
                intercept=part.intercept,
                terms=tuple(_term(term, document.clock) for term in part.contributions),
            )
            for part in found.parts
        ),
    )


def _term(term: explanation.Contribution, clock: str | None) -> Term:
    low, high = term.interval or (-math.inf, math.inf)
    return Term(
        input=term.input,
        value=term.value,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        hour_of_day=term.interval is not None and term.input == clock,
        level=term.level,
        log_odds=term.log_odds,
    )
