"""Asks for another adaptation when there are many more labelled days than the serving model's adaptation was fitted on.

An adaptation is made as soon as its test part has enough frauds, which may be two weeks after the onset. Its part for
new patterns is then fitted on few rows, and later labels do not raise an alarm: they confirm it. Creates no request.
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
from ml.model.drift.verdict import CONCEPT
from ml.model.model_document import NEW
from ml.model.run_kinds import ADAPT, RunKind

LENGTHS = (3.0, 4.5)
"""From and until how many times the days that it was fitted on. These are 70 % of a window; the rest are its test part,
so the window has doubled at 3. One that fails the gate is not repeated until the circuit breaker opens."""
LEAST_END = timedelta(days=28)
"""The earliest end: after an alarm of the first days, a request's cooldown would outlast the time to adapt again."""


def onset(
    reference: Mapping[str, Any], patterns: Sequence[str], kind: RunKind | None, *, now: datetime, adapt_days: int
) -> datetime | None:
    """The first day of the rows that another adaptation would be fitted on; None if it is not due.

    Args:
        reference: baseline.json of the serving model.
        patterns: of the parts of the serving model.
        kind: of the run that made it.
        adapt_days: the longest window of an adaptation: a longer time adds no rows.
    """
    if kind != ADAPT or NEW not in patterns:
        return None
    start, end = (datetime.fromisoformat(reference["fitted"][-1][side]) for side in ("start", "end"))
    first = datetime.combine(start.date(), time(), start.tzinfo)
    elapsed = now - first
    low, high = (length * (end - first) for length in LENGTHS)
    return first if low <= elapsed < max(high, LEAST_END) and elapsed <= timedelta(days=adapt_days) else None


def case(model: Model, latest: Check, also: Sequence[str], *, now: datetime, adapt_days: int) -> DriftCase | None:
    """The case of another adaptation of the serving model; None if it is not due.

    Args:
        latest: the check of the latest window, whose report shows the traffic.
        also: the other kinds of drift that are due.
    """
    document = model.reference.document
    patterns = [part.pattern for part in model.scorer.document.parts]
    first = onset(document, patterns, model.record.kind, now=now, adapt_days=adapt_days)
    if first is None:
        return None
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    fitted = document["fitted"][-1]
    days = (datetime.fromisoformat(fitted["end"]) - first) / timedelta(days=1)
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
