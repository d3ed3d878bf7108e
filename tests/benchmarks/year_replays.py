"""Carries results of simulated years over to changed code, where a year played again gives every figure again.

A change that cannot move a figure (a field for other layouts of data, a faster reader) also changes the fingerprint of
the code. Playing all years again takes more than an hour. Instead, the first seed of each kind is played again. Where
all its figures are equal, docs/years/replays.json says so, and the other seeds of the kind count as results of the new
code. Where one differs, the kind is played again as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOT_FIGURES = ("fingerprint", "seconds")
Year = Mapping[str, Any]


class Replays:
    """Which fingerprints gave equal figures, by kind, kept in `path`.

    A kind has the fingerprint of the code that played its first seed again, the fingerprints of the results that were
    equal to it, and the seed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kinds: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}

    def covers(self, kind: str, made_by: str, now: str) -> bool:
        """Whether a result of the code `made_by` counts as one of the code `now`."""
        if made_by == now:
            return True
        known = self._kinds.get(kind, {})
        return known.get("fingerprint") == now and made_by in known["equal_to"]

    def add(self, kind: str, before: Year, again: Year) -> list[str]:
        """Compares a year with itself played again; records equality, and returns the figures that differ."""
        names = (before.keys() | again.keys()) - set(NOT_FIGURES)
        differences = sorted(name for name in names if before.get(name) != again.get(name))
        if not differences:
            now, same = str(again["fingerprint"]), {str(before["fingerprint"])}
            if kind in self._kinds:
                earlier = {str(self._kinds[kind]["fingerprint"]), *self._kinds[kind]["equal_to"]}
                same |= earlier if before["fingerprint"] in earlier else set()
            self._kinds[kind] = {"fingerprint": now, "seed": again["seed"], "equal_to": sorted(same - {now})}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._kinds, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return differences

    def sentence(self, kind: str) -> str:
        """What the page says of a kind whose results were carried over, or nothing."""
        known = self._kinds.get(kind)
        if known is None:
            return ""
        before = ", ".join(f"`{name[:8]}`" for name in known["equal_to"])
        return (
            f"Seed {known['seed']} was played again with the code `{known['fingerprint'][:8]}`: every figure is equal "
            f"to that of {before}."
        )
