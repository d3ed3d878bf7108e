"""What is promised of a full simulated year, and which years of a kind miss it. Plays nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import Any

from ml.model import metrics
from tests.benchmarks.year_figures import LAST, ORACLE, SIDES, pooled, rate

MIN_RECALL, MIN_MEAN_RECALL, MAX_FIRST_KIND_LOSS = 0.93, 0.95, 0.02
MAX_FALSE_POSITIVE_RATE, MAX_EARLIER_RATE = 0.01, 0.012
MAX_DAYS_TO_ALARM, MAX_DAYS_TO_RECOVERY, MAX_MEAN_RECOVERY = 9, 35, 21
DAYS_TO_DROP = 30
Year = dict[str, Any]


def recall(year: Year, side: str) -> float | None:
    """Recall over the pooled last months."""
    counts = pooled(year["counts"][side][-LAST:])
    return rate(counts["detected"], counts["frauds"])


def first_kind_loss(year: Year) -> float | None:
    """The recall on frauds of the first kind that retraining loses, at equal false alarms."""
    return _loss_of(year, SIDES[0])


def oracle_loss(year: Year) -> float | None:
    """The recall on frauds of the first kind that the oracle loses; None in results without an oracle."""
    return _loss_of(year, ORACLE)


def _loss_of(year: Year, side: str) -> float | None:
    found = [year["equal_false_alarms"].get(each) or {} for each in (side, SIDES[1])]
    own, never = (each.get("recall_first_kind") for each in found)
    return None if own is None or never is None else never - own


def worst_rate(year: Year, first: int, last: int) -> float | None:
    """The highest false-positive rate of the months `first` to `last`, with retraining."""
    rates = [value for value in year["with_retraining"]["false_positive_rate"][first - 1 : last] if value is not None]
    return max(rates, default=None)


def worse_than_nothing(year: Year, part: str, of: str) -> bool:
    """Whether a rate of the last months is worse with retraining than the interval (Wilson's) of the first model's."""
    served, never = (pooled(year["counts"][side][-LAST:]) for side in SIDES[:2])
    before = metrics.rate(int(never[part]), int(never[of]), "no rows")
    after = rate(served[part], served[of])
    if after is None or before.low is None or before.high is None:
        return False
    return after > before.high if part == "false_alarms" else after < before.low


def misses(years: Sequence[Year]) -> list[str]:
    """The promises for a full year that a kind's years miss, and in which seeds."""
    checks: list[tuple[str, Callable[[Year], bool]]] = [
        (f"recall below {MIN_RECALL:.2f}", lambda year: _below(recall(year, SIDES[0]), MIN_RECALL)),
        ("more than 1 % false alarms in a month from 9 on", lambda year: _above(worst_rate(year, 9, 12), 0.01)),
        ("more than 1.2 % in months 6 to 8", lambda year: _above(worst_rate(year, 6, 8), MAX_EARLIER_RATE)),
        (
            f"no alarm within {MAX_DAYS_TO_ALARM} days",
            lambda year: year["has_concept_drift"] and _late(year["days_to_alarm"], MAX_DAYS_TO_ALARM),
        ),
        (
            f"no recovery within {MAX_DAYS_TO_RECOVERY} days",
            lambda year: year["has_concept_drift"] and _late(year["days_to_recovery"], MAX_DAYS_TO_RECOVERY),
        ),
        (
            "without new frauds, recall below the interval of the first model's",
            lambda year: not year["has_concept_drift"] and worse_than_nothing(year, "detected", "frauds"),
        ),
        (
            "without new frauds, false alarms above the interval of the first model's",
            lambda year: not year["has_concept_drift"] and worse_than_nothing(year, "false_alarms", "legitimate"),
        ),
        ("an alarm before the onset", lambda year: year["early_alarms"] > 0),
        (
            f"more than 1 % false alarms from {DAYS_TO_DROP} days after the end of the pattern on",
            lambda year: _above(year.get("false_positive_rate_after_end"), MAX_FALSE_POSITIVE_RATE),
        ),
        (
            f"the new part is not dropped within {DAYS_TO_DROP} days of the end of its pattern",
            lambda year: "days_to_drop" in year and _late(year["days_to_drop"], DAYS_TO_DROP),
        ),
    ]
    found = []
    for what, missed in checks:
        seeds = [str(year["seed"]) for year in years if missed(year)]
        if seeds:
            found.append(f"{what} ({len(seeds)} of {len(years)}: {', '.join(seeds)})")
    found += _mean_misses(years)
    return found


def _mean_misses(years: Sequence[Year]) -> Iterator[str]:
    average = mean_of([recall(year, SIDES[0]) for year in years])
    if _below(average, MIN_MEAN_RECALL):
        yield f"recall below {MIN_MEAN_RECALL:.2f} on average ({number(average)})"
    loss = mean_of([first_kind_loss(year) for year in years])
    if _above(loss, MAX_FIRST_KIND_LOSS):
        yield f"more than {MAX_FIRST_KIND_LOSS:.2f} of the first kind lost on average ({number(loss)})"
    days = [year["days_to_recovery"] for year in years if year["days_to_recovery"] is not None]
    if days and mean(days) > MAX_MEAN_RECOVERY:
        yield f"recovery after more than {MAX_MEAN_RECOVERY} days on average ({mean(days):.0f})"


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def _above(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def _late(days: int | None, limit: int) -> bool:
    return days is None or days > limit


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def number(value: float | None) -> str:
    """A figure with three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"
