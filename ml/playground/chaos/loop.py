"""Plays a scene of the loop under the faults of a seed: each verb, its rerun if it failed, and the invariants."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ml.aws import session
from ml.errors import FraudopsError
from ml.playground.chaos import fault_draw, invariants, stages
from ml.playground.chaos.call_gate import CallGate, Interrupted
from ml.playground.chaos.environment import START, ChaosEnvironment
from ml.playground.chaos.fault_draw import Draw, DrawnFault, VerbCalls
from ml.playground.chaos.invariants import State, VerbRun
from ml.playground.chaos.observation import observe
from ml.playground.chaos.stages import Stage

_AGENTS = ("app/fraudops", "AWS_Lambda")
"""What is in the User-Agent of the product's calls, and of the deploy function's."""
_HOUR = timedelta(hours=1)
_START = datetime.fromisoformat(START)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run: the kinds of its faults that were met, each verb's runs, and the violated invariants."""

    seed: int
    faults: Sequence[str]
    met: Sequence[str]
    runs: Sequence[VerbRun]
    violations: Sequence[str]
    seconds: float

    @property
    def reruns(self) -> int:
        """How many verbs had to be run again."""
        return sum(1 for run in self.runs if run.error)

    @property
    def summary(self) -> str:
        """The run in one line."""
        met = ", ".join(self.met) or f"no fault met ({', '.join(self.faults)})"
        failed = [f"{run.verb}: {run.error.partition(':')[0]}" for run in self.runs if run.error]
        end = f"{len(self.violations)} violations" if self.violations else "invariants hold"
        return f"{met}; {'run again after ' + ', '.join(failed) if failed else 'no rerun'}; {end}"

    def as_json(self) -> dict[str, Any]:
        """The run as JSON-able data, without times."""
        runs = [[run.verb, run.error.partition(":")[0]] for run in self.runs]
        return {
            "seed": self.seed,
            "faults": list(self.faults),
            "met": list(self.met),
            "runs": runs,
            "violations": list(self.violations),
        }

    def trace(self) -> list[Any]:
        """What a second run of the seed must repeat."""
        runs = [(run.verb, run.error.partition(":")[0], run.reached) for run in self.runs]
        return [list(self.met), runs, list(self.violations)]


class Scene(Protocol):
    """The verbs of a run, and what it begins with."""

    @property
    def start(self) -> datetime:
        """When a run begins; each verb runs an hour after the one before."""

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds of faults that its verbs can meet."""

    def reset(self) -> None:
        """Makes everything as it is at the beginning of a run."""

    def stages(self) -> list[Stage]:
        """The verbs in order."""

    def learn(self) -> None:
        """Remembers what a run without faults has left."""

    def violations(self) -> list[str]:
        """What is wrong at the end of a run, besides the invariants."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """From nothing to a served model; if `whole`, also a second model, the rollback, and one that fails the gate."""

    environment: ChaosEnvironment
    whole: bool = False
    start: datetime = _START
    kinds: Sequence[str] = fault_draw.KINDS

    def reset(self) -> None:
        """Empties SageMaker, and creates the repository without an approval."""
        self.environment.reset()

    def stages(self) -> list[Stage]:
        """train, propose, deploy, and what follows in a whole run."""
        return stages.whole(self.environment) if self.whole else stages.first_model(self.environment)

    def learn(self) -> None:
        """Nothing: the invariants say all."""

    def violations(self) -> list[str]:
        """None besides the invariants."""
        return []


@dataclass
class _Playing:
    environment: ChaosEnvironment
    draw: Draw
    runs: list[VerbRun] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    calls: dict[str, VerbCalls] = field(default_factory=dict)


class Loop:
    """Plays runs of a scene in one environment. The first ones have no faults and learn the calls of each verb."""

    def __init__(self, environment: ChaosEnvironment, scene: Scene) -> None:
        self._environment, self._scene = environment, scene
        self.calls: Mapping[str, VerbCalls] = {}
        self._renew = False

    def learn(self) -> Result:
        """A run without faults: trains with real jobs, and records the calls of each verb.

        Raises:
            RuntimeError: an invariant is violated without any fault.
        """
        self._play(Draw(seed=0), learning=False)  # fills the caches of steps and definitions
        result = self._play(Draw(seed=0), learning=True)
        if result.violations:
            raise RuntimeError(f"without any fault: {'; '.join(result.violations)}")
        self._scene.learn()
        return result

    def run(self, seed: int) -> Result:
        """The run of a seed."""
        if not self.calls:
            self.learn()
        return self._play(fault_draw.draw(seed, self.calls, self._scene.kinds), learning=False)

    def _play(self, draw: Draw, *, learning: bool) -> Result:
        started, environment = time.perf_counter(), self._environment
        for fault in draw.faults:
            if fault.uncached_step:
                environment.aws.forget_runs(cached_step=fault.uncached_step)
        self._scene.reset()
        playing = _Playing(environment, draw)
        moment = self._scene.start
        for stage in self._scene.stages():
            moment += _HOUR
            environment.at(f"{moment:%Y-%m-%dT%H:%M:%SZ}")
            state = self._stage(playing, stage, moment, learning=learning)
            if state is None:
                break
            stage.then()
        playing.violations += invariants.check(observe(environment, playing.runs), invariants.AT_THE_END)
        with environment.without_faults():
            playing.violations += self._scene.violations()
        if learning:
            self.calls = playing.calls
        return Result(
            seed=draw.seed,
            faults=[fault.kind for fault in draw.faults],
            met=playing.met,
            runs=playing.runs,
            violations=list(dict.fromkeys(playing.violations)),
            seconds=time.perf_counter() - started,
        )

    def _stage(self, playing: _Playing, stage: Stage, moment: datetime, *, learning: bool) -> State | None:
        """Runs a verb, and again if it fails; the state afterwards, None if it failed twice."""
        environment = playing.environment
        for faults in (playing.draw.of(stage.verb), []):
            run = self._attempt(playing, stage, faults, moment, learning=learning)
            state = observe(environment, playing.runs)
            playing.runs.append(run if run.error else VerbRun(verb=run.verb, reached=stage.reached(state)))
            if faults or run.error:
                state = replace(state, runs=tuple(playing.runs))
                playing.violations += invariants.check(state, invariants.ALWAYS)
            if not run.error:
                return state
            environment.checkout()
        return None

    def _attempt(
        self, playing: _Playing, stage: Stage, faults: Sequence[DrawnFault], moment: datetime, *, learning: bool
    ) -> VerbRun:
        environment = playing.environment
        aws, github = environment.aws.faults, environment.github.faults
        gate = CallGate(
            environment.aws.settle,
            interruption=next((fault.interruption for fault in faults if fault.interruption), None),
            full_disk=next((fault.full_disk for fault in faults if fault.full_disk), None),
        )
        environment.aws.clock.set(moment + timedelta(seconds=sum(fault.skew_seconds for fault in faults)))
        aws.set(fault.aws for fault in faults if fault.aws is not None)
        github.set(fault.github for fault in faults if fault.github is not None)
        if faults or self._renew:
            session.renew()  # each run of a verb is a process of its own, whose clients know nothing of earlier faults
        self._renew = bool(faults)
        if learning:
            aws.calls, github.calls = [], []
        error, expected = "", True
        try:
            with gate.opened():
                stage.call(environment.root)
        except (FraudopsError, Interrupted) as reported:
            error = f"{type(reported).__name__}: {reported}"
        except Exception as failed:  # as `ml.cli.main` distinguishes them, and the disk's own error
            error = f"{type(failed).__name__}: {failed}"
            expected = type(failed).__module__.startswith("botocore") or (gate.fired and isinstance(failed, OSError))
        environment.aws.settle()
        playing.met += _met(faults, gate, [*(each.fault for each in aws.fired), *(each.fault for each in github.fired)])
        if learning:
            playing.calls[stage.verb] = VerbCalls(
                aws=[(*each[:2], agent) for each in aws.calls or () for agent in _AGENTS if agent in each[2]],
                github=list(github.calls or ()),
                calls=gate.calls,
                files=gate.files,
            )
            aws.calls = github.calls = None
        environment.aws.clock.set(moment)
        return VerbRun(verb=stage.verb, error=error, expected_error=expected)


def _met(faults: Sequence[DrawnFault], gate: CallGate, fired: Sequence[str]) -> list[str]:
    """The kinds of the faults that the verb met."""
    found = []
    for fault in faults:
        rule = fault.aws or fault.github
        if (rule is not None and rule.fault in fired) or (fault.skew_seconds) or (rule is None and gate.fired):
            found.append(fault.kind)
    return found
