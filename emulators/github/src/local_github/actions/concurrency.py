"""Implements GitHub's concurrency groups: one run is active, one waits, and a newer run replaces the waiting one.

Keeps run ids only; the caller starts and cancels runs. A run may be in several groups (its own and those of its jobs).
It starts when it may in all of them; GitHub would start its other jobs earlier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class _Group:
    active: int | None = None
    waiting: int | None = None


@dataclass
class ConcurrencyGroups:
    """All groups of one repository. Callers hold a lock."""

    _groups: dict[str, _Group] = field(default_factory=dict)

    def enter(self, run: int, names: Iterable[tuple[str, bool]]) -> tuple[list[int], list[int]]:
        """Adds a waiting run; `names` are (group, cancel in progress). Returns the (waiting, active) runs to cancel."""
        replaced: list[int] = []
        interrupted: list[int] = []
        for name, cancel in names:
            group = self._groups.setdefault(name.lower(), _Group())
            if group.waiting is not None:
                replaced.append(group.waiting)
            if cancel and group.active is not None:
                interrupted.append(group.active)
            group.waiting = run
        for other in replaced:
            self.leave(other)
        return list(dict.fromkeys(replaced)), list(dict.fromkeys(interrupted))

    def try_activate(self, run: int, names: Iterable[tuple[str, bool]]) -> bool:
        """Makes `run` active in all its groups; returns False and changes nothing if another run is active in one."""
        groups = [self._groups.setdefault(name.lower(), _Group()) for name, _ in names]
        if any(group.active not in (None, run) for group in groups):
            return False
        for group in groups:
            group.active = run
            if group.waiting == run:
                group.waiting = None
        return True

    def leave(self, run: int) -> None:
        """Removes `run` from all groups."""
        for name, group in list(self._groups.items()):
            if group.active == run:
                group.active = None
            if group.waiting == run:
                group.waiting = None
            if group == _Group():
                del self._groups[name]
