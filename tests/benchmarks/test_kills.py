"""docs/chaos.md's table of killed verbs: the figures of trials, and that the page has those of docs/kills.json."""

from __future__ import annotations

from typing import Any

from ml.playground.chaos.killed_verbs import VERBS
from tests.benchmarks import kills


def trial(seed: int, *, running: bool = True, error: str = "", violations: tuple[str, ...] = ()) -> dict[str, Any]:
    """A trial in which each verb met its kill in the same way."""
    killed = [[verb, 1.5, running, error] for verb in VERBS]
    return {"seed": seed, "killed": killed, "violations": list(violations)}


def test_only_running_verbs_count_as_killed_and_only_sound_trials_as_repaired() -> None:
    """A verb that had ended was not killed; an error of the rerun, or a violation, is no repair."""
    trials = [trial(1), trial(2, running=False), trial(3, error="CloudError"), trial(4, violations=("an orphan",))]
    counted = kills.figures(trials)
    assert (counted["trials"], counted["last_trial"]) == (4, 4)
    assert counted["verbs"] == {verb: [3, 1] for verb in VERBS}
    assert counted["violations"] == {"4": ["an orphan"]}
    table = kills.table(counted)
    assert "4 trials. Violations: 1." in table
    assert "| drift check | 3 | 1 |" in table
    assert "| 4 | an orphan |" in table


def test_later_trials_are_added_to_the_committed_figures() -> None:
    """A session continues after the last trial of another one, whose results are gone; no trial counts twice."""
    first, second = trial(1), trial(2, violations=("x",))
    known = kills.figures([first])
    assert kills.added(known, [first]) == known
    assert kills.added(known, [first, second]) == kills.figures([first, second])


def test_page_has_the_committed_figures() -> None:
    """The page is what `make kills OPTIONS=--page` writes."""
    assert kills.PAGE.read_text(encoding="utf-8") == kills.rendered()
