"""Decides from the verdicts of recent windows whether a kind of drift calls for a new model.

One window may be chance or a holiday. This module knows windows and their verdicts; cooldowns, caps and what a request
looks like are those of the command that acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ml.model.drift.settings import KOfN, Rules
from ml.model.drift.verdict import CAUSES, DriftVerdict


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a request is due and why. `kind` is None where none is; then nothing else is set.

    `onset` is the start of the earliest window of the run that ends in the latest one (for concept drift, later where
    the labels show on which day it began): training data of the new concept start there. `fired` and `considered` are
    bounds of windows, the latest last.
    """

    kind: str | None
    onset: datetime | None = None
    fired: tuple[tuple[datetime, datetime], ...] = ()
    considered: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def due(self) -> bool:
        """Whether a request is due."""
        return self.kind is not None


def decide(history: Iterable[DriftVerdict], rules: Rules) -> Decision:
    """The request that `history` asks for: concept drift before data drift before prediction drift, or none."""
    return next(iter(decisions(history, rules)), Decision(kind=None))


def decisions(history: Iterable[DriftVerdict], rules: Rules) -> tuple[Decision, ...]:
    """Every request that `history` asks for, the strongest cause first.

    Args:
        history: windows in any order; of two with the same bounds the later in the order counts. Only those judged
            against the same model as the latest count: what the former model's baseline said is answered.
        rules: how many windows must agree.
    """
    windows = sorted(
        {(item.start, item.end): item for item in history}.values(), key=lambda item: (item.end, item.start)
    )
    if not windows:
        return ()
    ours = [window for window in windows if window.reference == windows[-1].reference]
    made = (_of(cause, ours, getattr(rules.decide, cause)) for cause in CAUSES)
    return tuple(decision for decision in made if decision is not None)


def _of(cause: str, windows: Sequence[DriftVerdict], rule: KOfN) -> Decision | None:
    judged = [window for window in windows if cause in window.judged]
    if not judged or cause not in judged[-1].verdicts:
        return None
    if cause != "concept" and judged[-1] is not windows[-1]:  # labels come late; traffic that is not there is no drift
        return None
    considered = judged[-rule.of :]
    fired = [window for window in considered if cause in window.verdicts]
    if len(fired) < rule.windows:
        return None
    first = judged.index(fired[0])
    while first > 0 and cause in judged[first - 1].verdicts:
        first -= 1
    later = judged[first].concept_onset if cause == "concept" else None
    return Decision(
        kind=cause,
        onset=later or judged[first].start,
        fired=tuple((window.start, window.end) for window in judged[first:] if cause in window.verdicts),
        considered=tuple((window.start, window.end) for window in considered),
    )
