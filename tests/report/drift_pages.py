"""Drift checks of drawn traffic and their pages; the fields of the stored check are invented, hostile text included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ml import config
from ml.model import artifact
from ml.model.drift import detector
from ml.playground.template_state import FOLDER as SHIPPED
from ml.report import drift_report as report
from tests.harness.platform.monitored import COLUMNS, SCORER, archive, draw

Drifted = tuple[detector.DriftVerdict, detector.WindowSummary, list[detector.DriftVerdict]]
"""The verdict on a window, its summary, and the verdicts up to that one."""

RULES = detector.Rules.from_dict(config.load_drift(SHIPPED).to_rules())
REFERENCE = detector.Reference.of(artifact.read(archive()).baseline)
HOSTILE = "<script>alert(1)</script>"


def verdict_on(
    month: int, *, shift: float = 0.0, flip: float = 0.0
) -> tuple[detector.DriftVerdict, detector.WindowSummary]:
    """The verdict on 4,000 rows of a month, all of them labelled."""
    rng = np.random.default_rng(month)
    start = datetime(2026, month, 1, tzinfo=UTC)
    end = (start + timedelta(days=31)).replace(day=1)
    rows = draw(rng, 4_000, shift=shift, flip=flip)
    hours = (end - start) // timedelta(hours=1)
    times = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(4_000) * hours // 4_000 * np.timedelta64(1, "h")
    scores = SCORER.score(rows.inputs)
    decisions = SCORER.decide(scores)
    summary = detector.WindowSummary.of(REFERENCE, rows.inputs, scores=scores, decisions=decisions, times=times)
    amounts = rows.inputs[:, COLUMNS.inputs.index("Amount")]
    labels = detector.LabelSummary.of(REFERENCE, times=times, labels=rows.truth, decisions=decisions, amounts=amounts)
    found = detector.evaluate(
        REFERENCE, summary, labels, RULES, start=start, end=end, as_of=end + timedelta(days=40), reference="a" * 64
    )
    return found, summary


def written(found: detector.DriftVerdict, **changes: Any) -> Mapping[str, Any]:
    """The fields of a stored check that the page shows."""
    document: dict[str, Any] = {
        "endpoint": "fraudops-production",
        "evaluated": "2026-05-01T05:17:00Z",
        "model": {"approval": 7, "artifact_sha256": "a" * 64, "model_package_arn": "arn:aws:sagemaker:x:1:y/z/7"},
        "traffic": {"objects": 60, "unreadable_lines": 3, "other_models": {"0006": 12, "": 1}},
        "labels": {
            "days": [
                {
                    "day": found.start.date().isoformat(),
                    "rows": 130,
                    "labelled": 120,
                    "age_days": 30.0,
                    "mature": False,
                    "reason": "120 of 130 rows have a label",
                }
            ]
        },
    }
    return document | changes


def drifted_month() -> Drifted:
    """A month with a shift of V2 and flipped labels, and the months before it."""
    before = [verdict_on(month)[0] for month in (2, 3)]
    found, summary = verdict_on(4, shift=0.6, flip=0.5)
    return found, summary, [*before, found]


def drifted_page(drifted: Drifted) -> str:
    """The page of that month, with hostile text in a field."""
    found, summary, history = drifted
    pictures = report.draw(REFERENCE, found, summary, history, RULES)
    return report.page(written(found, endpoint=HOSTILE), found, history, pictures)
