"""docs/retraining.md: its figures of simulated years are those of docs/years/."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

from tests.benchmarks import year_promises, years
from tests.benchmarks.year_kinds import KINDS, SEEDS

PAGE = " ".join((Path(__file__).resolve().parents[1] / "docs/retraining.md").read_text("utf-8").split())
OVER_BUDGET = ("half of top 2 %", "half of top 5 %", "fifth of top 1 %", "fifth of top 2 %", "fifth of top 5 %")
"""The kinds whose new frauds exceed the alert budget, as docs/years.md says of each."""


def results(kind: str) -> list[dict[str, Any]]:
    """The years of a kind, as they were played."""
    return [json.loads(years.year_path(kind, seed).read_text("utf-8")) for seed in SEEDS]


def adaptations(*kinds: str) -> list[dict[str, Any]]:
    """The runs of these kinds of year that adapted, or would have."""
    return [run for kind in kinds for year in results(kind) for run in year["requests"] if run["kind"] == "adapt"]


def refused(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that gave no model."""
    return [run for run in runs if run["result"] != "passed"]


def days(run: dict[str, Any]) -> int:
    """The length of a run's training window."""
    start, end = map(date.fromisoformat, run["window"])
    return (end - start).days


def test_refused_adaptations_are_counted() -> None:
    """All kinds, those over the alert budget, region, and the others, also on at most three weeks of rows."""
    every, over, region = adaptations(*KINDS), adaptations(*OVER_BUDGET), adaptations("region")
    others = adaptations(*(kind for kind in KINDS if kind not in (*OVER_BUDGET, "region")))
    young = [run for run in others if days(run) <= 21]
    assert f"refused {len(refused(every))} of {len(every)} adaptations: {len(refused(over))} in the five kinds" in PAGE
    assert f"{len(refused(region))} in `region`, and {len(refused(others))} of {len(others)} in the other eight" in PAGE
    assert f"{len(refused(young))} of the {len(young)} on at most three weeks" in PAGE
    assert all(run["reason"].startswith("False-positive gate failed") for run in refused(young))
    default = adaptations("default")
    assert refused(default) == []
    assert f"in default years, none of {len(default)}" in PAGE


def test_missed_promises_have_their_figures() -> None:
    """The loss of the first kind, that of the oracle on the same seeds, and false alarms with data drift alone."""
    played = results("default")
    loss, oracle = (
        mean(found for year in played if (found := measure(year)) is not None)
        for measure in (year_promises.first_kind_loss, year_promises.oracle_loss)
    )
    limit = f"{year_promises.MAX_FIRST_KIND_LOSS:g}".lstrip("0")
    shown, least = (f"{value:.3f}".lstrip("0") for value in (loss, oracle))
    assert f"{shown} of the frauds of the first kind are lost on average (seeds {SEEDS[0]} to {SEEDS[-1]})" in PAGE
    assert (
        f"at most {limit} was asked. An oracle that knows the scenario's rule loses {least} on the same seeds" in PAGE
    )
    years = results("data only")
    more, lower = (
        sum(year_promises.worse_than_nothing(year, *rate) for year in years)
        for rate in (("false_alarms", "legitimate"), ("detected", "frauds"))
    )
    assert f"{more} of {len(years)} years have more false alarms, and {lower} a lower recall, than" in PAGE
