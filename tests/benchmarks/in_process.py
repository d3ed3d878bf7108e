"""A simulated year in one process, without AWS and GitHub: the product's steps and verdicts, looked at daily.

Commits, runs, registry and endpoint are left out. What determines the year's outcome is the product's: Prepare, Train,
Evaluate with its gate and champion, the daily concept test, the repository's drift rules, the use of verdicts, kinds of
runs, training windows, and the delay of labels. The product reads the checks that suppress a request from Git; this
module keeps them in memory. A check takes place at the time of drift.yml's cron line, with the labels known by then; a
model that passes the gate scores every row from that time on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest

from ml import config
from ml.aws.labels import coverage
from ml.drift import calendar, decision_policy, missing_labels, repeated_adaptation, run_kind_policy, training_window
from ml.drift.approved_model import learned_until
from ml.drift.drift_case import DriftCase
from ml.drift.run_kind_policy import Counted, RunChoice
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.model.drift import detector
from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.ranking import RankingCounts, RankingRules
from ml.model.drift.settings import POOLED_WINDOWS
from ml.model.drift.verdict import CAUSES, CONCEPT
from ml.model.run_kinds import ADAPT, DROP, RunKind
from ml.model.training_settings import Threshold
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate.year_traffic import HISTORY, Year
from ml.steps.job_runner import StepFailed
from tests.benchmarks.daily_counts import DailyCounts, Evidence, day_number, midnight
from tests.benchmarks.served_month import MonthRows, ServedMonth
from tests.benchmarks.training_run import Trained, run

CHECK_AFTER = timedelta(hours=5, minutes=17)
"""The time of day of a check: drift.yml's cron line."""
_DAY = timedelta(days=1)


class Answer(NamedTuple):
    """The result of a request: its name, its time, and whether its model passed the gate; None if its job failed.

    `frauds` are labelled in the request's window; `budget_exceeded` is whether its gate failure says that the alert
    budget is too small for any model.
    """

    name: str
    made: datetime
    passed: bool | None
    kind: RunKind
    frauds: int
    budget_exceeded: bool


@dataclass(frozen=True)
class Request:
    """A request that was made, and the verdict on its model. `reason` is the gate's, or that of the failed job.

    `question` is what the run asks a person to decide about the alert budget; None if the budget suffices.
    """

    made: datetime
    cause: str
    kind: RunKind
    onset: datetime
    window: tuple[datetime, datetime]
    result: str
    reason: str
    question: str | None = None


@dataclass(frozen=True)
class Deployed:
    """A model that came into service."""

    since: datetime
    model: Trained


@dataclass
class Played:
    """The result of a year: months by number, models in order, requests, and the days on which a case was due.

    `suppressed` counts the reasons for which no request was made; `alarms` are the times of checks at which concept
    drift was found, by the daily test or by windows; at those of `ended` the new pattern was found to have ended; at
    those of `no_labels` the labels of old windows were missing.
    """

    months: dict[int, ServedMonth] = field(default_factory=dict)
    models: list[Deployed] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    suppressed: dict[str, int] = field(default_factory=dict)
    alarms: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)
    no_labels: list[datetime] = field(default_factory=list)
    verdicts: dict[int, detector.DriftVerdict] = field(default_factory=dict)


class InProcess:
    """Plays `year` with the repository's rules, and its model settings unless others are given.

    Args:
        first: the model of the year's history if it is known already; else it is trained.
    """

    def __init__(self, year: Year, model_file: config.ModelFile | None = None, *, first: Trained | None = None) -> None:
        self.year, self.model_file = year, model_file or config.load_model(SHIPPED)
        self.gate = config.load_gate(SHIPPED)
        self.settings = config.settings_of(config.load_data(SHIPPED), self.model_file, self.gate)
        self.file = config.load_drift(SHIPPED)
        self.rules = detector.Rules.from_dict(self.file.to_rules())
        self.played = Played()
        self._history: ServedMonth | None = None
        self._first = first
        self._answers: dict[str, list[Answer]] = {}
        self._scored_by: dict[int, int] = {}
        self._summaries: dict[int, detector.WindowSummary] = {}
        self._outcomes: dict[int, LabelSummary] = {}
        self._seen: dict[int, tuple[LabelSummary, ...]] = {}
        self._counts: dict[int, DailyCounts] = {}

    def play(self, months: int = 12) -> Played:
        """The year, with a check every day."""
        played = self.played
        played.models.append(Deployed(self.year.span(1)[0], self._first or self.train_first()))
        for number in range(1, months + 1):
            month = played.months[number] = ServedMonth(MonthRows.of(self.year, number))
            month.serve(len(played.models) - 1, self._serving.model.model, month.rows.start)
            day = month.rows.start
            while day < month.rows.end:
                self._check(number, day + CHECK_AFTER)
                day += _DAY
        return played

    def train_first(self) -> Trained:
        """The model of the year's history."""
        history = self._months(HISTORY)
        return run(self.settings, [history.rows.transactions], [history.rows.labels])

    @property
    def _serving(self) -> Trained:
        return self.played.models[-1].model

    def _months(self, number: int) -> ServedMonth:
        """A month of the year so far, or history, which is drawn when it is needed."""
        if number != HISTORY:
            return self.played.months[number]
        if self._history is None:
            self._history = ServedMonth(MonthRows.of(self.year, HISTORY))
        return self._history

    def _check(self, current: int, now: datetime) -> None:
        """The check at `now` in month `current`: verdicts, cases, and at most one request."""
        verdicts = self.played.verdicts
        for number in range(1, current):
            if self._may_change(number, current, now):
                verdicts[number] = self._evaluate(number, now)
        if self._labels_are_missing(now):
            self.played.no_labels.append(now)
        cases = self._cases(now)
        for case in cases:
            reason = self._suppressed_by(case, now) or self._retrain(case, now)
            if not reason:
                break
            self.played.suppressed[reason] = self.played.suppressed.get(reason, 0) + 1

    def _labels_are_missing(self, now: datetime) -> bool:
        """Whether the drift check would report missing labels, by the windows that could count against the champion."""
        serving = self._serving.model
        until = learned_until(serving.baseline)
        counted = [
            (verdict, self._outcomes[number])
            for number, verdict in sorted(self.played.verdicts.items())
            if verdict.reference == serving.sha256
            or (until is not None and verdict.end > until - (verdict.end - verdict.start) / 2)
        ]
        return missing_labels.find(counted, now=now, days=self.file.no_labels_days) is not None

    def _may_change(self, number: int, current: int, now: datetime) -> bool:
        """Whether the product would evaluate a window (again): the latest one, and those whose labels may mature."""
        known = self.played.verdicts.get(number)
        recent = now - self._months(number).rows.end <= calendar.MATURING_PERIOD
        return known is None or number == current - 1 or (recent and CONCEPT not in known.evaluated)

    def _evaluate(self, number: int, now: datetime) -> detector.DriftVerdict:
        """The verdict on a month, by the model of its first check, on the rows that this model scored."""
        month, rows = self._months(number), self._months(number).rows
        which = self._scored_by.setdefault(number, len(self.played.models) - 1)
        model, own = self.played.models[which].model.model, month.model == which
        decisions = np.where(own, month.decisions, -1)
        if number not in self._summaries:
            names = model.model.inputs
            self._summaries[number] = detector.WindowSummary.of(
                model.baseline,
                rows.inputs(names),
                names=names,
                scores=np.where(own, month.scores, np.nan),
                decisions=decisions,
                times=rows.times,
            )
        self._outcomes[number] = LabelSummary.of(
            model.baseline, times=rows.times, labels=month.known(now), decisions=decisions, amounts=rows.amounts
        )
        earlier: list[LabelSummary] = []
        for before in range(number - 1, 0, -1):
            if len(earlier) == max(POOLED_WINDOWS) - 1 or self._scored_by[before] != which:
                break
            earlier.append(self._outcomes[before])
        limits = self.file.labels
        counted = tuple(
            item.mature(as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
            for item in (self._outcomes[number], *earlier)
        )
        if self._seen.get(number) == counted:  # the verdict is a function of these counts and of what does not change
            return self.played.verdicts[number]
        self._seen[number] = counted
        return detector.evaluate(
            model.baseline,
            self._summaries[number],
            self._outcomes[number],
            self.rules,
            start=rows.start,
            end=rows.end,
            as_of=now,
            reference=model.sha256,
            earlier=earlier,
        )

    def _cases(self, now: datetime) -> list[DriftCase]:
        """The cases that are due, as ml.drift.decision_policy.cases builds them."""
        verdicts, serving = self.played.verdicts, self._serving.model
        decisions: Sequence[detector.Decision] = ()
        if verdicts:
            decisions = decision_policy.due(
                [verdicts[number] for number in sorted(verdicts)],
                self.rules,
                champion=serving.sha256,
                learned_until=learned_until(serving.baseline),
            )
        chosen = [(each, self._run_choice(each, now)) for each in decisions]
        cases = [
            DriftCase(decision=each, run_kind=choice.kind, reason="", evidence={})
            for each, choice in chosen
            if not choice.unneeded
        ]
        evidence = self.evidence(now)
        fired = evidence is not None and evidence.rates.fired
        ended = evidence.ended if evidence is not None else None
        if not fired and ended is not None and ended.fired and ended.ended is not None:
            self.played.ended.append(now)
            return [_daily_case(midnight(ended.ended), now, DROP), *(case for case in cases if case.kind != CONCEPT)]
        if any(case.kind == CONCEPT for case in cases):
            self.played.alarms.append(now)
            return cases
        if evidence is not None and fired and evidence.rates.onset is not None:
            self.played.alarms.append(now)
            return [_daily_case(midnight(evidence.rates.onset), now, ADAPT), *cases]
        onset = self._repeated_since(now)
        return cases if onset is None else [_daily_case(onset, now, ADAPT), *cases]

    def _repeated_since(self, now: datetime) -> datetime | None:
        """The first day of the rows of another adaptation; None if it is not due."""
        return repeated_adaptation.onset(
            self._serving.model.baseline,
            [part.pattern for part in self._serving.model.model.document.parts],
            now=now,
        )

    def evidence(self, now: datetime) -> Evidence | None:
        """The daily concept test on the serving model."""
        number, baseline = len(self.played.models) - 1, self._serving.model.baseline
        counts = self._counts.get(number)
        if counts is None:
            alpha = self.rules.concept.alpha_daily
            counts = self._counts[number] = DailyCounts(number, baseline, learned_until(baseline), alpha)
        return counts.evaluate(self.played.months, now)

    def _run_choice(self, decision: detector.Decision, now: datetime) -> RunChoice:
        """The run that the drift check would ask for, and whether it is needed."""
        past = [
            Counted(verdict, self._ranking_counts(number, now), self._summaries[number])
            for number, verdict in sorted(self.played.verdicts.items())
        ]
        rules = RankingRules(**self.file.to_ranking_rules())
        serving, chosen_by = self._serving.model, self._serving.model.model.threshold
        policy = Threshold(policy=chosen_by.policy, value=chosen_by.value)
        return run_kind_policy.choose(decision, past, serving.baseline, rules, policy)

    def _ranking_counts(self, number: int, now: datetime) -> Mapping[str, Any]:
        """A month's rows of mature days by score and label, by the model of its first check."""
        month, which = self._months(number), self._scored_by[number]
        edges = self.played.models[which].model.model.baseline["ranking"]["edges"]
        limits = self.file.labels
        mature = self._outcomes[number].mature(
            as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days
        )
        days = [day_number(midnight(day)) for day in mature.days]
        counted = (month.model == which) & np.isin(month.rows.days, days)
        return RankingCounts.of(edges, month.scores, np.where(counted, month.known(now), -1)).to_dict()

    def _suppressed_by(self, case: DriftCase, now: datetime) -> str:
        """The check that suppresses a request, in the order of ml.drift.request_checks; '' if none does."""
        answers = self._answers.get(case.kind, [])
        stronger = CAUSES[: CAUSES.index(case.kind) + 1]
        if any(answer.passed is None for cause in stronger for answer in self._answers.get(cause, [])):
            return "a request whose job failed is open"
        every = [answer for each in self._answers.values() for answer in each]
        latest = max(every, key=lambda answer: answer.made, default=None)
        if latest is not None and latest.budget_exceeded and case.run_kind != DROP:
            return "alert budget too small for any model"
        alike = [each for each in answers if each.passed or (each.kind == DROP) == (case.run_kind == DROP)]
        row = list(itertools.takewhile(lambda answer: not answer.passed, reversed(alike)))
        if len(row) >= self.file.circuit_breaker.gate_failures:
            return "circuit breaker open"
        if any(answer.name == case.name for answer in answers):
            return "already requested"
        latest = self._cooling_down(case, now)
        same = latest is not None and latest.kind == case.run_kind and case.run_kind in (ADAPT, DROP)
        if latest is not None and not (latest.passed is False and same):
            return "cooldown"
        of_month = [each for each in every if (each.made.year, each.made.month) == (now.year, now.month)]
        return "monthly cap" if len(of_month) >= self.file.max_requests_per_month else ""

    def _cooling_down(self, case: DriftCase, now: datetime) -> Answer | None:
        """The answer that starts a cooldown for the case, as in ml.drift.request_limits."""
        made = [answer for each in self._answers.values() for answer in each]
        failed = [answer for answer in made if answer.passed is False and answer.kind == case.run_kind]
        counted = [*self._answers.get(case.kind, []), *failed]
        if case.run_kind == DROP:
            counted = [answer for answer in counted if answer.kind == DROP]
        latest = max(counted, key=lambda answer: answer.made, default=None)
        cooldown = timedelta(days=getattr(self.file.cooldown_days, case.kind))
        return latest if latest is not None and now - latest.made < cooldown else None

    def _retrain(self, case: DriftCase, now: datetime) -> str:
        """Trains, and serves the model if it passes the gate; the reason if there are not enough labels, else ''."""
        onset = case.decision.onset
        assert onset is not None
        chosen = self._training_window(onset, case.run_kind, now)
        if isinstance(chosen, NotEnoughLabels):
            return "not enough labels"
        latest = self._cooling_down(case, now)
        if latest is not None and chosen.frauds < math.ceil(self.file.retry.fraud_growth * latest.frauds):
            return "cooldown"
        numbers = [HISTORY] if chosen.start < self.year.span(1)[0] else []
        used = [self._months(number) for number in [*numbers, *self.played.months]]
        used = [month for month in used if month.rows.start < chosen.end and month.rows.end > chosen.start]
        tables = [month.rows.transactions for month in used]
        labels = [table for month in used for table in month.label_tables(now)]
        passed: bool | None = None
        question, exceeded = None, False
        try:
            trained = run(
                self.settings,
                tables,
                labels,
                start=chosen.start,
                end=chosen.end,
                kind=case.run_kind,
                champion=self._serving,
            )
        except (StepFailed, ValueError) as error:
            result, reason = "job failed", str(error)
        else:
            verdict = trained.evaluation["verdict"]
            passed, result, reason = trained.passed, verdict["status"], verdict["reason"]
            question = trained.evaluation["budget"]["shortfall"]
            exceeded = not passed and trained.evaluation["budget"]["exceeded"]
            if passed:
                self._deploy(trained, now)
        window = (chosen.start, chosen.end)
        request = Request(now, case.kind, case.run_kind, onset, window, result, reason, question)
        self.played.requests.append(request)
        answer = Answer(case.name, now, passed, case.run_kind, chosen.frauds, exceeded)
        self._answers.setdefault(case.kind, []).append(answer)
        return ""

    def _deploy(self, model: Trained, now: datetime) -> None:
        self.played.models.append(Deployed(now, model))
        month = self.played.months[max(self.played.months)]
        month.serve(len(self.played.models) - 1, model.model.model, now)

    def _training_window(self, onset: datetime, kind: RunKind, now: datetime) -> TrainingWindow | NotEnoughLabels:
        """The product's own choice, which counts the rows of this year instead of a lake's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coverage, "by_day", lambda _, start, end, *, as_of: self._by_day(start, end, as_of))
            patch.setattr(coverage, "first_event", lambda _: self.year.span(HISTORY)[0])
            return training_window.choose(
                "",
                onset=onset,
                end=midnight(now.date()),
                kind=kind,
                as_of=now,
                settings=self.model_file,
                gate=self.gate,
                labels=self.file,
            )

    def _by_day(self, start: datetime, end: datetime, as_of: datetime) -> list[coverage.DayCount]:
        """Rows, labels and frauds known at `as_of` for each day from `start` to before `end`."""
        found = []
        for number in [*([HISTORY] if start < self.year.span(1)[0] else []), *self.played.months]:
            month = self._months(number)
            times = month.rows.times
            inside = times >= np.datetime64(start.replace(tzinfo=None), "us")
            inside &= times < np.datetime64(end.replace(tzinfo=None), "us")
            labels = month.known(as_of)
            first, size = day_number(month.rows.start), (month.rows.end - month.rows.start).days
            days = month.rows.days - first
            rows, labelled, frauds = (
                np.bincount(days[inside & chosen], minlength=size) for chosen in (True, labels >= 0, labels == 1)
            )
            for place in np.flatnonzero(rows).tolist():
                found.append(
                    coverage.DayCount(
                        day=(month.rows.start + place * _DAY).date(),
                        rows=int(rows[place]),
                        labelled=int(labelled[place]),
                        frauds=int(frauds[place]),
                    )
                )
        return found


def _daily_case(onset: datetime, now: datetime, kind: RunKind) -> DriftCase:
    """A case that does not follow from windows: its one window is from the onset to the day of the check."""
    window = (onset, midnight(now.date()))
    decision = detector.Decision(kind=CONCEPT, onset=onset, fired=(window,), considered=(window,))
    return DriftCase(decision=decision, run_kind=kind, reason="", evidence={})
