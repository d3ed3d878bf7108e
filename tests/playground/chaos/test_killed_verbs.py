"""Verbs that SIGKILL ends at a random moment: one rerun of each repairs what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.playground.chaos import stored_results
from ml.playground.chaos.captured_month import FLUSH_SECONDS
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.killed_verbs import VERBS, KilledVerbs
from tests.benchmarks import kills

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


def test_one_rerun_repairs_each_verb(tmp_path: Path) -> None:
    """After the kill and the rerun of each verb the invariants hold; the lake has the bytes of a run without kills."""
    with ChaosEnvironment(ROOT, tmp_path, flush_seconds=FLUSH_SECONDS) as environment:
        trial = KilledVerbs(environment).run(1)
    assert [each.verb for each in trial.killed] == list(VERBS)
    assert any(each.running for each in trial.killed)
    assert [each.error for each in trial.killed] == [""] * len(VERBS)
    assert trial.violations == []


def test_differences_of_the_lake_are_named() -> None:
    """An object that is missing, left over or different is a violation."""
    assert stored_results.differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == [
        "a is missing",
        "c is left over",
        "b differs",
    ]


def test_page_is_made_from_the_figures() -> None:
    """docs/chaos.md has the table of docs/kills.json, which names the trials that violated an invariant."""
    assert kills.PAGE.read_text("utf-8") == kills.rendered()
    trials = [
        {
            "seed": 1,
            "killed": [["train", 0.5, True, ""], ["propose", 9.0, False, "exit code 3: no"]],
            "violations": ["x"],
        },
        {"seed": 2, "killed": [["train", 0.5, True, ""]], "violations": []},
    ]
    counted = kills.figures(trials)
    assert counted["verbs"]["train"] == [2, 1]
    assert counted["verbs"]["propose"] == [0, 0]
    assert "| 1 | x |" in kills.table(counted)
