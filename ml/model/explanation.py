"""Explains a score: what each input, bin and level adds to the log-odds of a part, and which pattern it follows.

The contributions are the terms of the regression itself, so they are exact: with a part's intercept they add up to its
log-odds. A linear term counts from its mean in training. Never estimates a contribution, and never fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import category_levels, time_units
from ml.model.model_parts import IDENTITY, KNOWN, NEW, Bins, Feature, LevelTable, Part
from ml.model.scorer import Scorer

OTHER = "(other values)"
"""The level of values that share a coefficient: rare in training, or not seen there."""
_SECONDS_PER_HOUR, _HOURS = 3600.0, 24


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one term adds to the log-odds of a part.

    `interval` is None for a linear term, else the bin that the value lies in, from the first number (included) to the
    second (not), in units of the input, or in hours for the hour of the day.

    The value of a category is its text; `level` is that text if the part has a coefficient for it, and OTHER if the
    coefficient is that of all other values. It is None for a number.
    """

    input: str
    value: float | str
    interval: tuple[float, float] | None
    log_odds: float
    level: str | None = None


@dataclass(frozen=True, kw_only=True)
class PartExplanation:
    """The terms of one part; `log_odds` is `intercept` plus the contributions, which are sorted by magnitude."""

    pattern: str
    intercept: float
    contributions: tuple[Contribution, ...]
    log_odds: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One row's score, its decision and its parts; `pattern` is that of the part with the higher probability."""

    score: float
    alert: bool
    pattern: str
    parts: tuple[PartExplanation, ...]


def explain(scorer: Scorer, row: Sequence[float | str]) -> Explanation:
    """Explains the score of `row`: one finite number per name in `scorer.inputs`, and a category's text.

    Raises:
        ValueError: the row has another number of values, or text where the model takes a number.
    """
    if len(row) != len(scorer.inputs):
        raise ValueError(f"a row must have {len(scorer.inputs)} values (got {len(row)})")
    values, texts = {}, {}
    for name, value in zip(scorer.inputs, row, strict=True):
        levels = scorer.document.levels.get(name)
        if levels is None:
            values[name] = float(value)
            continue
        text = category_levels.text_of(value)
        if text is None:
            raise ValueError(f"{name} must be {category_levels.EXPECTED} (got {value!r})")
        texts[name], values[name] = text, levels.place(text)
    numbers = list(values.values())
    score, log_odds = scorer.score_row(numbers), scorer.log_odds([numbers])
    time = scorer.document.time
    per_hour = _SECONDS_PER_HOUR * time_units.per_second(None if time is None else time.unit)
    parts = [
        _explain_part(part, values, texts, own, per_hour)
        for part, own in zip(scorer.document.parts, log_odds[0].tolist(), strict=True)
    ]
    return Explanation(
        score=score,
        alert=score >= scorer.threshold.score,
        pattern=patterns(log_odds)[0],
        parts=tuple(parts),
    )


def reasons(explained: Explanation) -> dict[str, Any]:
    """The explanation as JSON values, as the endpoint answers them.

    {"pattern", "parts": [{"pattern", "log_odds", "intercept", "reasons": [{"input", "value", "log_odds"}, …]}, …]}. A
    reason of a bin also has "from" (included) and "to" (not), null without a bound; that of a category "level".
    """
    return {
        "pattern": str(explained.pattern),
        "parts": [
            {
                "pattern": part.pattern,
                "log_odds": part.log_odds,
                "intercept": part.intercept,
                "reasons": [_reason(term) for term in part.contributions],
            }
            for part in explained.parts
        ],
    }


def _reason(term: Contribution) -> dict[str, Any]:
    reason: dict[str, Any] = {"input": term.input, "value": term.value, "log_odds": term.log_odds}
    if term.interval is not None:
        low, high = (bound if math.isfinite(bound) else None for bound in term.interval)
        reason |= {"from": low, "to": high}
    if term.level is not None:
        reason["level"] = term.level
    return reason


def patterns(log_odds: ArrayLike) -> NDArray[np.str_]:
    """The pattern that each row follows most, `known` or `new`; `known` if both are as probable, or there is one part.

    Args:
        log_odds: of each row in each part, as `Scorer.log_odds` returns them.
    """
    parts = np.asarray(log_odds, dtype=np.float64)
    follows_new = parts[:, -1] > parts[:, 0]
    return np.where(follows_new, NEW, KNOWN)


def _explain_part(
    part: Part, values: dict[str, float], texts: dict[str, str], log_odds: float, per_hour: float
) -> PartExplanation:
    line = part.recalibration or IDENTITY
    terms = [_of_feature(term, values[term.name], line.slope) for term in part.features]
    terms += [_of_bins(table, values[table.input], line.slope, per_hour) for table in part.bins]
    terms += [_of_levels(known, texts[known.input], line.slope) for known in part.levels]
    return PartExplanation(
        pattern=part.pattern,
        intercept=line.slope * part.intercept + line.intercept,
        contributions=tuple(sorted(terms, key=lambda term: -abs(term.log_odds))),
        log_odds=log_odds,
        probability=1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0,
    )


def _of_feature(term: Feature, value: float, slope: float) -> Contribution:
    low, high = term.limits or (-math.inf, math.inf)
    counted = min(max(value, low), high)
    if term.transform == "log1p":
        counted = math.log1p(max(counted, 0.0))
    contribution = slope * term.coefficient * (counted - term.mean) / term.scale
    return Contribution(input=term.name, value=value, interval=None, log_odds=contribution)


def _of_levels(table: LevelTable, text: str, slope: float) -> Contribution:
    return Contribution(
        input=table.input,
        value=text,
        interval=None,
        log_odds=slope * table.coefficient(text),
        level=text if text in table.levels else OTHER,
    )


def _of_bins(table: Bins, value: float, slope: float, per_hour: float) -> Contribution:
    placed = value if table.kind == "value" else float(math.floor(value / per_hour) % _HOURS)
    at = int(np.searchsorted(np.asarray(table.edges), placed, side="right"))
    ends = (-math.inf, math.inf) if table.kind == "value" else (0.0, float(_HOURS))
    bounds = (ends[0], *table.edges, ends[1])
    return Contribution(
        input=table.input, value=value, interval=(bounds[at], bounds[at + 1]), log_odds=slope * table.coefficients[at]
    )
