"""docs/rollout.md is what its figures give, they keep what the page promises, and trials repeat."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.benchmarks import rollout


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed figures."""
    document: dict[str, Any] = json.loads(rollout.FILE.read_text("utf-8"))
    return document


def test_page_is_that_of_the_figures(figures: dict[str, Any]) -> None:
    """The tables are made from docs/rollout.json."""
    text = rollout.PAGE.read_text("utf-8")
    assert rollout.page(text, figures) == text
    assert rollout.tables(figures) in text


def test_every_bad_canary_was_rolled_back_and_no_sound_one(figures: dict[str, Any]) -> None:
    """Each by an alarm, within half of its bake time, having met about its half of the requests."""
    kinds = {run["kind"] for run in figures["canaries"]}
    assert kinds == set(rollout.KINDS)
    assert len(kinds) == 6
    for run in figures["canaries"]:
        assert bool(run["alarm"]) == (run["kind"] != "sound"), run
        if run["alarm"]:
            assert run["alarm"] in rollout.ALARMS, run
            assert run["seconds"] <= 300, run
    for kind in kinds:
        runs = [run for run in figures["canaries"] if run["kind"] == kind]
        share = sum(run["met"] for run in runs) / sum(run["requests"] for run in runs)
        assert share <= 0.6, kind


def test_stated_rate_is_kept(figures: dict[str, Any]) -> None:
    """No more sound challengers were rolled back than stated, in 200 trials and at the limits in 1,000."""
    for name, trials in (("sound", rollout.TRIALS), ("worst", rollout.WORST_TRIALS)):
        assert figures[name]["trials"] == trials
        assert figures[name]["rolled_back"] <= rollout.LIMITS.false_alarm_rate * trials


def test_trials_repeat() -> None:
    """A seed gives the same trial, sound or at the limits."""
    for worst in (False, True):
        assert [rollout.trial(seed, worst=worst) for seed in range(3)] == [False] * 3
