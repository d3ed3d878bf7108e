"""A simulated year in one process, without AWS and GitHub: the product's steps and verdicts, for tests and tuning.

Commits, runs, registry and endpoint are left out. What determines the year's outcome is the product's: Prepare, Train,
Evaluate with its gate and champion, the repository's drift rules, the use of verdicts, and the delay of labels. The
product reads the checks that suppress a request from Git; this module keeps them in memory.
"""

from __future__ import annotations

import itertools
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from ml import config
from ml.aws.labels import coverage
from ml.drift import decision_policy, training_window, window_choice
from ml.drift.approved_model import learned_until
from ml.drift.drift_case import DriftCase
from ml.model import artifact
from ml.model.drift import detector
from ml.model.metrics import Confusion
from ml.model.training_settings import Settings
from ml.simulate.year_traffic import HISTORY, Day, Year
from ml.steps import evaluate, prepare, train

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Trained:
    """The result of a run: the archive, whether it passed the gate, and the evaluation."""

    archive: bytes
    model: artifact.Artifact
    evaluation: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the gate passed, so that the model may serve."""
        return bool(self.evaluation["verdict"]["status"] == "passed")


def run(
    settings: Settings,
    tables: Sequence[pa.Table],
    labels: Sequence[pa.Table],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    champion: Trained | None = None,
) -> Trained:
    """Prepare, Train and Evaluate on rows of a window with the labels known so far."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "processing"
        for name in ("settings", "champion", "model"):
            (base / name).mkdir(parents=True)
        (base / "settings/settings.json").write_text(settings.to_json())
        for kind, parts in (("raw", tables), ("labels", labels)):
            for number, table in enumerate(parts):
                path = base / f"dataset/{kind}/{number:03d}/part.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(table, path)
        if champion is None:
            (base / "champion/none.json").write_text('{"champion": null}')
        else:
            (base / "champion/model.tar.gz").write_bytes(champion.archive)
        prepare.prepare(base, start.isoformat() if start else "", end.isoformat() if end else "")
        trained = Path(folder) / "trained"
        train.train(base / "settings", base / "prepared", trained)
        with tarfile.open(base / "model/model.tar.gz", "w:gz") as tar:
            for path in sorted(trained.iterdir()):
                tar.add(path, arcname=path.name)
        provenance = {"commit": "0" * 40, "config_sha256": settings.sha256, "data_sha256": "0" * 64}
        evaluate.evaluate(base, provenance, champion.model.sha256 if champion else "")
        archive = (base / "artifact/model.tar.gz").read_bytes()
        return Trained(archive, artifact.read(archive), json.loads((base / "evaluation/evaluation.json").read_text()))


class Answer(NamedTuple):
    """The result of a request: its name, its time, and whether its model passed the gate."""

    name: str
    made: datetime
    passed: bool


@dataclass
class Played:
    """The result of a year: by month from 1, with requests as (month, cause, window, result)."""

    served: list[Confusion] = field(default_factory=list)
    control: list[Confusion] = field(default_factory=list)
    verdicts: list[detector.DriftVerdict] = field(default_factory=list)
    requests: list[tuple[int, str, str, str]] = field(default_factory=list)
    evaluations: list[Mapping[str, Any]] = field(default_factory=list)


class InProcess:
    """Plays `year` with the repository's rules, and its model settings unless others are given."""

    def __init__(self, year: Year, model_file: config.ModelFile | None = None) -> None:
        self.year, self.model_file = year, model_file or config.load_model(ROOT)
        self.settings = config.settings_of(self.model_file, config.load_gate(ROOT))
        self.file = config.load_drift(ROOT)
        self.rules = detector.Rules.from_dict(self.file.to_rules())
        self.months: dict[int, Day] = {}
        self.models: dict[int, Trained] = {}

    def play(self, months: int = 12) -> Played:
        """The year, with and without retraining."""
        played, verdicts = Played(), dict[int, detector.DriftVerdict]()
        answers: dict[str, list[Answer]] = {}
        history = self.year.month(HISTORY)
        self.months[HISTORY] = history
        first = serving = run(self.settings, [history.transactions], [history.labels])
        for number in range(1, months + 1):
            month = self.months[number] = self.year.month(number)
            self.models[number] = serving
            now = self.year.span(number)[1]
            played.served.append(Confusion.of(month.truth, self.scored(serving, number)[1]))
            played.control.append(Confusion.of(month.truth, self.scored(first, number)[1]))
            for window in range(1, number + 1):
                if window == number or "concept" not in verdicts[window].evaluated:
                    verdicts[window] = self.evaluate(window, now)
            decisions = decision_policy.due(
                [verdicts[window] for window in sorted(verdicts)],
                self.rules,
                champion=serving.model.sha256,
                learned_until=learned_until(serving.model.baseline),
            )
            for decision in decisions:
                case = DriftCase(decision=decision, reason="", evidence={})
                found = answers.setdefault(case.kind, [])
                if held := self.suppressed_by(case, found, now):
                    played.requests.append((number, case.kind, "", held))
                    continue
                trained, words = self.retrain(decision, number, serving)
                if trained is None:
                    played.requests.append((number, case.kind, words, "suppressed"))
                    continue
                played.requests.append((number, case.kind, words, trained.evaluation["verdict"]["status"]))
                played.evaluations.append(trained.evaluation)
                found.append(Answer(case.name, now, trained.passed))
                serving = trained if trained.passed else serving
                break
        played.verdicts = [verdicts[window] for window in sorted(verdicts)]
        return played

    def suppressed_by(self, case: DriftCase, answers: Sequence[Answer], now: datetime) -> str:
        """The check that suppresses a request, in the product's order; '' if none does.

        One request a month at most is made here, so the month's cap is never reached.
        """
        row = list(itertools.takewhile(lambda answer: not answer.passed, reversed(answers)))
        if len(row) >= self.file.circuit_breaker.gate_failures:
            return "circuit breaker open"
        if any(answer.name == case.name for answer in answers):
            return "already requested"
        cooldown = timedelta(days=getattr(self.file.cooldown_days, case.kind))
        return "suppressed" if answers and now - answers[-1].made < cooldown else ""

    def scored(self, model: Trained, number: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Scores and decisions of `model` on a month."""
        rows = matrix(self.months[number], model.model.model.inputs)
        scores = model.model.model.score(rows)
        return scores, model.model.model.decide(scores)

    def evaluate(self, number: int, now: datetime) -> detector.DriftVerdict:
        """The verdict on a month, by the model that served then and the labels known now."""
        model, month = self.models[number], self.months[number]
        start, end = self.year.span(number)
        scores, decisions = self.scored(model, number)
        names = model.model.model.inputs
        rows = matrix(month, names)
        times = month.transactions["event_time"].to_numpy()
        window = detector.WindowSummary.of(
            model.model.baseline, rows, names=names, scores=scores, decisions=decisions, times=times
        )
        labels = detector.LabelSummary.of(
            model.model.baseline,
            times=times,
            labels=known(month, now),
            decisions=decisions,
            amounts=month.transactions["Amount"].to_numpy(),
        )
        reference = model.model.sha256
        return detector.evaluate(
            model.model.baseline, window, labels, self.rules, start=start, end=end, as_of=now, reference=reference
        )

    def retrain(self, decision: detector.Decision, number: int, champion: Trained) -> tuple[Trained | None, str]:
        """A model of the training window that the drift check would request; None and the reason if not possible."""
        now, onset = self.year.span(number)[1], decision.onset
        assert onset is not None
        chosen = self.choose_training_window(onset, now, decision.kind != "concept", now)
        if isinstance(chosen, window_choice.NotEnoughLabels):
            return None, chosen.reason
        used = [m for m in range(HISTORY, number + 1) if self.year.span(m)[1] > chosen.start]
        tables = [self.months[m].transactions for m in used]
        labels = [
            self.months[m].labels.filter(pa.compute.less(self.months[m].labels["known_at"], pa.scalar(now)))
            for m in used
        ]
        trained = run(self.settings, tables, labels, start=chosen.start, end=chosen.end, champion=champion)
        return trained, f"{chosen.start:%Y-%m-%d}/{chosen.end:%Y-%m-%d}"

    def choose_training_window(
        self, onset: datetime, end: datetime, grows: bool, now: datetime
    ) -> window_choice.TrainingWindow | window_choice.NotEnoughLabels:
        """The product's own choice, which counts the rows of this year instead of a lake's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coverage, "by_day", lambda _, start, end, *, as_of: self.by_day(start, end, as_of))
            patch.setattr(coverage, "first_event", lambda _: self.year.span(HISTORY)[0])
            return training_window.choose(
                "",
                onset=onset,
                end=end,
                grows=grows,
                as_of=now,
                settings=self.model_file,
                gate=config.load_gate(ROOT),
                labels=self.file,
            )

    def by_day(self, start: datetime, end: datetime, as_of: datetime) -> list[coverage.DayCount]:
        """Rows, labels and frauds known at `as_of` for each day from `start` to before `end`."""
        found = []
        for month in self.months.values():
            times = month.transactions["event_time"].to_pandas()
            frame = pd.DataFrame({"day": times.dt.date, "label": known(month, as_of)})
            frame = frame[((times >= start) & (times < end)).to_numpy()]
            for day, labels in frame.groupby("day")["label"]:
                counts = len(labels), int((labels >= 0).sum()), int((labels == 1).sum())
                found.append(coverage.DayCount(day=day, rows=counts[0], labelled=counts[1], frauds=counts[2]))
        return sorted(found, key=lambda count: count.day)


def matrix(month: Day, names: Sequence[str]) -> NDArray[np.float64]:
    """A month's inputs, float64[rows, inputs]."""
    return np.column_stack([month.transactions[name].to_numpy() for name in names])


def known(month: Day, now: datetime) -> NDArray[np.int8]:
    """The label of each row of a month as known before `now`; -1 where none is."""
    labels = month.labels.filter(pa.compute.less(month.labels["known_at"], pa.scalar(now))).to_pandas()
    last = labels.drop_duplicates("event_id", keep="last").set_index("event_id")["label"]
    found: NDArray[np.int8] = last.reindex(month.transactions["event_id"].to_pandas()).fillna(-1).to_numpy(np.int8)
    return found


def pooled(counts: Sequence[Confusion]) -> Confusion:
    """The sum of all counts."""
    names = Confusion.__dataclass_fields__
    return Confusion(**{name: sum(getattr(item, name) for item in counts) for name in names})
