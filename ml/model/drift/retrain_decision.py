"""Decides from the verdicts of recent windows whether a kind of drift makes a retrain due.

Requires agreement of several windows, because one window may be chance or a holiday. Cooldown, monthly cap and the
request itself are the concern of `ml.drift.request_checks` and `ml.drift.retrain_requester`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ml.model.drift.settings import KOfN, Rules
from ml.model.drift.verdict import CAUSES, DriftVerdict


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a request is due, and why. If none is due, `kind` is None and nothing else is set.

    `onset` is the start of the first window in the run of windows that fired; for concept drift it is the day of the
    onset if labels show it. Training data start there. `fired` and `considered` are window bounds, oldest first.
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
    """The decision for the strongest cause that is due: concept, then data, then prediction drift; or none."""
    return next(iter(decisions(history, rules)), Decision(kind=None))


def decisions(history: Iterable[DriftVerdict], rules: Rules) -> tuple[Decision, ...]:
    """The decisions for all causes that are due, the strongest first.

    Args:
        history: verdicts in any order; of two with the same bounds the later one counts. Only verdicts on the model of
            the latest window count.
        rules: how many windows must agree.
    """
    windows = sorted(
        {(item.start, item.end): item for item in history}.values(), key=lambda item: (item.end, item.start)
    )
    if not windows:
        return ()
    same_model = [window for window in windows if window.reference == windows[-1].reference]
    candidates = (_decide_cause(cause, same_model, getattr(rules.decide, cause)) for cause in CAUSES)
    return tuple(decision for decision in candidates if decision is not None)


def _decide_cause(cause: str, windows: Sequence[DriftVerdict], rule: KOfN) -> Decision | None:
    evaluated = [window for window in windows if cause in window.evaluated]
    if not evaluated or cause not in evaluated[-1].verdicts:
        return None
    if (
        cause != "concept" and evaluated[-1] is not windows[-1]
    ):  # only labels come late; a window without traffic shows no drift
        return None
    considered = evaluated[-rule.of :]
    fired = [window for window in considered if cause in window.verdicts]
    if len(fired) < rule.windows:
        return None
    first = evaluated.index(fired[0])
    while first > 0 and cause in evaluated[first - 1].verdicts:
        first -= 1
    concept_onset = evaluated[first].concept_onset if cause == "concept" else None
    return Decision(
        kind=cause,
        onset=concept_onset or evaluated[first].start,
        fired=tuple((window.start, window.end) for window in evaluated[first:] if cause in window.verdicts),
        considered=tuple((window.start, window.end) for window in considered),
    )
