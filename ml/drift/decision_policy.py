"""Decides which verdicts of recent windows call for a new model.

A verdict on a former model does not count against the champion, because the champion was trained on the drifted data.
The exception is concept drift with an onset after the champion's newest training or test row: its labels mature late,
so it counts against the model that serves by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ml import clock
from ml.console import note
from ml.drift import repeated_adaptation, run_kind_policy
from ml.drift.approved_model import Model
from ml.drift.concept_alarm import ConceptAlarm
from ml.drift.drift_case import DriftCase
from ml.drift.request_evidence import build_alarm_case, build_case, build_end_case
from ml.drift.run_kind_policy import Counted
from ml.drift.window_monitor import Check, Monitor
from ml.model.drift import detector
from ml.model.drift.detector import DriftVerdict
from ml.model.drift.ranking import RankingRules
from ml.model.drift.verdict import CONCEPT
from ml.model.training_settings import Threshold


def cases(monitor: Monitor, past: Sequence[Check], alarm: ConceptAlarm | None) -> list[DriftCase]:
    """The cases of drift that are due, the strongest cause first.

    The windows decide nothing before the champion's first own window. The daily concept test is about the champion
    alone. The end of the champion's new pattern is due at once, unless the test's alarm shows new frauds as well: an
    adaptation to those fits the part anew. It comes before concept drift in windows, which find it too, weeks later and
    as a fall of fraud rates: an adaptation would first need frauds to fit on. The alarm is due unless the windows show
    concept drift by mature labels already. Without any of these, an adapted champion may be adapted again
    (ml.drift.repeated_adaptation). A case whose run would gain nothing is among them, and says so (`unneeded`).

    Args:
        past: checks of windows that do not overlap, oldest first.
        alarm: the result of the daily concept test; None if no day could be tested.
    """
    by_windows = _cases_of_windows(monitor, past)
    kinds = [case.kind for case in by_windows]
    if alarm is not None and not alarm.fired and alarm.ended is not None and alarm.ended.fired:
        others = [case for case in by_windows if case.kind != CONCEPT]
        return [build_end_case(alarm, past[-1], [case.kind for case in others]), *others]
    if CONCEPT in kinds:
        return by_windows
    if alarm is not None and alarm.fired:
        return [build_alarm_case(alarm, past[-1], kinds), *by_windows]
    again = _repeated(monitor, past[-1], kinds)
    return by_windows if again is None else [again, *by_windows]


def _repeated(monitor: Monitor, latest: Check, also: Sequence[str]) -> DriftCase | None:
    """The case of another adaptation of the champion; None if it is not due."""
    return repeated_adaptation.case(monitor.model(monitor.serves), latest, also, now=clock.now())


def _cases_of_windows(monitor: Monitor, past: Sequence[Check]) -> list[DriftCase]:
    champion = monitor.model(monitor.serves)
    latest = past[-1]
    if latest.verdict.reference != champion.sha256:
        note(
            f"approval {latest.approval:04d} served in the latest window, {monitor.serves:04d} serves now: no decision"
        )
        return []
    decisions = due(
        [each.verdict for each in past], monitor.rules, champion=champion.sha256, learned_until=champion.learned_until
    )
    kinds = [str(decision.kind) for decision in decisions]
    counted = [Counted(each.verdict, each.document.get("ranking"), each.summary()) for each in past]
    rules = RankingRules(**monitor.file.to_ranking_rules())
    chosen_by = champion.scorer.threshold
    policy = Threshold(policy=chosen_by.policy, value=chosen_by.value)
    return [
        build_case(
            each,
            past,
            [kind for kind in kinds if kind != each.kind],
            run_kind_policy.choose(each, counted, champion.reference.document, rules, policy),
        )
        for each in decisions
    ]


def due(
    past: Sequence[DriftVerdict], rules: detector.Rules, *, champion: str, learned_until: datetime | None
) -> tuple[detector.Decision, ...]:
    """The decisions that are due against the model `champion` (its digest); none before its first own window."""
    if past[-1].reference != champion:
        return ()
    return detector.decisions(carry_over(past, champion=champion, learned_until=learned_until), rules)


def carry_over(past: Iterable[DriftVerdict], *, champion: str, learned_until: datetime | None) -> list[DriftVerdict]:
    """Reassigns concept drift of former models to `champion` if the champion cannot have learned it.

    That holds for a run of windows with an onset after `learned_until`, or at most half a window earlier: a model that
    has seen less than half a window of a new concept has not learned it.
    """
    carried: list[DriftVerdict] = []
    onset: datetime | None = None
    for each in past:
        if CONCEPT in each.evaluated:
            onset = (onset or _onset(each)) if CONCEPT in each.verdicts else None
        if (
            each.reference != champion
            and CONCEPT in each.verdicts
            and onset is not None
            and learned_until is not None
            and onset >= learned_until - (each.end - each.start) / 2
        ):
            carried.append(replace(each, reference=champion, verdicts=(CONCEPT,), evaluated=(CONCEPT,)))
        else:
            carried.append(each)
    return carried


def may_count(check: Check, champion: Model) -> bool:
    """Whether a verdict can still count against the champion once its labels are mature."""
    start, end = check.window
    if check.verdict.reference == champion.sha256:
        return True
    return champion.learned_until is not None and end > champion.learned_until - (end - start) / 2


def _onset(verdict: DriftVerdict) -> datetime:
    return verdict.concept_onset or verdict.start
