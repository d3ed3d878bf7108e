"""Runs the daily concept test on all days since the serving model's reference. Creates no retrain request.

Counts rows and known frauds per day, amount band and decision. The counts are kept in the lake beside the checks, and
only days whose labels may still change are counted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import clock
from ml.aws import s3_objects
from ml.aws.capture.text_inputs import TextInputs
from ml.aws.drift_check_store import COUNTS_SCHEMA, encoded
from ml.aws.labels import scored_row_labels
from ml.aws.labels.store import deliveries
from ml.aws.scored_rows import ScoredRows
from ml.console import note, stage
from ml.drift.calendar import MATURING_PERIOD
from ml.model import explanation
from ml.model.drift import ended_concept_test
from ml.model.drift import sequential_fraud_rate_test as rate_test
from ml.model.drift.ended_concept_test import EndEvidence
from ml.model.drift.sequential_fraud_rate_test import RateEvidence
from ml.model.model_parts import NEW

if TYPE_CHECKING:
    from ml.drift.approved_model import Model
    from ml.drift.window_monitor import Monitor

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=rate_test.DAYS_PER_YEAR)
Counts = Mapping[str, tuple[list[int], list[int], list[int]]]
"""By day: rows and known frauds per stratum; alerts of the new pattern, and those known to be legitimate."""


@dataclass(frozen=True, kw_only=True)
class ConceptAlarm:
    """The result of the daily concept test; `fired` if it is an alarm.

    `start` (included) to `end` (not) are the days tested, `counts` the URI of their counts.
    """

    approval: int
    artifact_sha256: str
    start: datetime
    end: datetime
    fired: bool
    evidence: RateEvidence
    ended: EndEvidence | None
    """Whether the frauds of the model's new pattern have stopped; None if it has none."""
    counts: str

    @property
    def onset(self) -> datetime | None:
        """The first day of the drift; None unless it fires."""
        onset = self.evidence.onset
        return datetime.combine(onset, time(), UTC) if self.fired and onset is not None else None


def evaluate(monitor: Monitor) -> ConceptAlarm | None:
    """Tests all whole days since the reference of the serving model; None if no such day has ended.

    At most a year is tested. Days before the model served count per amount band, but not as rows that it passed.

    Raises:
        CloudError, DataError: the lake cannot be read or written.
    """
    now, model = clock.now(), monitor.model(monitor.serves)
    end = now.astimezone(UTC).date()
    first = (now - _LONGEST).date()
    if model.learned_until is not None:
        first = max(first, model.learned_until.astimezone(UTC).date() + _DAY)
    if first >= end:
        return None
    with stage(f"counting known frauds by day from {first} to {end}"):
        counts, uri = _count(monitor, model, first, end, now)
    days = sorted(day for day in map(date.fromisoformat, counts) if first <= day < end)
    shape = (len(days), len(model.rates.names))
    rows, frauds = (
        np.array([counts[day.isoformat()][part] for day in days], dtype=np.float64).reshape(shape) for part in (0, 1)
    )
    alpha = monitor.rules.concept.alpha_daily
    evidence = rate_test.evaluate(model.rates, days, frauds, rows, alpha=alpha)
    ended = None
    if model.new_pattern is not None:
        alerts, legitimate = np.array([counts[day.isoformat()][2] for day in days]).reshape(len(days), 2).T
        ended = ended_concept_test.evaluate(
            model.new_pattern, days, alerts, legitimate, alpha=alpha, dispersion=model.rates.dispersion
        )
    note(
        f"daily concept test of {len(days)} days: {int(frauds[:, :-1].sum()):,} known frauds of "
        f"{int(rows[:, :-1].sum()):,} rows, p {evidence.p_value:.2g} (alarm below {evidence.alpha:g})"
    )
    return ConceptAlarm(
        approval=model.record.approval,
        artifact_sha256=model.sha256,
        start=datetime.combine(first, time(), UTC),
        end=datetime.combine(end, time(), UTC),
        fired=evidence.fired,
        evidence=evidence,
        ended=ended,
        counts=uri,
    )


def scored_rows(monitor: Monitor, model: Model) -> ScoredRows:
    """The index of scored rows, with the patterns of `model`."""
    return ScoredRows(
        monitor.bucket,
        monitor.endpoint,
        inputs=model.reference.names,
        texts=TextInputs(iso_times=model.scorer.document.iso_times, levels=model.scorer.document.levels),
        amount=model.amount,
        version=model.version,
        patterns=lambda inputs: explanation.patterns(model.scorer.log_odds(inputs)),
    )


def _count(monitor: Monitor, model: Model, first: date, end: date, now: datetime) -> tuple[Counts, str]:
    """The counts of all days, and the URI under which they are stored."""
    index = scored_rows(monitor, model)
    written = index.update(first, end)
    uri = monitor.checks.counts_uri(model.sha256)
    stored = monitor.checks.read_counts(model.sha256)
    known: dict[str, tuple[list[int], list[int], list[int]]] = dict(stored["days"]) if stored else {}
    days = [first + place * _DAY for place in range((end - first).days)]
    changed = stored is None or stored["labels"] != monitor.labels_sha256 or _become_known(monitor, stored, now)
    recount = [
        day
        for day in days
        if day.isoformat() not in known or day in written or (changed and day >= (now - MATURING_PERIOD).date())
    ]
    if not recount:
        return known, uri
    start = datetime.combine(recount[0], time(), UTC)
    found = scored_row_labels.read(
        monitor.bucket,
        index.listed(recount),
        start=start,
        as_of=now,
        cache=monitor.cache,
        stored=monitor.label_objects,
    )
    fraud = found["label"].to_numpy() == 1
    frauds_by_day = _by_stratum(found.filter(pa.array(fraud)), model)
    legitimate_by_day = _new_alerts(found.filter(pa.array(~fraud)), model)
    nothing = [0] * len(model.rates.names)
    for day in recount:
        name = day.isoformat()
        if name in known and day not in written:
            rows, _, (alerts, _) = known[name]
        else:
            every = index.read(day)
            rows, alerts = _by_stratum(every, model).get(day, nothing), _new_alerts(every, model).get(day, 0)
        known[name] = (rows, frauds_by_day.get(day, nothing), [alerts, legitimate_by_day.get(day, 0)])
    document = {
        "schema": COUNTS_SCHEMA,
        "artifact_sha256": model.sha256,
        "evaluated": clock.stamp(now),
        "labels": monitor.labels_sha256,
        "strata": list(model.rates.names),
        "days": known,
    }
    s3_objects.write(uri, encoded(document), "application/json")
    return known, uri


def _become_known(monitor: Monitor, stored: Mapping[str, Any], now: datetime) -> bool:
    """Whether a delivery may have labels whose time has come since the stored counts."""
    counted = datetime.fromisoformat(stored["evaluated"])
    return now > counted and any(
        each.first <= now and each.last > counted for each in deliveries(monitor.bucket, monitor.label_objects)
    )


def _new_alerts(rows: pa.Table, model: Model) -> dict[date, int]:
    """Alerts per day that follow the new pattern of the model."""
    own = rows["version"].to_numpy(zero_copy_only=False) == model.version
    follows = (rows["pattern"].to_numpy(zero_copy_only=False) == NEW) & (rows["decision"].to_numpy() == 1) & own
    days, counts = np.unique(rows["day"].to_numpy().astype("datetime64[D]")[follows], return_counts=True)
    return dict(zip(days.astype(object).tolist(), counts.tolist(), strict=True))


def _by_stratum(rows: pa.Table, model: Model) -> dict[date, list[int]]:
    """Rows per day in each amount band, and then those that the model passed. Rows without an amount are in no band."""
    edges = np.asarray(model.reference.document["fraud_by_amount"]["edges"], dtype=np.float64)
    amounts = rows["amount"].to_numpy()
    bands = np.searchsorted(edges, amounts, side="right")
    passed = (rows["decision"].to_numpy() == 0) & (rows["version"].to_numpy(zero_copy_only=False) == model.version)
    days: NDArray[np.int64] = rows["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    counts: dict[date, list[int]] = {}
    for day in np.unique(days):
        of_day = days == day
        by_band = np.bincount(bands[of_day & np.isfinite(amounts)], minlength=len(edges) + 1)
        counts[date(1970, 1, 1) + int(day) * _DAY] = [*by_band.tolist(), int(np.count_nonzero(of_day & passed))]
    return counts
