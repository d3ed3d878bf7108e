"""Decides which verdicts of recent windows call for a new model.

A window that was judged against a former model says little of its successor: what had drifted, the successor has
learned. What it cannot have learned is a concept that began after the newest row that it was made from and tested on;
such a finding comes late, with its labels, and counts against whichever model serves by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ml.console import note
from ml.drift.evidence import case
from ml.drift.monitor import Check, Watch
from ml.drift.reference_model import Model
from ml.drift.retrain_requester import Case
from ml.model.drift import detector
from ml.model.drift.detector import Judgement
from ml.model.drift.verdict import CONCEPT


def cases(watch: Watch, past: Sequence[Check]) -> list[Case]:
    """The requests that `past` asks for, the strongest cause first; none before a window of the model that serves.

    Args:
        past: verdicts on windows that do not overlap, in the order of time.
    """
    serves = watch.model(watch.serves)
    latest = past[-1]
    if latest.judgement.reference != serves.sha256:
        note(f"approval {latest.approval:04d} served in the latest window, {watch.serves:04d} does now: not decided")
        return []
    decisions = due(
        [each.judgement for each in past], watch.rules, serves=serves.sha256, learned_until=serves.learned_until
    )
    kinds = [str(decision.kind) for decision in decisions]
    return [case(each, past, [kind for kind in kinds if kind != each.kind]) for each in decisions]


def due(
    past: Sequence[Judgement], rules: detector.Rules, *, serves: str, learned_until: datetime | None
) -> tuple[detector.Decision, ...]:
    """The decisions that `past` asks for against the model `serves`; none before a window of its own."""
    if past[-1].reference != serves:
        return ()
    return detector.decisions(carried(past, serves=serves, learned_until=learned_until), rules)


def carried(past: Iterable[Judgement], *, serves: str, learned_until: datetime | None) -> list[Judgement]:
    """`past`, in which findings of concept drift that the model `serves` cannot have learned are its own.

    They are those of a run of windows that began after `learned_until`; half a window earlier will do, for a model that
    has seen less than half of a new concept has not learned it.
    """
    counted: list[Judgement] = []
    began: datetime | None = None
    for each in past:
        if CONCEPT in each.judged:
            began = (began or _onset(each)) if CONCEPT in each.verdicts else None
        if (
            each.reference != serves
            and CONCEPT in each.verdicts
            and began is not None
            and learned_until is not None
            and began >= learned_until - (each.end - each.start) / 2
        ):
            counted.append(replace(each, reference=serves, verdicts=(CONCEPT,), judged=(CONCEPT,)))
        else:
            counted.append(each)
    return counted


def may_count(check: Check, serves: Model) -> bool:
    """Whether a verdict can still come to count against the model that serves, when its labels have come."""
    start, end = check.window
    if check.judgement.reference == serves.sha256:
        return True
    return serves.learned_until is not None and end > serves.learned_until - (end - start) / 2


def _onset(judgement: Judgement) -> datetime:
    return judgement.concept_onset or judgement.start
