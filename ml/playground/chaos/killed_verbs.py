"""Kills verbs with SIGKILL at random moments, runs each once more, and checks the invariants.

Unlike the seeded faults, these are processes and real time: the verb runs as a workflow runs it, in a checkout of its
own, and the kernel ends it, with its children, wherever it is. A seed chooses the moments, but does not replay a run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ml import clock
from ml.playground.chaos import captured_month, invariants, stages, stored_results
from ml.playground.chaos.environment import START, ChaosEnvironment
from ml.playground.chaos.invariants import State, VerbRun
from ml.playground.chaos.observation import observe

VERBS = ("train", "propose", "deploy", "labels collect", "drift check")
_CHECKED = "2026-05-12T05:00:00Z"
"""When the month of traffic is checked: its labels are mature."""
_LIMIT_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A verb of a trial: after how many seconds it was killed, whether that was before its end, and its rerun's end."""

    verb: str
    seconds: float
    running: bool
    error: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of the loop whose verbs were killed, and what is wrong after it."""

    seed: int
    killed: Sequence[Killed]
    violations: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The trial as JSON-able data."""
        killed = [[each.verb, round(each.seconds, 3), each.running, each.error] for each in self.killed]
        return {"seed": self.seed, "killed": killed, "violations": list(self.violations)}


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A verb, its arguments, whether it has done what it is for, and what happens next."""

    verb: str
    arguments: Sequence[str]
    reached: Callable[[State], bool]
    then: Callable[[], None] = lambda: None


class KilledVerbs:
    """Plays trials in one environment. The first kill nothing: they teach how long each verb takes, and its results.

    The environment must buffer captured traffic for `captured_month.FLUSH_SECONDS`.
    """

    def __init__(self, environment: ChaosEnvironment) -> None:
        self._environment = environment
        self._seconds: dict[str, float] = {}
        self._results: dict[str, str] = {}
        self._rows = captured_month.draw(3_600, frauds=29, seed=7)

    def run(self, seed: int) -> Trial:
        """The trial of a seed.

        Raises:
            RuntimeError: the loop fails although nothing was killed.
        """
        if not self._results:
            self._play(seed, learning=True, last=VERBS[0])  # fills the caches of steps and definitions
            learned = self._play(seed, learning=True)
            if learned.violations:
                raise RuntimeError(f"nothing was killed: {'; '.join(learned.violations)}")
            self._results = stored_results.digests(self._environment)
        return self._play(seed, learning=False)

    def _play(self, seed: int, *, learning: bool, last: str = VERBS[-1]) -> Trial:
        environment, moments = self._environment, np.random.default_rng(seed)
        environment.reset()
        killed: list[Killed] = []
        runs: list[VerbRun] = []
        violations: list[str] = []
        moment = datetime.fromisoformat(START)
        for step in self._steps():
            if step.verb in VERBS[:3]:
                moment += timedelta(hours=1)
                environment.at(clock.stamp(moment))
            if not learning:
                after = float(moments.uniform(0, self._seconds[step.verb]))
                running = self._process(step.arguments, kill_after=after)[0] == -signal.SIGKILL
                environment.aws.settle()
                violations += invariants.check(observe(environment, runs), invariants.ALWAYS)
                environment.checkout()
            code, seconds, last_line = self._process(step.arguments)
            error = "" if code == 0 else f"exit code {code}: {last_line}"
            if learning:
                self._seconds[step.verb] = seconds
            else:
                killed.append(Killed(verb=step.verb, seconds=after, running=running, error=error))
            state = observe(environment, runs)
            runs.append(VerbRun(verb=step.verb, error=error, reached=step.reached(state)))
            violations += invariants.check(observe(environment, runs), invariants.ALWAYS)
            if error:
                break
            step.then()
            if step.verb == last:
                break
        violations += invariants.check(observe(environment, runs), invariants.AT_THE_END)
        titles = Counter(issue.title for issue in environment.person().get_issues(state="open"))
        violations += [f"{count} open issues: {title}" for title, count in titles.items() if count > 1]
        if self._results and not violations:
            violations += stored_results.differences(self._results, stored_results.digests(environment))
        return Trial(seed=seed, killed=killed, violations=list(dict.fromkeys(violations)))

    def _steps(self) -> list[_Step]:
        environment = self._environment
        outcome = str(environment.folder / "outcome-1.json")
        arguments = {"train": ["train", "--outcome", outcome], "propose": ["propose", "--outcome", outcome]}
        first = [
            _Step(
                verb=stage.verb,
                arguments=arguments.get(stage.verb, [stage.verb]),
                reached=stage.reached,
                then=self._month_of_traffic if stage.verb == "deploy" else stage.then,
            )
            for stage in stages.first_model(environment)
        ]
        return [
            *first,
            _Step(
                verb=VERBS[3],
                arguments=["labels", "collect"],
                reached=lambda _: not stored_results.waiting(environment),
            ),
            _Step(
                verb=VERBS[4],
                arguments=["drift", "check", "--hand-over"],
                reached=lambda _: bool(stored_results.checks(environment)),
            ),
        ]

    def _process(self, arguments: Sequence[str], *, kill_after: float | None = None) -> tuple[int, float, str]:
        """Runs a verb; its exit code, the seconds that it took, and its last line."""
        log = self._environment.folder / "verb.log"
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(Path(sys.executable).with_name("fraudops")), *arguments],
                cwd=self._environment.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                process.wait(_LIMIT_SECONDS if kill_after is None else kill_after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        lines = log.read_text("utf-8", errors="replace").strip().splitlines()
        return process.returncode, time.monotonic() - began, lines[-1] if lines else ""

    def _month_of_traffic(self) -> None:
        """Sends rows to the endpoint for a month, and puts their labels into the inbox."""
        captured_month.send(self._environment, self._rows)
        self._environment.at(_CHECKED)
        captured_month.put_labels(self._environment, self._rows, self._rows[captured_month.LABEL].to_numpy())
        self._environment.checkout()
