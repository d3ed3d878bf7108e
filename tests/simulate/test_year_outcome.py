"""The outcome of simulated years with the product's own steps and rules, in one process."""

from __future__ import annotations

import pytest

from ml.simulate import scenario
from ml.simulate.year_traffic import Year
from tests.benchmarks.in_process import InProcess, Played, pooled


def played(name: str, seed: int, months: int = 12) -> Played:
    """The simulated year of a scenario of the project."""
    year = Year(scenario.load(name), seed=seed)
    return InProcess(year).play(months)


@pytest.mark.slow
def test_retraining_restores_recall_in_the_default_year() -> None:
    """Without retraining recall ends below 0.40; with it, months 9 to 12 have at least 0.90 at 1 % false positives."""
    year = played("both", seed=1)
    last = pooled(year.served[8:])
    assert last.true_positives / last.positives >= 0.90
    assert last.false_positives / last.negatives <= 0.01
    assert year.control[-1].true_positives / year.control[-1].positives < 0.40
    assert {request[0] for request in year.requests} >= {8}
    assert min(request[0] for request in year.requests) > 4
    concept = next(request for request in year.requests if request[1] == "concept")
    assert (concept[0], concept[2][:10], concept[3]) == (8, "2026-07-01", "passed")


def test_year_without_drift_has_no_requests() -> None:
    """Six equal months: every verdict is none, nothing is requested, and both years are equal."""
    year = played("none", seed=4, months=6)
    assert year.requests == []
    assert {name for verdict in year.verdicts for name in verdict.verdicts} <= {"none", "labels immature"}
    assert year.served == year.control


@pytest.mark.long
def test_unlearnable_drift_opens_the_circuit_breaker() -> None:
    """After two gate failures nothing more is trained until a person acts."""
    year = played("unlearnable", seed=0, months=10)
    assert [(request[0], request[1], request[3]) for request in year.requests] == [
        (8, "concept", "failed"),
        (9, "concept", "failed"),
        (10, "concept", "circuit breaker open"),
    ]
