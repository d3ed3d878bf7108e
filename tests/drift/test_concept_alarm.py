"""The daily concept test on captured traffic: what it counts, what it counts again, and from which day on."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ml import config, render
from ml.aws.labels import scored_row_labels, store
from ml.aws.session import client
from ml.drift import concept_alarm, request_evidence
from ml.drift.window_monitor import Monitor
from ml.gitops.repository import Repository
from ml.model.drift.sequential_fraud_rate_test import RateEvidence
from tests.harness.platform.monitored import ADAPTED_SCORER, BUCKET, ROWS_A_DAY, MonitoredEndpoint
from tests.harness.platform.served import ENDPOINT

NOW = "2026-02-21T05:17:00Z"


def evaluated(env: MonitoredEndpoint, serves: int = 1) -> concept_alarm.ConceptAlarm:
    """The result of the daily test."""
    rules = config.load_drift(env.root)
    repository = Repository.find(env.root)
    result = concept_alarm.evaluate(
        Monitor(repository, "HEAD", bucket=BUCKET, endpoint=ENDPOINT, rules=rules, serves=serves)
    )
    assert result is not None
    return result


def counts(env: MonitoredEndpoint) -> dict[str, tuple[list[int], list[int]]]:
    """The stored counts: rows and frauds per stratum, by day."""
    (key,) = env.keys(f"monitoring/{ENDPOINT}/daily-frauds/")
    days: dict[str, list[list[int]]] = env.read(key)["days"]
    return {day: (rows, frauds) for day, (rows, frauds, _) in days.items()}


def deliver(labels: list[tuple[str, int]], channel: str, known: datetime = datetime(2026, 2, 20, tzinfo=UTC)) -> None:
    """Delivers labels of one channel."""
    rows: list[Any] = [
        {"event_id": name, "label": label, "known_at": known, "channel": channel} for name, label in labels
    ]
    store.deliver(BUCKET, pa.Table.from_pylist(rows, schema=store.DELIVERED_SCHEMA))


@pytest.fixture
def february(env: MonitoredEndpoint) -> MonitoredEndpoint:
    """Captured traffic of February, on the 21st; labels are known after ten days."""
    env.month(2, known_after=None, landed=False)
    env.at(NOW)
    return env


def test_every_row_counts_and_frauds_as_they_become_known(february: MonitoredEndpoint) -> None:
    """Whole days since the reference; days without labels have no frauds and all their rows."""
    result = evaluated(february)
    assert (result.start, result.end) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 21, tzinfo=UTC))
    days = counts(february)
    assert sorted(days) == [f"2026-02-{day:02d}" for day in range(1, 21)]
    assert {sum(rows[:-1]) for rows, _ in days.values()} == {ROWS_A_DAY}
    assert all(0 < rows[-1] <= ROWS_A_DAY for rows, _ in days.values())
    assert sum(rows[-1] for rows, _ in days.values()) < 20 * ROWS_A_DAY  # some were alerts
    frauds = {day: sum(found[:-1]) for day, (_, found) in days.items()}
    assert sum(frauds[f"2026-02-{day:02d}"] for day in range(1, 11)) > 0
    assert {frauds[f"2026-02-{day:02d}"] for day in range(12, 21)} == {0}


def test_only_new_labels_are_counted_again(february: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without news nothing is joined; a finding of an analyst counts at once, and only on its day."""
    first = evaluated(february)
    before = counts(february)
    with monkeypatch.context() as patch:
        patch.setattr(scored_row_labels, "read", None)
        assert evaluated(february) == first
    deliver([("2026021506#0", 1)], store.ANALYST)
    evaluated(february)
    after = counts(february)
    changed = [day for day in after if after[day] != before[day]]
    assert changed == ["2026-02-15"]
    assert sum(after["2026-02-15"][1][:-1]) == 1


def test_labels_that_were_delivered_early_count_from_their_time_on(february: MonitoredEndpoint) -> None:
    """A delivery may have labels whose time is to come; they count once it has come, without another delivery."""
    deliver([("2026021506#0", 1)], store.ANALYST, datetime(2026, 2, 22, tzinfo=UTC))
    evaluated(february)
    assert sum(counts(february)["2026-02-15"][1][:-1]) == 0
    february.at("2026-02-22T05:17:00Z")
    evaluated(february)
    assert sum(counts(february)["2026-02-15"][1][:-1]) == 1


def test_fraud_in_either_channel_is_known(february: MonitoredEndpoint) -> None:
    """A later chargeback label 0 does not hide what the analyst found; the analyst's own correction does."""
    deliver([("2026021506#0", 1), ("2026021506#1", 1)], store.ANALYST)
    deliver([("2026021506#0", 0)], store.CHARGEBACK, datetime(2026, 2, 20, 12, tzinfo=UTC))
    deliver([("2026021506#1", 0)], store.ANALYST, datetime(2026, 2, 20, 12, tzinfo=UTC))
    evaluated(february)
    assert sum(counts(february)["2026-02-15"][1][:-1]) == 1


def test_late_capture_file_is_counted(february: MonitoredEndpoint) -> None:
    """A day is indexed again while capture files may still arrive, and counted once per row."""
    env = february
    lost = env.keys(f"capture/{ENDPOINT}/AllTraffic/2026/02/20/06")
    content = client("s3").get_object(Bucket=BUCKET, Key=lost[0])["Body"].read()
    client("s3").delete_object(Bucket=BUCKET, Key=lost[0])
    evaluated(env)
    assert sum(counts(env)["2026-02-20"][0][:-1]) == ROWS_A_DAY // 2
    for name in (lost[0], f"{lost[0]}.again.jsonl"):  # twice: each row counts once
        client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)
    evaluated(env)
    assert sum(counts(env)["2026-02-20"][0][:-1]) == ROWS_A_DAY


def test_rows_of_another_model_count_by_amount_alone(env: MonitoredEndpoint) -> None:
    """The champion did not pass them; their frauds still count in their amount bands."""
    env.month(2, known_after=None, landed=False, version="0000")
    env.at(NOW)
    evaluated(env)
    days = counts(env)
    assert {sum(rows[:-1]) for rows, _ in days.values()} == {ROWS_A_DAY}
    assert {rows[-1] for rows, _ in days.values()} == {0}
    assert sum(sum(frauds[:-1]) for _, frauds in days.values()) > 0


@pytest.mark.parametrize(("flip", "ended"), [(0.0, True), (0.5, False)])
def test_end_of_the_new_pattern_is_found(env: MonitoredEndpoint, flip: float, ended: bool) -> None:
    """An adapted model alerts on high amounts: a result if they are no frauds any more, none if half still are."""
    env.at("2026-01-31T13:00:00Z")
    env.approve(2, adapted=True)
    env.month(2, known_after=11, landed=False, flip=flip, version="0002", scorer=ADAPTED_SCORER)
    env.at("2026-02-25T05:17:00Z")
    result = evaluated(env, serves=2)
    assert result.ended is not None
    assert result.ended.fired is ended
    assert json.loads(render.as_json(result))["ended"]["legitimate"] == result.ended.legitimate
    assert not result.evidence.fired
    if ended:
        assert result.ended.ended == date(2026, 2, 1)
        assert result.ended.legitimate > 0.9 * 13 * ROWS_A_DAY / 2


def test_model_without_a_new_pattern_has_no_end_of_it(february: MonitoredEndpoint) -> None:
    """There is nothing to drop."""
    assert evaluated(february).ended is None


def test_without_a_day_since_the_reference_there_is_no_result(env: MonitoredEndpoint) -> None:
    """The reference ends on 31 January."""
    env.at("2026-02-01T05:17:00Z")
    rules = config.load_drift(env.root)
    monitor = Monitor(Repository.find(env.root), "HEAD", bucket=BUCKET, endpoint=ENDPOINT, rules=rules, serves=1)
    assert concept_alarm.evaluate(monitor) is None


def test_at_most_a_year_is_tested(env: MonitoredEndpoint) -> None:
    """Older days say nothing about drift of today, and days without traffic count as such."""
    env.at("2027-06-01T05:17:00Z")
    result = evaluated(env)
    assert result.end - result.start == timedelta(days=365)
    assert (result.fired, result.evidence.stratum) == (False, None)
    json.loads(render.as_json(result))


@pytest.mark.parametrize(
    ("stratum", "rows"),
    [("passed rows", "rows without an alert"), ("amount >= 365", "rows in amount >= 365")],
)
def test_alarm_says_in_which_rows_the_frauds_are(stratum: str, rows: str) -> None:
    """A request and a summary are read by people who do not know the name of a stratum."""
    evidence = RateEvidence(
        log_evidence=20.0, alpha=0.01, stratum=stratum, onset=date(2026, 7, 1), frauds=12, rows=4000, reference=0.001
    )
    alarm = concept_alarm.ConceptAlarm(
        approval=1, artifact_sha256="a" * 64, start=datetime(2026, 6, 1, tzinfo=UTC),
        end=datetime(2026, 7, 7, tzinfo=UTC), fired=True, evidence=evidence, ended=None, counts="s3://lake/x.json",
    )  # fmt: skip
    assert request_evidence.alarm_detail(alarm) == (
        f"12 known frauds of 4,000 {rows}, 0.003 where the reference has 0.001 (p < 0.001, limit 0.01)"
    )
