"""Concurrency groups."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from local_github.actions.concurrency import ConcurrencyGroups


def test_newest_run_replaces_the_waiting_run_of_a_group() -> None:
    """The waiting run is cancelled, the active run is not."""
    groups, deploy = ConcurrencyGroups(), [("deploy", False)]
    assert groups.enter(1, deploy) == ([], [])
    assert groups.try_activate(1, deploy)
    assert groups.enter(2, deploy) == ([], [])
    assert not groups.try_activate(2, deploy)
    assert groups.enter(3, deploy) == ([2], [])
    groups.leave(1)
    assert groups.try_activate(3, deploy)


def test_cancel_in_progress_cancels_the_active_run() -> None:
    """Group names are compared without case."""
    groups = ConcurrencyGroups()
    groups.enter(1, [("CI", True)])
    assert groups.try_activate(1, [("CI", True)])
    assert groups.enter(2, [("ci", True)]) == ([], [1])
    assert not groups.try_activate(2, [("ci", True)])
    groups.leave(1)
    assert groups.try_activate(2, [("ci", True)])


def test_run_in_several_groups_starts_when_all_are_free() -> None:
    """A run that waits for one group does not block another, so no deadlock is possible."""
    groups = ConcurrencyGroups()
    groups.enter(1, [("a", False)])
    assert groups.try_activate(1, [("a", False)])
    groups.enter(2, [("a", False), ("b", False)])
    assert not groups.try_activate(2, [("a", False), ("b", False)])
    groups.enter(3, [("b", False)])
    assert groups.try_activate(3, [("b", False)])


@given(moves=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["a", "b"]), st.booleans()), max_size=20))
def test_group_never_has_two_active_runs(moves: list[tuple[int, str, bool]]) -> None:
    """This holds for any order of arrivals and ends."""
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
