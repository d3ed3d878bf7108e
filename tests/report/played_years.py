"""A simulated year with everything that a report can show, hostile text included; its figures are invented."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ml.model.metrics import Confusion
from ml.report.year_data import (
    AtEqualFalseAlarms,
    DayOfAlerts,
    Decision,
    Deployment,
    MonthPlayed,
    PlayedYear,
    Reaction,
    Request,
    Retrain,
    SideCounts,
)
from ml.simulate.stand_in_data import months_later

FIRST = date(2026, 1, 1)
FEATURES = ("Time", *(f"V{i}" for i in range(1, 29)), "Amount")
HOSTILE = "<script>alert('&\"')</script>"


def played_year(*, months: int = 12, requests: bool = True) -> PlayedYear:
    """A year like the default scenario's: recall falls in month 7 and recovers in month 9."""
    return PlayedYear(
        title="Means move from month 4, high amounts turn fraudulent in month 7",
        about=f"Half of the top 1 % by amount are frauds from month 7 on. {HOSTILE}",
        scenario="both",
        seed=3,
        rows_a_month=24_000,
        statistic="Kolmogorov–Smirnov distance",
        floor=0.05,
        band_edges=(5.6, 22.0, 77.0, 203.0, 365.0, 1018.0),
        min_recall=0.6,
        onsets={"data": 4, "concept": 7},
        rule_amount=812.5,
        equal_false_alarms={
            side: AtEqualFalseAlarms.of(_counts(4 * 161, found, 920))
            for side, found in (("with_retraining", 620), ("without_retraining", 165), ("rule", 380))
        },
        rule_until_recovery=tuple(
            month.sides["rule"] if month.number == 7 else month.sides["with_retraining"]
            for month in map(_month, range(1, months + 1))
        ),
        reaction=Reaction(onset=date(2026, 7, 1), alarm=date(2026, 7, 7), recovery=date(2026, 7, 20)),
        looks=365,
        check_runs=21,
        months=tuple(_month(number) for number in range(1, months + 1)),
        requests=_REQUESTS if requests else (),
        retrains=_RETRAINS if requests else (),
        deployments=_DEPLOYMENTS if requests else _DEPLOYMENTS[:1],
        decisions=_DECISIONS if requests else (),
        repository_link="repository/index.html",
    )


def _month(number: int) -> MonthPlayed:
    start, end = months_later(FIRST, number - 1), months_later(FIRST, number)
    frauds, found = (161, {7: 0.29, 8: 0.33}.get(number, 0.97)) if number > 6 else (41, 0.95)
    hits, lost = round(frauds * found), round(frauds * (0.25 if number > 6 else 0.95))
    false, stale = 200 + 3 * number, 150 + 25 * number
    days = (end - start).days
    return MonthPlayed(
        number=number,
        start=start,
        end=end,
        sides={
            "with_retraining": _counts(frauds, hits, false),
            "without_retraining": _counts(frauds, lost, stale),
            "rule": _counts(frauds, frauds // 2, 190),
        },
        alerts=tuple(
            DayOfAlerts(
                day=start + timedelta(days=d), alerts=5 + (d * 7 + number) % 6, frauds=1 + d % (number // 3 + 1)
            )
            for d in range(days)
        ),
        rows_by_band=(6000, 6000, 6000, 3600, 1200, 960, 240),
        frauds_by_band=(14, 3, 5, 7, 5, 5, 122 if number > 6 else 2),
        drift=None
        if number == 5
        else {name: max(0.0, number - 3) * 0.015 + (i % 7) / 900 for i, name in enumerate(FEATURES)},
        drifted=FEATURES[3:9] if number > 6 else (),
        verdict={5: "no data", 7: "data, labels immature"}.get(number, "data" if number > 6 else "none"),
    )


def _counts(frauds: int, found: int, false: int) -> SideCounts:
    """Counts of 24,000 rows, or of more if there are more frauds; a quarter of the frauds are of the first kind."""
    confusion = Confusion(
        true_positives=found,
        false_negatives=frauds - found,
        false_positives=false,
        true_negatives=24_000 - frauds - false,
    )
    return SideCounts(
        confusion=confusion,
        first_kind=frauds // 4,
        first_kind_detected=found // 4,
        fraud_value=120.5 * frauds,
        value_detected=120.5 * found,
    )


def _at(month: int, day: int = 1, hour: int = 6) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


_REQUESTS = (
    Request(
        id="20260701T060000Z-data-drift",
        cause="data-drift",
        reason=f"V4 and 5 others moved; {HOSTILE}",
        at=_at(7),
        month=7,
        commit="4f2a9c1" + 33 * "0",
        window="2026-05-01 to 2026-07-01",
        fate="failed the gate",
        link="repository/commit-4f2a9c1.html",
    ),
    Request(
        id="20260901T060000Z-concept-drift",
        cause="concept-drift",
        reason="recall 0.29 (46 of 161), approved on 0.95; fraud rate over 1,018 is 60 times the reference's",
        at=_at(9),
        month=9,
        commit="b81d003" + 33 * "0",
        window="2026-07-01 to 2026-09-01",
        fate="approved as 0002",
        link="https://github.example/commit/b81d003",
    ),
)
_RETRAINS = (
    Retrain(
        requests=(_REQUESTS[0].id,),
        at=_at(7, hour=7),
        month=7,
        commit=_REQUESTS[0].commit,
        verdict="failed",
        reason="Recall gate failed: 0.26 ≤ 0.60 on 95 frauds in the test window.",
        approval=None,
        run_link="repository/run-4.html",
    ),
    Retrain(
        requests=(_REQUESTS[1].id,),
        at=_at(9, hour=7),
        month=9,
        commit=_REQUESTS[1].commit,
        verdict="passed",
        reason="Recall 0.96 > 0.60 on 72 frauds in the test window.",
        approval=2,
        run_link="repository/run-7.html",
        pull_link="javascript:alert(1)",
    ),
)
_DEPLOYMENTS = (
    Deployment(
        approval=1,
        start=datetime(2025, 12, 31, 20, tzinfo=UTC),
        end=_at(9, hour=8),
        approver="fraudops demo",
        commit="0a1b2c3" + 33 * "0",
        trained_on="2025-01-01 to 2026-01-01, 284,807 rows, 492 frauds",
        artifact_sha256=64 * "a",
        link="repository/commit-0a1b2c3.html",
    ),
    Deployment(
        approval=2,
        start=_at(9, hour=8),
        end=None,
        approver="fraudops simulation (by its rule)",
        commit="c0ffee0" + 33 * "0",
        trained_on="2026-07-01 to 2026-09-01, 36,112 rows, 244 frauds",
        artifact_sha256=64 * "b",
        link="repository/commit-c0ffee0.html",
    ),
)
_DECISIONS = (
    Decision(at=_at(5), month=5, kind="check", decision="no data", by="drift.yml", evidence={"rows": "0"}),
    Decision(
        at=_at(7),
        month=7,
        kind="request",
        decision=f"retrain for data drift {HOSTILE}",
        by="drift.yml",
        evidence={"V4": "KS 0.071 ≥ 0.05, p < 1e-12", "windows": "2 of 3", HOSTILE: HOSTILE},
        link=_REQUESTS[0].link,
    ),
    Decision(
        at=_at(7, hour=7),
        month=7,
        kind="gate",
        decision="failed",
        by="gate",
        evidence={"recall": "0.26 ≤ 0.60"},
        link="data:text/html,x",
    ),
    Decision(
        at=_at(9),
        month=9,
        kind="request",
        decision="retrain for concept drift",
        by="drift.yml",
        evidence={"recall": "0.29 (46 of 161), approved on 0.95, p = 3e-40"},
        link=_REQUESTS[1].link,
    ),
    Decision(at=_at(9, hour=7), month=9, kind="gate", decision="passed", by="gate", evidence={"recall": "0.96 > 0.60"}),
    Decision(at=_at(9, hour=8), month=9, kind="deployment", decision="0002 serves", by="deploy.yml", evidence={}),
)
