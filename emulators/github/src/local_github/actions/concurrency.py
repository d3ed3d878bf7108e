"""Concurrency groups as GitHub keeps them: one run in a group goes, one waits, and a newer one takes the waiting place.

Pure bookkeeping of numbers; cancelling and starting are the caller's. A run may be in several groups (its own and
those of its jobs), and goes when it may in all of them: GitHub would let its other jobs go first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class _Group:
    running: int | None = None
    waiting: int | None = None


@dataclass
class Groups:
    """All groups of one repository. Callers hold a lock."""

    _groups: dict[str, _Group] = field(default_factory=dict)

    def enter(self, run: int, names: Iterable[tuple[str, bool]]) -> tuple[list[int], list[int]]:
        """Lets `run` in; `names` are (group, cancel in progress). Returns (waiting runs, running runs) to cancel."""
        replaced: list[int] = []
        ended: list[int] = []
        for name, cancel in names:
            group = self._groups.setdefault(name.lower(), _Group())
            if group.waiting is not None:
                replaced.append(group.waiting)
            if cancel and group.running is not None:
                ended.append(group.running)
            group.waiting = run
        for other in replaced:
            self.leave(other)
        return list(dict.fromkeys(replaced)), list(dict.fromkeys(ended))

    def take(self, run: int, names: Iterable[tuple[str, bool]]) -> bool:
        """Makes `run` the one that goes in all its groups; False, and nothing changed, where another still does."""
        groups = [self._groups.setdefault(name.lower(), _Group()) for name, _ in names]
        if any(group.running not in (None, run) for group in groups):
            return False
        for group in groups:
            group.running = run
            if group.waiting == run:
                group.waiting = None
        return True

    def leave(self, run: int) -> None:
        """Forgets `run`."""
        for name, group in list(self._groups.items()):
            if group.running == run:
                group.running = None
            if group.waiting == run:
                group.waiting = None
            if group == _Group():
                del self._groups[name]
