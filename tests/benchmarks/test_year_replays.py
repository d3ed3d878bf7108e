"""Results of years count for changed code where, and only where, a year played again gives every figure again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.year_replays import Replays

FIRST = {"seed": 20, "fingerprint": "aaaa", "seconds": 25, "recall": [0.9, 0.8], "days_to_alarm": 5}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "years" / "replays.json"


def test_results_of_the_same_code_need_no_replay(path: Path) -> None:
    assert Replays(path).covers("default", "aaaa", "aaaa")
    assert not Replays(path).covers("default", "aaaa", "bbbb")


def test_a_kind_with_equal_figures_is_carried_over_and_others_are_not(path: Path) -> None:
    assert Replays(path).add("default", FIRST, FIRST | {"fingerprint": "bbbb", "seconds": 40}) == []
    read_again = Replays(path)
    assert read_again.covers("default", "aaaa", "bbbb")
    assert not read_again.covers("default", "cccc", "bbbb")
    assert not read_again.covers("default", "aaaa", "cccc")
    assert not read_again.covers("region", "aaaa", "bbbb")
    assert "Seed 20" in read_again.sentence("default") and "`bbbb`" in read_again.sentence("default")
    assert read_again.sentence("region") == ""


@pytest.mark.parametrize("change", [{"recall": [0.9, 0.81]}, {"days_to_alarm": None}, {"a_new_figure": 1}])
def test_a_figure_that_differs_is_named_and_carries_nothing_over(path: Path, change: dict[str, object]) -> None:
    replays = Replays(path)
    assert replays.add("default", FIRST, FIRST | {"fingerprint": "bbbb"} | change) == [*change]
    assert not replays.covers("default", "aaaa", "bbbb")
    assert not path.exists()


def test_a_second_change_carries_over_results_of_both_codes(path: Path) -> None:
    replays = Replays(path)
    replays.add("default", FIRST, FIRST | {"fingerprint": "bbbb"})
    replays.add("default", FIRST, FIRST | {"fingerprint": "cccc"})
    assert replays.covers("default", "aaaa", "cccc") and replays.covers("default", "bbbb", "cccc")


def test_results_that_were_never_compared_are_not_carried_over(path: Path) -> None:
    replays = Replays(path)
    replays.add("default", FIRST, FIRST | {"fingerprint": "bbbb"})
    replays.add("default", FIRST | {"fingerprint": "dddd"}, FIRST | {"fingerprint": "cccc"})
    assert not replays.covers("default", "aaaa", "cccc")
