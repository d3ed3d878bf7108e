"""Concurrency groups."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from local_github.actions.concurrency import ConcurrencyGroups


def test_a_group_has_one_that_goes_one_that_waits_and_the_newest_takes_the_waiting_place() -> None:
    """GitHub's own rule: what waited is cancelled, what goes is not."""
    groups, deploy = ConcurrencyGroups(), [("deploy", False)]
    assert groups.enter(1, deploy) == ([], [])
    assert groups.try_activate(1, deploy)
    assert groups.enter(2, deploy) == ([], [])
    assert not groups.try_activate(2, deploy)
    assert groups.enter(3, deploy) == ([2], [])
    groups.leave(1)
    assert groups.try_activate(3, deploy)


def test_cancel_in_progress_ends_what_goes_too() -> None:
    """And names of groups are compared without case."""
    groups = ConcurrencyGroups()
    groups.enter(1, [("CI", True)])
    assert groups.try_activate(1, [("CI", True)])
    assert groups.enter(2, [("ci", True)]) == ([], [1])
    assert not groups.try_activate(2, [("ci", True)])
    groups.leave(1)
    assert groups.try_activate(2, [("ci", True)])


def test_a_run_in_several_groups_goes_when_it_may_in_all() -> None:
    """It holds none of them meanwhile, so that nothing can wait for each other for ever."""
    groups = ConcurrencyGroups()
    groups.enter(1, [("a", False)])
    assert groups.try_activate(1, [("a", False)])
    groups.enter(2, [("a", False), ("b", False)])
    assert not groups.try_activate(2, [("a", False), ("b", False)])
    groups.enter(3, [("b", False)])
    assert groups.try_activate(3, [("b", False)])


@given(moves=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["a", "b"]), st.booleans()), max_size=20))
def test_never_do_two_runs_of_one_group_go(moves: list[tuple[int, str, bool]]) -> None:
    """Whatever comes in whichever order."""
    groups, going, number = ConcurrencyGroups(), dict[str, int](), 0
    for choice, name, cancel in moves:
        if choice == 1 and name in going:
            groups.leave(going.pop(name))
            continue
        number += 1
        replaced, ended = groups.enter(number, [(name, cancel)])
        assert len(replaced) <= 1
        assert set(ended) <= {going.get(name)}
        if groups.try_activate(number, [(name, cancel)]):
            assert name not in going
            going[name] = number
