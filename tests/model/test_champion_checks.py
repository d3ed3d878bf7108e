"""Tests of the comparison's conditions: what must be shown, and what only must not be shown to be worse."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ml.model import champion_checks
from ml.model.champion_comparison import NO_CHAMPION, Comparison, Slice
from ml.model.gate_check import Check
from ml.model.paired_difference import Difference
from ml.model.training_settings import Challenger
from tests.model.training_samples import GATE

RULE = GATE.challenger  # not_worse; a loss of recall of 0.1 is tolerated
BETTER = dataclasses.replace(RULE, policy="better")


def difference(low: float, high: float, champion: float = 0.8) -> Difference:
    """A difference with this interval."""
    middle = (low + high) / 2
    return Difference(challenger=champion + middle, champion=champion, difference=middle, low=low, high=high)


NOTHING = difference(-0.001, 0.001)


def compared(
    recall: Difference,
    *,
    precision: Difference = NOTHING,
    average_precision: Difference = NOTHING,
    false_positive_rate: Difference = NOTHING,
    slices: tuple[Slice, ...] = (),
) -> Comparison:
    """A comparison with these differences on 60 frauds."""
    return Comparison(
        status="compared",
        reason="Compared.",
        rows=1000,
        positives=60,
        recall=recall,
        precision=precision,
        average_precision=average_precision,
        false_positive_rate=false_positive_rate,
        slices=slices,
    )


def failed(comparison: Comparison, rule: object = RULE, *, must_show: bool = True) -> list[str]:
    """The names of the failed checks."""
    assert isinstance(rule, type(RULE))
    return [check.name for check in champion_checks.checks(rule, comparison, must_show=must_show) if not check.passed]


def named(comparison: Comparison, name: str) -> Check:
    """The check of this name."""
    return next(check for check in champion_checks.checks(RULE, comparison) if check.name == name)


def first(comparison: Comparison) -> Check:
    """The check of recall."""
    return next(iter(champion_checks.checks(RULE, comparison)))


@pytest.mark.parametrize(
    ("low", "high", "outcome", "passed"),
    [
        (0.01, 0.2, "better", True),
        (-0.1, 0.05, "not worse", True),
        (-0.1001, 0.05, "cannot tell", False),
        (-0.3, 0.3, "cannot tell", False),
        (-0.09, -0.01, "worse", True),
        (-0.3, -0.01, "worse", False),
    ],
)
def test_not_worse_must_be_shown(low: float, high: float, outcome: str, passed: bool) -> None:
    """The interval must exclude a loss of more than 0.1; a smaller loss is tolerated even if it is beyond chance."""
    check = first(compared(difference(low, high)))
    assert (check.outcome, check.passed, check.decided_by) == (outcome, passed, "bound")
    assert (check.bound, check.limit) == (low, -0.1)


def test_evidence_that_cannot_tell_is_stated_with_its_power() -> None:
    """The reason says so, and how often an equal model passes with this many frauds."""
    detail = first(compared(difference(-0.2, 0.1, champion=0.94))).detail
    assert "the evidence cannot tell whether this model is worse than the champion in recall" in detail
    assert detail.endswith("With 60 frauds, an equal model that misses others passes in 63 % of trials.")


@pytest.mark.parametrize(
    ("recall", "ranking", "passed"),
    [
        ((0.01, 0.2), (-0.01, 0.01), True),
        ((-0.05, 0.2), (0.01, 0.02), True),
        ((-0.05, 0.2), (-0.01, 0.02), False),
        ((-0.3, -0.2), (0.01, 0.02), False),
    ],
)
def test_better_must_be_shown(recall: tuple[float, float], ranking: tuple[float, float], passed: bool) -> None:
    """Recall or ranking is higher beyond chance, and recall is not lower beyond what is tolerated."""
    made = compared(difference(*recall), average_precision=difference(*ranking))
    assert ("champion_recall" not in failed(made, BETTER)) is passed


def test_new_threshold_need_not_show_that_it_is_not_worse() -> None:
    """It fails only if it is shown to be worse by more than is tolerated."""
    assert failed(compared(difference(-0.2, 0.1)), must_show=False) == []
    assert failed(compared(difference(-0.3, -0.11)), must_show=False) == ["champion_recall"]


def test_precision_of_a_new_threshold_is_not_checked() -> None:
    """A champion that alerts less than the policy allows is more precise; the limits of the change decide."""
    made = compared(difference(0.0, 0.1), precision=difference(-0.4, -0.2), average_precision=difference(-0.3, -0.2))
    assert failed(made) == ["champion_precision", "champion_average_precision"]
    assert failed(made, must_show=False) == ["champion_average_precision"]


@pytest.mark.parametrize(
    ("figure", "tolerated", "worse"),
    [
        ("precision", (-0.4, -0.15), (-0.4, -0.151)),
        ("average_precision", (-0.1, -0.02), (-0.1, -0.021)),
        ("false_positive_rate", (0.01, 0.05), (0.0101, 0.05)),
    ],
)
def test_other_figures_fail_if_worse_beyond_chance_and_margin(
    figure: str, tolerated: tuple[float, float], worse: tuple[float, float]
) -> None:
    """At the margin the challenger passes, beyond it the check has the figure's name; a lower rate of false alarms is
    better.
    """
    made = compared(NOTHING)
    changes: list[dict[str, Any]] = [{figure: difference(*interval)} for interval in (tolerated, worse)]
    assert failed(dataclasses.replace(made, **changes[0])) == []
    assert failed(dataclasses.replace(made, **changes[1])) == [f"champion_{figure}"]


def test_tolerated_loss_is_named_as_the_interval_shows_it() -> None:
    """All of the interval within the margin, or only a part of it; a rate of false alarms is given in percent."""
    ranking = dataclasses.replace(compared(NOTHING), average_precision=difference(-0.015, -0.001))
    within = named(ranking, "champion_average_precision")
    assert within.detail.startswith("Worse than the champion in average precision, by no more than is tolerated: ")
    ranking = dataclasses.replace(ranking, average_precision=difference(-0.05, -0.01))
    beyond = named(ranking, "champion_average_precision")
    assert (beyond.outcome, beyond.passed) == ("worse", True)
    assert "in average precision, not shown to be so by more than is tolerated: " in beyond.detail
    recall = first(compared(difference(-0.09, -0.01))).detail
    assert recall.startswith("Worse than the champion in recall, by no more than is tolerated: ")
    rate = Difference(challenger=0.00997, champion=0.00306, difference=0.00691, low=0.0064, high=0.0074)
    alarms = named(dataclasses.replace(compared(NOTHING), false_positive_rate=rate), "champion_false_positive_rate")
    assert "in false-positive rate, by no more than is tolerated: 1.0 % against 0.31 % (+0.69 points, " in alarms.detail


def test_recall_lost_in_a_slice_fails() -> None:
    """A model that forgets the frauds of one kind does not pass by finding those of another."""
    lost = Slice(name="known pattern", rows=900, positives=30, recall=difference(-0.5, -0.2))
    few = Slice(name="new pattern", rows=100, positives=3, recall=difference(-0.6, 0.4))
    none = Slice(name="amount below 5", rows=10, positives=0)
    made = compared(difference(0.1, 0.2), slices=(lost, few, none))
    assert failed(made) == ["champion_recall_known pattern"]
    unsure = [check for check in champion_checks.checks(RULE, made) if check.outcome == "cannot tell"]
    assert [check.name for check in unsure] == ["champion_recall_new pattern"]
    assert "The evidence cannot tell whether this model is worse than the champion in recall" in unsure[0].detail
    assert "on new pattern: the same 100 rows with 3 frauds." in unsure[0].detail


def test_no_comparison_has_no_checks() -> None:
    """Without a champion nothing is checked here."""
    assert failed(NO_CHAMPION) == []


@pytest.mark.parametrize(("rule", "word"), [(RULE, "worse"), (BETTER, "better")])
def test_comparison_with_too_few_frauds_cannot_tell(rule: Challenger, word: str) -> None:
    """The check has the counts; without a cause it fails too, and only missing inputs are left to a person."""
    few = Comparison(status="not possible", reason="9 frauds.", cause="few frauds", rows=900, positives=9)
    (check,) = champion_checks.checks(rule, few)
    assert (check.name, check.passed, check.outcome) == ("champion_comparison", False, "cannot tell")
    assert (check.observed, check.limit) == (9.0, float(rule.min_positives))
    assert f"cannot tell whether this model is {word} than the champion. 9 frauds. Train" in check.detail
    assert failed(few, rule, must_show=False) == []
    assert failed(dataclasses.replace(few, cause=None), rule) == ["champion_comparison"]
    assert failed(dataclasses.replace(few, cause="missing inputs"), rule) == []
