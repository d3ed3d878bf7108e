"""The gate's conditions on a model that is the champion without its part for new patterns (a run of kind `drop`).

The part is dropped because its frauds have stopped, and it must be shown that it costs more than it finds: on the same
test rows, all of them from after the end, false alarms must be fewer beyond chance, and recall must not leave the
interval of the champion's. Thousands of legitimate rows decide the first. The second needs few frauds: the part for
known patterns keeps its alerts, so only frauds that the dropped part alone finds can be lost.
"""

from __future__ import annotations

from ml.model import metrics
from ml.model.champion_comparison import Comparison
from ml.model.gate_check import Check, count


def checks(comparison: Comparison) -> tuple[Check, ...]:
    """Two checks against the champion on the rows of `comparison`; one that fails if they could not be compared."""
    recall, rate = comparison.recall, comparison.false_positive_rate
    if recall is None or rate is None:
        detail = f"Drop gate failed: the champion's part can be dropped only by comparison. {comparison.reason}"
        return (Check(name="drop_comparison", passed=False, observed=None, limit=0.0, detail=detail),)
    frauds = comparison.positives
    fewer = rate.high < 0
    opening = "Without the part there are fewer false alarms" if fewer else "Drop gate failed: not shown to be fewer"
    of = count(comparison.rows - frauds, "legitimate row")
    false_alarms = Check(
        name="drop_false_positive_rate",
        passed=fewer,
        observed=rate.difference,
        limit=0.0,
        detail=(
            f"{opening}{'' if fewer else ' false alarms without the part'}: {_percent(rate.challenger)} against "
            f"{_percent(rate.champion)} (interval of the difference {_percent(rate.low)} to {_percent(rate.high)}) of "
            f"{of}."
        ),
        bound=rate.high,
        decided_by="bound",
        outcome="better" if fewer else "cannot tell",
    )
    before = metrics.rate(round(recall.champion * frauds), frauds, "no frauds")
    limit = before.low or 0.0
    kept = recall.challenger >= limit
    words = "Recall stays within chance of" if kept else "Drop gate failed: recall falls beyond chance below"
    return false_alarms, Check(
        name="drop_recall",
        passed=kept,
        observed=recall.challenger,
        limit=limit,
        detail=(
            f"{words} the champion's: {_percent(recall.challenger)} against {_percent(recall.champion)}, whose "
            f"interval begins at {_percent(limit)}, of {count(frauds, 'fraud')}."
        ),
    )


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
