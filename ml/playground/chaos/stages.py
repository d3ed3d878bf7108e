"""The verbs of a run in order, what each is for, and what a person does in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.commands.deploy import deploy
from ml.commands.propose import propose
from ml.commands.record_failure import record_failure
from ml.commands.rollback import rollback
from ml.commands.train import train
from ml.errors import GateFailed
from ml.playground.chaos import invariants
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.fault_draw import DEPLOY, TRAIN
from ml.playground.chaos.invariants import State


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One verb of the loop, and whether it has done what it is for. `then` is what a person does next."""

    verb: str
    call: Callable[[Path], object]
    reached: Callable[[State], bool]
    then: Callable[[], None] = lambda: None


def first_model(environment: ChaosEnvironment) -> list[Stage]:
    """Trains, proposes and deploys the first model."""
    return _model(environment, 1, "")


def whole(environment: ChaosEnvironment) -> list[Stage]:
    """The first model, a second one, the rollback to the first, and a third one that fails the gate."""

    def ask_too_much() -> None:
        environment.change(config.GATE, {"min_recall": 0.999}, "Ask for more recall")

    stages = first_model(environment)
    stages[-1] = _deployment("", lambda: environment.change(config.MODEL, {"regression.l2_penalty": 0.6}, "Change it"))
    return [
        *stages,
        *_model(environment, 2, " again"),
        Stage(
            verb="rollback",
            call=lambda root: rollback(root, propose=True),
            reached=lambda state: state.open_rollbacks == 1,
            then=lambda: _merge(environment),
        ),
        _deployment(" former", ask_too_much),
        Stage(
            verb=f"{TRAIN} failing",
            call=lambda root: _train_failing(root, environment.folder / "failure.json"),
            reached=lambda _: (
                json.loads((environment.folder / "failure.json").read_text("utf-8"))["verdict"] == "failed"
            ),
        ),
        Stage(
            verb="record-failure",
            call=lambda root: record_failure(root, outcome=environment.folder / "failure.json"),
            reached=lambda state: state.gate_failures == 1,
        ),
    ]


def _model(environment: ChaosEnvironment, version: int, suffix: str) -> list[Stage]:
    outcome = environment.folder / f"outcome-{version}.json"
    return [
        Stage(
            verb=f"{TRAIN}{suffix}",
            call=lambda root: train(root, outcome=outcome),
            reached=lambda state: outcome.is_file() and max(state.packages, default=0) == version,
        ),
        Stage(
            verb=f"propose{suffix}",
            call=lambda root: propose(root, outcome=outcome),
            reached=lambda state: list(state.open_approvals) == [version],
            then=lambda: _merge(environment),
        ),
        _deployment(suffix),
    ]


def _deployment(suffix: str, then: Callable[[], None] = lambda: None) -> Stage:
    return Stage(
        verb=f"{DEPLOY}{suffix}",
        call=deploy,
        reached=lambda state: not invariants.endpoint_serves_pointer(state),
        then=then,
    )


def _train_failing(root: Path, outcome: Path) -> None:
    """A training whose model fails the gate, which is what it is for here."""
    try:
        train(root, outcome=outcome)
    except GateFailed:
        return


def _merge(environment: ChaosEnvironment) -> None:
    """Merges the open pull request as a person, whose next job begins with a new checkout."""
    for pull in environment.person().get_pulls(state="open"):
        environment.merge(pull.number)
    environment.checkout()
