"""Asks for another adaptation when there are many more labelled days than the serving model's adaptation was fitted on.

An adaptation is made as soon as its test part has enough frauds, which may be two weeks after the onset. Its part for
new patterns is then fitted on few rows, and later labels do not raise an alarm: they confirm it. Once the window has
its greatest length it moves, so that the model follows slow changes of the new pattern. Creates no request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from ml.drift.approved_model import Model
from ml.drift.drift_case import DriftCase
from ml.drift.request_evidence import check_uri
from ml.drift.window_monitor import Check
from ml.model.drift import detector
from ml.model.drift.reference import FITTED_NUMBERS
from ml.model.drift.verdict import CONCEPT
from ml.model.model_parts import NEW
from ml.model.run_kinds import ADAPT

LENGTHS = (3.0, 4.5)
"""From and until how many times the days that it was fitted on. These are 70 % of a window; the rest are its test part,
so at 3 the window has doubled or, at its greatest length, moved by as much. One that fails the gate is not repeated
until the circuit breaker opens."""
LEAST_END = timedelta(days=28)
"""The earliest end: after an alarm of the first days, a request's cooldown would outlast the time to adapt again."""


def onset(reference: Mapping[str, Any], patterns: Sequence[str], *, now: datetime) -> datetime | None:
    """The first day of the rows that the serving model's adaptation was fitted on; None if another one is not due.

    Args:
        reference: baseline.json of the serving model. A threshold that was set since its adaptation changes nothing.
        patterns: of the parts of the serving model.
    """
    if NEW not in patterns:
        return None
    start, end = _fitted(reference)
    first = datetime.combine(start.date(), time(), start.tzinfo)
    low, high = (length * (end - first) for length in LENGTHS)
    return first if low <= now - first < max(high, LEAST_END) else None


def _fitted(reference: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The first and the last row that the latest adaptation of a model was fitted on."""
    window = [each for each in reference["fitted"] if each["numbers"] == FITTED_NUMBERS[ADAPT]][-1]
    return datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"])


def case(model: Model, latest: Check, also: Sequence[str], *, now: datetime) -> DriftCase | None:
    """The case of another adaptation of the serving model; None if it is not due.

    Args:
        latest: the check of the latest window, whose report shows the traffic.
        also: the other kinds of drift that are due.
    """
    document = model.reference.document
    patterns = [part.pattern for part in model.scorer.document.parts]
    first = onset(document, patterns, now=now)
    if first is None:
        return None
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (_fitted(document)[1] - first) / timedelta(days=1)
    reason = (
        f"The part for new patterns of approval {model.record.approval:04d} was fitted on {days:.0f} days; "
        f"{(end - first).days} days have passed since {first.date()}. Asks for another adaptation"
    )
    decision = detector.Decision(kind=CONCEPT, onset=first, fired=((first, end),), considered=((first, end),))
    evidence = {
        "kind": CONCEPT,
        "model": {"approval": model.record.approval, "artifact_sha256": model.sha256},
        "onset": first,
        "windows": [{"start": first, "end": end, "fired": True, "approval": model.record.approval}],
        "findings": [
            {
                "statistic": "days_since_onset",
                "of": None,
                "value": (end - first).days,
                "threshold": round(LENGTHS[0] * days, 2),
                "reference": round(days, 2),
                "p_value": None,
                "alpha": None,
                "detail": reason,
            }
        ],
        "findings_in_all": 1,
        **({"also_due": list(also)} if also else {}),
        "check": check_uri(latest),
        "report": latest.document["report"],
    }
    return DriftCase(decision=decision, run_kind=ADAPT, reason=reason, evidence=evidence)
