"""Judges in process, by the drift check's own code, whether a day's scheduled run has anything to do.

drift.yml runs daily. In a simulated year a run of the workflow file takes seconds, and on most days it would only
repeat the verdicts of the day before. So each day runs the parts of the check whose result can change from day to day:
the daily concept test; the window whose labels have just matured, by `fraudops drift check --report-only`; and the
decision policy. The workflow runs if a window has ended, or if a case of drift is due that no open request, cooldown,
monthly cap or lack of labels suppresses. What else suppresses a request (a pull request, an issue) is left to it.

What is left out cannot create a request: the traffic of an evaluated window does not change, its labels count only when
they are mature, and before that its verdict stays the same. Creates no request itself, and records what suppressed one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from ml import config
from ml.aws import platform_stack
from ml.aws.labels import scored_row_labels
from ml.aws.object_cache import Listed
from ml.aws.scored_rows import LATE_DAYS
from ml.commands import drift_check
from ml.drift import calendar, concept_alarm, decision_policy, suppressed_requests, training_window
from ml.drift.approved_model import Model
from ml.drift.calendar import Window
from ml.drift.drift_case import DriftCase, RequestOutcome, suppressed
from ml.drift.request_limits import RequestLimits
from ml.drift.request_log import RequestLog
from ml.drift.window_choice import NotEnoughLabels
from ml.drift.window_monitor import Check, Monitor, history
from ml.gitops.repository import Repository
from ml.model import gate_check
from ml.model.drift.verdict import CONCEPT

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Look:
    """The result of a day: why the workflow has to run (None if it need not), and whether concept drift is due.

    `ended` is whether the concept drift is the end of a new pattern, not its beginning.
    """

    moment: datetime
    reason: str | None
    concept: bool
    ended: bool


class DailyLook:
    """Looks at the endpoint of the checkout `root`.

    Args:
        folder: for downloaded label files, and for looks.log with what the check prints.
        import_pending: imports the transactions that wait, before labelled frauds are counted in the lake.
    """

    def __init__(self, root: Path, folder: Path, *, import_pending: Callable[[], None]) -> None:
        self._root, self._import_pending = root, import_pending
        self._cache = folder / "labels"
        self._cache.mkdir(parents=True)
        self._log = folder / "looks.log"
        self._broken: set[tuple[str, ...]] = set()
        self._checks: dict[Window, Check] = {}
        self._models: dict[int, Model] = {}
        self._indexed: dict[Window, list[Listed]] = {}
        self._bucket = platform_stack.read().bucket

    def look(self, now: datetime) -> Look:
        """The result for the day whose check is at `now`, which is the clock's time.

        Raises:
            CloudError, DataError, Refused: as in the drift check.
        """
        with self._log.open("a", encoding="utf-8") as log, redirect_stderr(log):
            return self._look(now)

    def forget(self) -> None:
        """Reads the stored checks, the models and the index again: a run of the workflow has changed them."""
        self._checks.clear()
        self._models.clear()
        self._indexed.clear()

    def _look(self, now: datetime) -> Look:
        rules = config.load_drift(self._root)
        monitor = self._monitor(rules)
        latest = calendar.latest(now, rules.window)
        alarm = concept_alarm.evaluate(monitor)
        started = alarm is not None and alarm.fired
        ended = alarm is not None and alarm.ended is not None and alarm.ended.fired and not started
        last = monitor.stored(latest)
        if last is None:
            reason = f"the window of {latest[0]:%Y-%m-%d} to {latest[1]:%Y-%m-%d} has ended"
            return Look(moment=now, reason=reason, concept=started or ended, ended=ended)
        if any(self._has_matured(monitor, window, now) for window in monitor.checks.windows()):
            drift_check.check(self._root, report_only=True)
            self.forget()
            last = monitor.stored(latest) or last
        cases = [case for case in decision_policy.cases(monitor, history(monitor, last), alarm) if not case.unneeded]
        concept = started or any(case.kind == CONCEPT for case in cases)
        due, held_back = self._due(cases, now, rules)
        if due is None:  # the check of such a day, which does not run here, would record it
            suppressed_requests.record(monitor.checks, held_back, cases=cases, approval=monitor.serves)
        return Look(moment=now, reason=due, concept=concept, ended=ended)

    def _monitor(self, rules: config.DriftFile) -> Monitor:
        serving = config.load_serving(self._root)
        assert serving.approval is not None  # noqa: S101 - the year begins when a model serves
        return _RememberingMonitor(
            Repository.find(self._root),
            "HEAD",
            bucket=self._bucket,
            endpoint=serving.endpoint,
            rules=rules,
            serves=serving.approval,
            cache=self._cache,
            checks=self._checks,
            models=self._models,
        )

    def _has_matured(self, monitor: Monitor, window: Window, now: datetime) -> bool:
        """Whether a window that was evaluated without mature labels has enough of them by now."""
        stored, limits = monitor.stored(window), monitor.file.labels
        champion = monitor.model(monitor.serves)
        if stored is None or not stored.may_mature or not decision_policy.may_count(stored, champion):
            return False
        age = timedelta(days=limits.min_age_days)
        if not age <= now - window[0] - _DAY or now - window[1] > calendar.MATURING_PERIOD:
            return False
        counts = scored_row_labels.coverage(
            monitor.bucket,
            self._scored_rows(monitor, window, now),
            version=f"{stored.approval:04d}",
            start=window[0],
            as_of=now,
            cache=self._cache,
            stored=monitor.label_objects,
        )
        mature = {
            day: rows
            for day, (rows, labelled) in counts.items()
            if labelled / rows >= limits.min_coverage and now - _midnight(day) - _DAY >= age
        }
        return sum(mature.values()) >= limits.min_mature * sum(rows for rows, _ in counts.values()) > 0

    def _scored_rows(self, monitor: Monitor, window: Window, now: datetime) -> list[Listed]:
        """The index objects of the window's days. Once no captured file arrives late, they stay the same."""
        found = self._indexed.get(window)
        if found is None:
            first, end = (moment.date() for moment in window)
            index = concept_alarm.scored_rows(monitor, monitor.model(monitor.serves))
            index.update(first, end)
            found = index.listed(first + place * _DAY for place in range((end - first).days))
            if now - window[1] > LATE_DAYS * _DAY:
                self._indexed[window] = found
        return found

    def _due(
        self, cases: Sequence[DriftCase], now: datetime, rules: config.DriftFile
    ) -> tuple[str | None, list[RequestOutcome]]:
        """Why the workflow has to run for one of `cases`, or None and what suppresses each of them."""
        log = RequestLog(Repository.find(self._root), "HEAD")
        limits = RequestLimits(log, rules)
        held_back: list[RequestOutcome] = []
        for case in cases:
            failures = limits.gate_failures(case)
            if failures and failures not in self._broken:
                self._broken.add(failures)  # the workflow opens the circuit breaker's issue once
                return f"{case.kind} drift is due, after {gate_check.count(len(failures), 'gate failure')} in a row", []
            outcome = suppressed_requests.by_circuit_breaker(case, log, limits)
            if outcome is None and (failures or case.name in log.requests or limits.open_request(case)):
                continue
            outcome = outcome or limits.cooldown(case) or limits.monthly_cap(case)
            if outcome is None:
                self._import_pending()
                outcome = self._without_training_window(case, now, rules, limits)
            if outcome is None:
                return f"{case.kind} drift is due", []
            held_back.append(outcome)
        return None, held_back

    def _without_training_window(
        self, case: DriftCase, now: datetime, rules: config.DriftFile, limits: RequestLimits
    ) -> RequestOutcome | None:
        """Why there are no rows to train on; None if there are."""
        assert case.decision.onset is not None  # noqa: S101 - as in `DriftCase.kind`
        chosen = training_window.choose(
            self._bucket,
            onset=case.decision.onset,
            end=now.replace(hour=0, minute=0, second=0, microsecond=0),
            kind=case.run_kind,
            as_of=now,
            settings=config.load_model(self._root),
            gate=config.load_gate(self._root),
            labels=rules,
        )
        if isinstance(chosen, NotEnoughLabels):
            return suppressed(case, chosen.reason)
        return limits.too_few_frauds(case, chosen)


class _RememberingMonitor(Monitor):
    """A monitor that reads each stored check and each model once; `checks` and `models` outlive it."""

    def __init__(self, *arguments: Any, checks: dict[Window, Check], models: dict[int, Model], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known_checks, self._known_models = checks, models

    def stored(self, window: Window) -> Check | None:
        if window not in self._known_checks:
            found = super().stored(window)
            if found is None:
                return None
            self._known_checks[window] = found
        return self._known_checks[window]

    def model(self, approval: int) -> Model:
        if approval not in self._known_models:
            self._known_models[approval] = super().model(approval)
        return self._known_models[approval]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
