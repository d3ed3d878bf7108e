"""The gate's conditions on the comparison with the champion.

Each figure has one of four outcomes, by the interval of challenger minus champion and the loss that is tolerated:
better or worse beyond chance; not worse, if the interval excludes a greater loss; else the evidence cannot tell. Recall
must be shown as the policy says. Every other figure, and recall in each slice, stops a challenger only if it is worse
beyond chance by more than is tolerated. With too few frauds for a comparison nothing can be shown, so the challenger
fails; without the champion's inputs nothing ever could, so that a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from ml.model import paired_difference
from ml.model.champion_comparison import Comparison
from ml.model.gate_check import Check, Outcome, count
from ml.model.paired_difference import Difference
from ml.model.training_settings import Challenger

_WITHIN = ", by no more than is tolerated"
_NOT_SHOWN_BEYOND = ", not shown to be so by more than is tolerated"


def checks(rule: Challenger, comparison: Comparison, *, must_show: bool = True) -> Iterator[Check]:
    """The checks of a comparison; none without a champion, and none if the data no longer have its inputs.

    Args:
        must_show: whether recall must be shown as the policy says; otherwise it only must not be shown to be worse. A
            new threshold need not show it, nor is its precision checked: it follows from recall and false-positive
            rate, which threshold_change.py limits.
    """
    if comparison.recall is None:
        if must_show and comparison.status == "not possible" and comparison.cause != "missing inputs":
            yield _too_few(rule, comparison)
        return
    yield _recall(rule, comparison, comparison.recall, must_show=must_show)
    for name, difference, margin in (
        ("precision", comparison.precision if must_show else None, rule.max_precision_loss),
        ("average_precision", comparison.average_precision, rule.max_average_precision_loss),
    ):
        if difference is not None:
            yield _not_shown_worse(name, difference, margin, _where(comparison.rows, comparison.positives))
    if comparison.false_positive_rate is not None:
        yield _not_shown_worse(
            "false_positive_rate",
            comparison.false_positive_rate,
            rule.max_false_positive_rate_gain,
            _where(comparison.rows, comparison.positives),
            falling=True,
        )
    for part in comparison.slices:
        if part.recall is not None:
            where = f"{part.name}: {_where(part.rows, part.positives)}"
            yield _not_shown_worse("recall", part.recall, rule.max_recall_loss, where, suffix=f"_{part.name}")


def outcome(difference: Difference, margin: float, *, falling: bool = False) -> Outcome:
    """What the interval of a difference shows, if a loss of `margin` is tolerated.

    Args:
        falling: whether a lower figure is better, as for a false-positive rate.
    """
    low, high = (-difference.high, -difference.low) if falling else (difference.low, difference.high)
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "not worse" if low >= -margin else "cannot tell"


def _too_few(rule: Challenger, comparison: Comparison) -> Check:
    asked = "better" if rule.policy == "better" else "worse"
    return Check(
        name="champion_comparison",
        passed=False,
        observed=float(comparison.positives),
        limit=float(rule.min_positives),
        detail=(
            f"Champion gate failed: the evidence cannot tell whether this model is {asked} than the champion. "
            f"{comparison.reason} Train on a window with later labelled frauds."
        ),
        outcome="cannot tell",
    )


def _recall(rule: Challenger, comparison: Comparison, recall: Difference, *, must_show: bool) -> Check:
    found = outcome(recall, rule.max_recall_loss)
    shown_loss = recall.high < -rule.max_recall_loss
    ranking = comparison.average_precision
    better = found == "better" or (ranking is not None and ranking.low > 0)
    not_worse = recall.low >= -rule.max_recall_loss
    if not must_show:
        passed = not shown_loss
    elif rule.policy == "better":
        passed = better and not shown_loss
    else:
        passed = not_worse
    evidence = _evidence(recall, rule.max_recall_loss, _where(comparison.rows, comparison.positives))
    if passed:
        opening = "Better than the champion" if found == "better" else "Not worse than the champion"
        if found == "worse":
            opening = "Worse than the champion"
        elif not not_worse:
            opening = "Not shown to be worse than the champion"
        tolerated = (_WITHIN if not_worse else _NOT_SHOWN_BEYOND) if found == "worse" else ""
        detail = f"{opening} in recall{tolerated}: {evidence}"
    elif found == "worse":
        detail = f"Champion gate failed: worse than the champion in recall: {evidence}"
    elif rule.policy == "better":
        detail = f"Champion gate failed: not shown to be better than the champion in recall or ranking: {evidence}"
    else:
        detail = (
            f"Champion gate failed: the evidence cannot tell whether this model is worse than the champion in recall: "
            f"{evidence} {_power(rule, comparison.positives, recall.champion)}"
        )
    return Check(
        name="champion_recall",
        passed=passed,
        observed=recall.difference,
        limit=0.0 if rule.policy == "better" and must_show else -rule.max_recall_loss,
        detail=detail,
        bound=recall.low if must_show else recall.high,
        decided_by="bound",
        outcome=found,
    )


def _power(rule: Challenger, frauds: int, recall: float) -> str:
    chance = paired_difference.chance_of_passing(
        frauds, challenger=recall, champion=recall, margin=rule.max_recall_loss, confidence=rule.confidence
    )
    return f"With {count(frauds, 'fraud')}, an equal model that misses others passes in {100 * chance:.0f} % of trials."


def _not_shown_worse(
    name: str, difference: Difference, margin: float, where: str, *, falling: bool = False, suffix: str = ""
) -> Check:
    bound, limit = (difference.low, margin) if falling else (difference.high, -margin)
    passed = bound <= limit if falling else bound >= limit
    found = outcome(difference, margin, falling=falling)
    tolerated = ""
    if passed and found == "worse":
        within = difference.high <= margin if falling else difference.low >= -margin
        tolerated = _WITHIN if within else _NOT_SHOWN_BEYOND
    openings: dict[Outcome, str] = {
        "better": "Better than the champion",
        "not worse": "Not worse than the champion",
        "worse": "Worse than the champion",
        "cannot tell": "The evidence cannot tell whether this model is worse than the champion",
    }
    opening = openings[found] if passed else "Champion gate failed: worse than the champion"
    words = name.replace("false_positive", "false-positive").replace("_", " ")
    return Check(
        name=f"champion_{name}{suffix}",
        passed=passed,
        observed=difference.difference,
        limit=limit,
        detail=f"{opening} in {words}{tolerated}: {_evidence(difference, margin, where, falling=falling)}",
        bound=bound,
        decided_by="bound",
        outcome=found,
    )


def _evidence(difference: Difference, margin: float, where: str, *, falling: bool = False) -> str:
    """The figures in words; those of a false-positive rate in percent, since three decimals hide small rates."""
    if falling:
        gain, low, high = (100 * each for each in (difference.difference, difference.low, difference.high))
        return (
            f"{_percent(difference.challenger)} against {_percent(difference.champion)} ({gain:+.2f} points, interval "
            f"{low:+.2f} to {high:+.2f}, a rise of {100 * margin:g} points tolerated) on {where}."
        )
    return (
        f"{difference.challenger:.3f} against {difference.champion:.3f} ({difference.difference:+.3f}, interval "
        f"{difference.low:+.3f} to {difference.high:+.3f}, a loss of {margin:g} tolerated) on {where}."
    )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:#.2g} %"


def _where(rows: int, positives: int) -> str:
    return f"the same {count(rows, 'row')} with {count(positives, 'fraud')}"
