"""The kinds of runs have an order, and each name is read strictly."""

from __future__ import annotations

import itertools

import pytest

from ml.model import run_kinds
from ml.model.run_kinds import ADAPT, DROP, FIT, RUN_KINDS, THRESHOLD


def test_widest_kind_covers_all_requested() -> None:
    """For every set of kinds one run does what each of them was to do; without any it is a fit."""
    for count in range(1, 4):
        for requested in itertools.product(RUN_KINDS, repeat=count):
            widest = run_kinds.widest(requested)
            assert widest in requested
            assert all(run_kinds.covers(widest, kind) for kind in requested)
    assert run_kinds.widest(()) == FIT


def test_covers_is_not_symmetric() -> None:
    """A new threshold is no adaptation, and an adaptation no refit."""
    assert not run_kinds.covers(THRESHOLD, ADAPT)
    assert not run_kinds.covers(ADAPT, FIT)
    assert not run_kinds.covers(DROP, ADAPT)
    assert run_kinds.covers(ADAPT, DROP)


def test_only_a_fit_starts_without_a_champion() -> None:
    """The other kinds keep numbers of the model that serves."""
    assert [run_kinds.needs_champion(kind) for kind in (FIT, ADAPT, DROP, THRESHOLD)] == [False, True, True, True]


def test_runs_that_fit_nothing_only_choose_a_threshold() -> None:
    """A new threshold and a dropped part change no coefficient."""
    assert [kind for kind in RUN_KINDS if run_kinds.fits_coefficients(kind)] == [ADAPT, FIT]


def test_unknown_kind_is_refused() -> None:
    """The error lists the kinds."""
    assert run_kinds.parse("adapt") == ADAPT
    with pytest.raises(ValueError, match=r"must be threshold, drop, adapt, fit \(got 'refit'\)"):
        run_kinds.parse("refit")
