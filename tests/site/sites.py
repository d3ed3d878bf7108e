"""A site with everything that its pages can show, hostile text included; its figures are invented, not a test."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml import config
from ml.gitops.merged_pulls import MergedPull
from ml.gitops.repository import Commit
from ml.playground.template_state import FOLDER as SHIPPED
from ml.records.retrain_requests import Resolution
from ml.report import evaluation_plots, page_template
from ml.site import time_line
from ml.site.values import AlarmState, DriftState, Evidence, GateFailure, Period, Request, Site
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import record
from tests.report.evaluations import COMPARED, evaluation

HOSTILE = "<script>alert('&\"')</script>"
RESOLVED, OPEN, FAILED = (
    "20260401T060000Z-concept-drift",
    "20260601T060000Z-data-drift",
    "20260501T060000Z-data-drift",
)


REPORT = page_template.environment().get_template("page.html").render().encode()
"""A report without content."""


def at(month: int, day: int = 1, hour: int = 6) -> datetime:
    """A time of the invented year."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def commit(number: int, moment: datetime) -> Commit:
    """A commit on main with a hostile subject."""
    return Commit(sha=f"{number:040x}", parents=("0" * 40,), author=f"eve {HOSTILE}", time=moment, subject=HOSTILE)


def period(approval: int | None, merged: datetime, end: datetime | None, **changes: Any) -> Period:
    """A move of the pointer at `merged`, deployed an hour later."""
    pull = MergedPull(
        number=approval or 9,
        url="javascript:alert(1)",
        title=HOSTILE,
        branch="approve/0001",
        head_sha="0" * 40,
        author="github-actions[bot]",
        merged_by=f"alice {HOSTILE}",
        merged_at=merged,
        approved_by=("bob",),
    )
    fields: dict[str, Any] = {
        "approval": approval,
        "rollback": False,
        "commit": f"{merged.month:040x}",
        "author": f"eve {HOSTILE}",
        "merged": merged,
        "subject": HOSTILE,
        "pull": pull,
        "deployments": (finished(approval, f"{merged:%Y-%m-%dT07:00:00Z}"),) if approval else (),
        "start": merged.replace(hour=7) if approval else None,
        "end": end,
        "replaced": f"by {HOSTILE}" if end else "",
        "disagreements": (),
        "unchecked": (),
    }
    return Period(**(fields | changes))


def request(name: str, moment: datetime, resolution: Resolution | None) -> Request:
    """A retrain request with a long hostile reason."""
    reason = f"Data drift in 2 of the latest 3 windows: psi of V28 0.769 (limit 0.1, p 0); {HOSTILE} " + "more " * 80
    made = config.RetrainRequest(
        kind="fit",
        cause=name.split("Z-")[1],
        reason=reason,
        window=config.Window(start=None, end=None),
        evidence={HOSTILE: HOSTILE},
    )
    return Request(name=name, request=made, landed=commit(moment.month, moment), resolution=resolution)


def resolution(name: str, path: Path, *, failed: bool = False) -> Resolution:
    """What resolved a request."""
    return Resolution(
        request=name, record=path, kind="fit", created=at(4, 2), gate_failed=failed, budget_exceeded=False
    )


def check(month: int, approval: int, shifts: dict[str, float], **changes: Any) -> DriftState:
    """The check of a month; in May something fired, and there is a report."""
    fired = month == 5
    fields: dict[str, Any] = {
        "name": f"2026{month:02d}01T000000Z_2026{month + 1:02d}01T000000Z",
        "start": at(month, 1, 0),
        "end": at(month + 1, 1, 0),
        "evaluated": at(month + 1, 1, 5),
        "approval": approval,
        "headline": f"In May 2026 V28 moved {HOSTILE}"
        if fired
        else "In April 2026 no test of the whole window found drift",
        "overlap": f"Days of this window are part of that reference {HOSTILE}" if fired else "",
        "lines": (f"V28 moved: psi 0.769 (p 3e-40) {HOSTILE}",) if fired else (),
        "kind": "drift" if fired else "no drift",
        "rows": 24_000,
        "decided": 24_000,
        "alerts": 226,
        "judged": None,
        "label_days": 0,
        "mature_days": 0,
        "concept_tested": False,
        "recall": None,
        "fired": ("data",) if fired else (),
        "shifts": shifts,
        "drifted": frozenset({"V28"}) if fired else frozenset(),
        "report": REPORT if fired else None,
        "report_missing": "" if fired else f"s3://lake/report.html: no such object {HOSTILE}",
    }
    return DriftState(**(fields | changes))


def site(**changes: Any) -> Site:
    """Two approvals, a rollback, a gate failure, an open request and a drift check that fired."""
    first = record(1, requests=(), created=at(3))
    second = record(2, requests=(RESOLVED,), created=at(4, 2), **_with_champion(first))
    measured = evaluation(champion=COMPARED | {"artifact_sha256": first.artifact.sha256})
    measured["fit"]["notes"] = [HOSTILE]
    evidence = Evidence(
        evaluation=measured,
        calibration={"edges": [0.001, 0.1], "rows": [900, 90, 10], "frauds": [0, 2, 9]},
        picture=evaluation_plots.decision(measured, days=2.0),
        missing=(),
    )
    periods = (
        period(1, at(3), at(4, 2, 7)),
        period(2, at(4, 2), at(5, 2, 7)),
        period(1, at(5, 2), None, rollback=True),
    )
    requests = (
        request(RESOLVED, at(4), resolution(RESOLVED, config.approval_path(2))),
        request(FAILED, at(5), resolution(FAILED, Path("model-config/gate-failures/x.yaml"), failed=True)),
        request(OPEN, at(6), None),
    )
    failures = (
        GateFailure(
            record=config.GateFailureRecord(
                kind="fit",
                commit="c" * 40,
                requests=(FAILED,),
                verdict=config.Verdict(status="failed", reason=f"Recall 0.51 < 0.60 on 40 frauds. {HOSTILE}"),
                evaluation_uri="s3://lake/executions/x/evaluation.json",
                execution_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/x",
                created=at(5, 1, 8),
            ),
            landed=commit(77, at(5, 1, 8)),
        ),
    )
    records = {1: first, 2: second}
    missing = Evidence(evaluation=None, calibration=None, picture=None, missing=(f"the evaluation: {HOSTILE}",))
    fields: dict[str, Any] = {
        "built": at(6, 2),
        "commit": "f" * 40,
        "endpoint": "fraudops-production",
        "periods": periods,
        "records": records,
        "evidence": {1: missing, 2: evidence},
        "requests": requests,
        "gate_failures": failures,
        "checks": (
            *(
                check(4, 1, {"V1": 0.01, "V28": 0.02}, start=start, end=end, kind="no data")
                for start, end in itertools.pairwise(datetime(2025, month, 1, tzinfo=UTC) for month in range(3, 13))
            ),
            check(4, 2, {"V1": 0.01, "V28": 0.02}),
            check(5, 1, {"V1": 0.06, "V28": 0.33, HOSTILE: 0.1}),
        ),
        "alarms": (
            AlarmState(name="drift", state="ALARM", since=at(6), meaning=f"Traffic has drifted. {HOSTILE}"),
            AlarmState(name="endpoint errors", state="INSUFFICIENT_DATA", since=at(3), meaning="5xx"),
            AlarmState(name="deploy errors", state="OK", since=at(3), meaning="The function failed."),
        ),
        "drift_rules": config.load_drift(SHIPPED),
        "gate": config.load_gate(SHIPPED),
        "year": None,
        "simulated": False,
        "scripted_reviewer": None,
        "local_user": None,
        "next_check": at(6, 3, 5),
        "events": time_line.events(periods, records, requests, failures),
        "suppressed": (),
        "offline": False,
        "missing": (f"pull requests and reviewers: {HOSTILE}",),
        "disagreements": (f"model-config/approvals/0002.yaml was changed {HOSTILE}",),
    }
    return Site(**(fields | changes))


def _with_champion(first: config.ApprovalRecord) -> dict[str, Any]:
    return {
        "champion": config.Champion(
            approval=1,
            model_package_arn=first.model_package_arn,
            artifact_sha256=first.artifact.sha256,
            comparison="compared",
            reason="Compared with the champion on 3900 test rows with 40 frauds.",
        ),
        "metrics": {
            "recall": config.Interval(value=0.9, low=0.8, high=0.95, count=36, of=40),
            "precision": config.Interval(value=0.5, low=0.4, high=0.6, count=36, of=72),
            "false_positive_rate": config.Interval(value=0.0083, low=0.0068, high=0.0103, count=36, of=4320),
            "average_precision": config.Interval(value=0.91, low=0.86, high=0.95, count=None, of=None),
        },
    }
