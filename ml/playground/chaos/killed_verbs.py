"""Kills verbs with SIGKILL at random moments, runs each once more, and checks the invariants.

Unlike the seeded faults, these are processes and real time: the verb runs as a workflow runs it, in a checkout of its
own, and the kernel ends it, with its children, wherever it is. A seed chooses the moments, but does not replay a run.
"""

from __future__ import annotations

import hashlib
import json
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

from ml import clock, config
from ml.commands.labels_collect import INBOX
from ml.playground.chaos import invariants, stages
from ml.playground.chaos.environment import START, ChaosEnvironment
from ml.playground.chaos.invariants import State, VerbRun
from ml.playground.chaos.observation import observe
from ml.simulate import stand_in_data

VERBS = ("train", "propose", "deploy", "labels collect", "drift check")
_ROWS_PER_REQUEST, _HOURS_BETWEEN = 40, 8
"""Less than the gap in traffic that drift.yaml reports."""
_MONTH, _CHECKED = datetime.fromisoformat("2026-04-01T00:00:00Z"), "2026-05-12T05:00:00Z"
"""From when on traffic is sent, until the month ends; and when it is checked, with mature labels.

Not the month of the deployment: a killed one runs its smoke test twice, and a check counts those of its window.
"""
_KNOWN = "2026-05-05T06:00:00Z"
_LIMIT_SECONDS = 600
FLUSH_SECONDS = 3_600.0
"""Longer than a trial."""
_RESULTS = ("labels/", "labels-inbox/", "monitoring/")
"""Prefixes of the lake whose objects must be those of a run that nothing has killed."""


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

    The environment must buffer captured traffic (`FLUSH_SECONDS`): the trial flushes it after each request, so that the
    number of captured files, which a check reports, does not depend on the machine.
    """

    def __init__(self, environment: ChaosEnvironment) -> None:
        self._environment = environment
        self._seconds: dict[str, float] = {}
        self._results: dict[str, str] = {}
        self._rows = stand_in_data.draw(5_000, frauds=40, seed=7)

    def run(self, seed: int) -> Trial:
        """The trial of a seed.

        Raises:
            RuntimeError: the loop fails although nothing was killed.
        """
        if not self._seconds:
            self._play(seed, learning=True)
            learned = self._play(seed, learning=True)  # now the steps are cached
            if learned.violations:
                raise RuntimeError(f"nothing was killed: {'; '.join(learned.violations)}")
            self._results = self._stored()
        return self._play(seed, learning=False)

    def _play(self, seed: int, *, learning: bool) -> Trial:
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
        violations += invariants.check(observe(environment, runs), invariants.AT_THE_END)
        titles = Counter(issue.title for issue in environment.person().get_issues(state="open"))
        violations += [f"{count} open issues: {title}" for title, count in titles.items() if count > 1]
        if self._results and not violations:
            violations += differences(self._results, self._stored())
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
            _Step(verb=VERBS[3], arguments=["labels", "collect"], reached=lambda _: not self._inbox()),
            _Step(verb=VERBS[4], arguments=["drift", "check", "--hand-over"], reached=lambda _: bool(self._checks())),
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
        environment, aws = self._environment, self._environment.aws
        names = [name for name in self._rows.column_names if name != "Class"]
        records = self._rows.select(names).to_pylist()
        truth = np.asarray(self._rows["Class"]).tolist()
        lines = ["event_id,label,known_at,channel"]
        moment, end, at = _MONTH, datetime.fromisoformat("2026-05-01T00:00:00Z"), 0
        runtime = aws.client("sagemaker-runtime")
        aws.flush()  # the smoke tests
        while moment < end:
            aws.clock.set(moment)
            chosen = [(at + place) % len(records) for place in range(_ROWS_PER_REQUEST)]
            ids = [f"{moment:%m%d%H}-{place}" for place in chosen]
            instances = [records[place] | {"event_id": name} for place, name in zip(chosen, ids, strict=True)]
            runtime.invoke_endpoint(
                EndpointName=self._endpoint(), ContentType="application/json", Body=json.dumps({"instances": instances})
            )
            lines += [f"{name},{truth[place]},{_KNOWN},chargeback" for place, name in zip(chosen, ids, strict=True)]
            aws.flush()
            at, moment = at + _ROWS_PER_REQUEST, moment + timedelta(hours=_HOURS_BETWEEN)
        environment.at(_CHECKED)
        aws.client("s3").put_object(
            Bucket=environment.bucket, Key=f"{INBOX}april.csv", Body=("\n".join(lines) + "\n").encode()
        )
        environment.checkout()

    def _endpoint(self) -> str:
        return config.load_serving(self._environment.root).endpoint

    def _keys(self, prefix: str) -> list[str]:
        pages = self._environment.aws.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=self._environment.bucket, Prefix=prefix)
        return [item["Key"] for page in listed for item in page.get("Contents", [])]

    def _inbox(self) -> list[str]:
        """The label files that wait."""
        return [key for key in self._keys(INBOX) if "/" not in key.removeprefix(INBOX)]

    def _checks(self) -> list[str]:
        return [key for key in self._keys("monitoring/") if key.endswith(".json")]

    def _stored(self) -> dict[str, str]:
        """The digest of each object that the labels and the check have left."""
        s3, bucket = self._environment.aws.client("s3"), self._environment.bucket
        return {
            key: hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()
            for prefix in _RESULTS
            for key in self._keys(prefix)
        }


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """How the stored objects differ from those of a run that nothing has killed."""
    return [
        *(f"{key} is missing" for key in sorted(expected.keys() - found.keys())),
        *(f"{key} is left over" for key in sorted(found.keys() - expected.keys())),
        *(f"{key} differs" for key in sorted(expected.keys() & found.keys()) if expected[key] != found[key]),
    ]
