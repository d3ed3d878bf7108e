"""Decides which verdicts of recent windows call for a new model.

A verdict against a former model says little about its successor, which was trained after that drift. What the successor
cannot have learned is a concept that began after its newest row. Such a finding comes late, with its labels, and counts
against the model that serves by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ml.console import note
from ml.drift.evidence import case
from ml.drift.monitor import Check, Monitor
from ml.drift.reference_model import Model
from ml.drift.retrain_requester import DriftCase
from ml.model.drift import detector
from ml.model.drift.detector import DriftVerdict
from ml.model.drift.verdict import CONCEPT


def cases(monitor: Monitor, past: Sequence[Check]) -> list[DriftCase]:
    """The cases that the verdicts `past` call for, strongest cause first; none before a window of the serving model.

    Args:
        past: verdicts on windows that do not overlap, oldest first.
    """
    serves = monitor.model(monitor.serves)
    latest = past[-1]
    if latest.judgement.reference != serves.sha256:
        note(f"approval {latest.approval:04d} served in the latest window, {monitor.serves:04d} does now: not decided")
        return []
    decisions = due(
        [each.judgement for each in past], monitor.rules, serves=serves.sha256, learned_until=serves.learned_until
    )
    kinds = [str(decision.kind) for decision in decisions]
    return [case(each, past, [kind for kind in kinds if kind != each.kind]) for each in decisions]


def due(
    past: Sequence[DriftVerdict], rules: detector.Rules, *, serves: str, learned_until: datetime | None
) -> tuple[detector.Decision, ...]:
    """The decisions that `past` calls for against the model `serves`; none before a window of that model."""
    if past[-1].reference != serves:
        return ()
    return detector.decisions(carried(past, serves=serves, learned_until=learned_until), rules)


def carried(past: Iterable[DriftVerdict], *, serves: str, learned_until: datetime | None) -> list[DriftVerdict]:
    """`past`, with findings of concept drift that the model `serves` cannot have learned attributed to it.

    These are findings in a run of windows that began after `learned_until`, or at most half a window before it: a model
    that has seen less than half of a new concept has not learned it.
    """
    counted: list[DriftVerdict] = []
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
    """Whether a verdict can still count against the serving model once its labels have matured."""
    start, end = check.window
    if check.judgement.reference == serves.sha256:
        return True
    return serves.learned_until is not None and end > serves.learned_until - (end - start) / 2


def _onset(judgement: DriftVerdict) -> datetime:
    return judgement.concept_onset or judgement.start
