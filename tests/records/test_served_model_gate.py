"""Whether an approved model would be within other limits, from the figures of its record."""

from __future__ import annotations

import pytest

from ml import config
from ml.errors import ConfigError
from ml.playground.template_state import FOLDER as SHIPPED
from ml.records import served_model_gate
from tests.harness.git.repositories import record

METRICS = {
    "recall": config.Interval(value=0.9, low=0.8, high=0.95, count=36, of=40),
    "false_positive_rate": config.Interval(value=0.008, low=0.006, high=0.01, count=36, of=4320),
}
LIMITS = {"min_recall": 0.6, "max_false_positive_rate": 0.015, "decides": "bound", "min_positives": 20}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "within"),
        ({"min_recall": 0.9}, "not within"),
        ({"min_recall": 0.85}, "depends"),
        ({"min_recall": 0.85, "decides": "point"}, "within"),
        ({"max_false_positive_rate": 0.009}, "depends"),
        ({"max_false_positive_rate": 0.007}, "not within"),
        ({"min_positives": 41}, "not within"),
    ],
)
def test_rates_intervals_and_frauds_are_compared(change: dict[str, object], status: str) -> None:
    """Recall must be more than its limit; the others may be at theirs. An interval matters only if it may decide."""
    limits = config.load_gate(SHIPPED).model_copy(update=LIMITS | change)
    assert served_model_gate.judge(limits, record(1, metrics=METRICS)).status == status


def test_figures_stand_beside_their_limits() -> None:
    """With their intervals."""
    limits = config.load_gate(SHIPPED).model_copy(update=LIMITS)
    assert served_model_gate.judge(limits, record(1, metrics=METRICS)).figures == (
        "recall 0.90 (0.80 to 0.95), more than 0.60 asked",
        "false-positive rate 0.80 % (0.60 % to 1.00 %), at most 1.50 % asked",
        "40 frauds, at least 20 asked",
    )


@pytest.mark.parametrize(
    ("name", "rates", "figure"),
    [
        ("recall", (0.598, 0.55, 0.7), "recall 0.598 (0.550 to 0.700), more than 0.600 asked"),
        ("recall", (0.9, 0.6004, 0.95), "recall 0.9000 (0.6004 to 0.9500), more than 0.6000 asked"),
        ("recall", (0.6, 0.5, 0.7), "recall 0.60 (0.50 to 0.70), more than 0.60 asked"),
        (
            "false_positive_rate",
            (0.015001, 0.01, 0.02),
            "false-positive rate 1.5001 % (1.0000 % to 2.0000 %), at most 1.5000 % asked",
        ),
    ],
)
def test_figure_that_is_not_its_limit_is_not_written_as_it(
    name: str, rates: tuple[float, float, float], figure: str
) -> None:
    """Otherwise one reads that 0.60 is not more than 0.6, where it is 0.598."""
    value, low, high = rates
    changed = METRICS[name].model_copy(update={"value": value, "low": low, "high": high})
    limits = config.load_gate(SHIPPED).model_copy(update=LIMITS)
    assert figure in served_model_gate.judge(limits, record(1, metrics=METRICS | {name: changed})).figures


def test_record_without_counts_cannot_be_judged() -> None:
    """A rate without its rows has no number of frauds."""
    limits = config.load_gate(SHIPPED)
    without = METRICS["recall"].model_copy(update={"count": None, "of": None})
    for metrics in ({"recall": METRICS["recall"]}, METRICS | {"recall": without}):
        with pytest.raises(ConfigError, match=r"0001\.yaml: metrics must have recall, with its number of frauds"):
            served_model_gate.judge(limits, record(1, metrics=metrics))
