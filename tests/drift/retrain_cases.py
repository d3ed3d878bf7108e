"""Cases of drift, and requests created, committed and resolved for tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ml import config
from ml.drift import training_window
from ml.drift.drift_case import DriftCase, RequestOutcome
from ml.drift.retrain_requester import RetrainRequester
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.gitops import commit_messages
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.model.drift import detector
from ml.model.run_kinds import RunKind
from tests.harness.git import repositories
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint

NOW = "2026-05-01T05:17:00Z"


NAMES = {kind: f"20260501T000000Z-{kind}-drift" for kind in ("data", "prediction", "concept")}


def moment(month: int, day: int = 1) -> datetime:
    """A midnight of 2026."""
    return datetime(2026, month, day, tzinfo=UTC)


def due(kind: str = "data", *, onset: datetime | None = None, run_kind: RunKind | None = None) -> DriftCase:
    """A case of drift in April with its onset in March."""
    april = (moment(4), moment(5))
    decision = detector.Decision(kind=kind, onset=onset or moment(3), fired=(april,), considered=(april,))
    return DriftCase(
        decision=decision,
        run_kind=run_kind or ("adapt" if kind == "concept" else "threshold"),
        reason=f"{kind} has drifted, see @alice",
        evidence={"kind": kind, "check": "s3://x/y"},
    )


def chooser(env: MonitoredEndpoint, rules: config.DriftFile) -> Callable[[DriftCase], TrainingWindow | NotEnoughLabels]:
    """Chooses training windows from the lake of `env`."""
    settings, gate = config.load_model(env.root), config.load_gate(env.root)
    return partial(training_window.for_case, BUCKET, settings=settings, gate=gate, rules=rules)


def create_requests(env: MonitoredEndpoint, *cases: DriftCase, **changes: Any) -> list[RequestOutcome]:
    """Creates requests as `fraudops drift check` does; `changes` replace values of drift.yaml."""
    rules = config.load_drift(env.root).model_copy(update=changes)
    requester = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        choose=chooser(env, rules),
        rules=rules,
    )
    outcomes = requester.create(cases or [due()])
    requester.close_circuit_breakers()
    return outcomes


def commit_request(
    env: MonitoredEndpoint, name: str, *, at: str, kind: RunKind = "fit", frauds: int | None = None
) -> None:
    """Commits the request of an earlier check, with `frauds` labelled frauds in its window if it states them."""
    env.at(at)
    cause = name.partition("Z-")[2]
    request = config.RetrainRequest(
        kind=kind,
        cause=cause,
        reason="V2 moved",
        window=config.Window(start=None if kind == "fit" else moment(3), end=None),
        evidence={} if frauds is None else {"data": {"frauds": frauds}},
    )
    env.bot.workspace.write(
        {config.REQUESTS / f"{name}.yaml": config.dump(request)}, commit_messages.request(request, name)
    )
    env.bot.push()
    env.at(NOW)


def resolve(
    env: MonitoredEndpoint,
    name: str,
    *,
    gate_failed: bool,
    at: str,
    number: int = 2,
    kind: RunKind = "fit",
    budget: bool = False,
) -> str:
    """Commits the record that resolves a request; returns the record's name."""
    created = datetime.fromisoformat(at)
    if gate_failed:
        record = config.GateFailureRecord(
            kind=kind,
            commit=f"{number:040x}",
            requests=(name,),
            verdict=config.Verdict(status="failed", reason="Recall 0.5"),
            evaluation_uri="s3://lake/evaluation.json",
            execution_arn="arn:x",
            created=created,
            budget_exceeded=budget,
        )
        path = config.gate_failure_path(created, record.commit)
        content = config.dump(record)
    else:
        path = config.approval_path(number)
        content = config.dump(repositories.record(number, requests=(name,), created=created))
    env.bot.workspace.write({path: content}, f"Resolve {name}")
    env.bot.push()
    return path.stem
