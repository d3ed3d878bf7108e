"""The error of a read-only verb that found sources which disagree. Values only."""

from __future__ import annotations

from ml.errors import NotReady


class Disagreement(NotReady):
    """Git, the registry, the lake, GitHub or the endpoint say different things; the message says where."""

    @classmethod
    def of(cls, found: tuple[str, ...]) -> Disagreement | None:
        """The error for places that disagree; None if there are none."""
        if not found:
            return None
        return cls(f"{len(found)} {'place disagrees' if len(found) == 1 else 'places disagree'}: {'; '.join(found)}")
