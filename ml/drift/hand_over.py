"""Writes drift decisions for the job that creates requests, and reads them as untrusted input. Creates no request.

The job that checks for drift has an AWS role and runs every package of the run lock, so it may not act as the bot's
App. Another job may: it gets this document, which names no file and no branch, and decides from main what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ml import clock, config
from ml.config.hand_over import MAX_BYTES, ChosenWindow, DueRequest, DueRequests, WholeWindow
from ml.drift.drift_case import DriftCase
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.errors import ConfigError
from ml.model.drift.retrain_decision import Decision

SOURCE = Path("the hand-over of `fraudops drift check --hand-over`")
"""What messages name in place of a file."""
_REASON_LIMIT = 1024  # characters
Choice = TrainingWindow | NotEnoughLabels


def write(cases: Sequence[tuple[DriftCase, Choice]]) -> str:
    """The document of `cases`, the strongest cause first; '' if there is none.

    Raises:
        ConfigError: it is longer than MAX_BYTES.
    """
    if not cases:
        return ""
    text = config.dump(DueRequests(due=tuple(_due(case, choice) for case, choice in cases)))
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes (got {len(text.encode()):,})")
    return text


def read(text: str) -> dict[str, tuple[DriftCase, Choice]]:
    """The cases of `text` and their training windows by the id of the request, in the order of the document.

    Raises:
        ConfigError: `text` is no such document; it names the field.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes")
    cases = [_case(index, due) for index, due in enumerate(config.parse(text, SOURCE, DueRequests).due)]
    return {case.name: (case, choice) for case, choice in cases}


def _due(case: DriftCase, choice: Choice) -> DueRequest:
    start, end = case.decision.fired[-1]
    assert case.decision.onset is not None  # noqa: S101 - as in `DriftCase.kind`
    values: Mapping[str, object] = {
        "kind": case.kind,
        "run_kind": case.run_kind,
        "fired": WholeWindow(start=start, end=end),
        "onset": case.decision.onset,
        "reason": case.reason[:_REASON_LIMIT],
        "evidence": dict(case.evidence),
        "window": None
        if isinstance(choice, NotEnoughLabels)
        else ChosenWindow(
            start=choice.start,
            end=choice.end,
            rows=choice.rows,
            frauds=choice.frauds,
            test_frauds=choice.test_frauds,
            grown_days=choice.grown_days,
        ),
        "not_enough_labels": choice.reason[:_REASON_LIMIT] if isinstance(choice, NotEnoughLabels) else None,
    }
    return DueRequest.model_validate(values)


def _case(index: int, due: DueRequest) -> tuple[DriftCase, Choice]:
    _require_past(f"due.{index}.fired.end", due.fired.end)
    fired = (due.fired.start.astimezone(UTC), due.fired.end.astimezone(UTC))
    decision = Decision(kind=due.kind, onset=due.onset, fired=(fired,), considered=(fired,))
    case = DriftCase(decision=decision, run_kind=due.run_kind, reason=due.reason, evidence=due.evidence)
    if due.window is None:
        return case, NotEnoughLabels(reason=str(due.not_enough_labels))
    _require_past(f"due.{index}.window.end", due.window.end)
    return case, TrainingWindow(**due.window.model_dump())


def _require_past(field: str, moment: datetime) -> None:
    """A request of a later time would count as the newest one of its cause, before later decisions."""
    if moment > clock.now():
        raise ConfigError(f"{SOURCE}: {field} must be in the past (got {moment.isoformat()})")
