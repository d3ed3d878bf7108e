"""What bad canaries reach, how soon they are rolled back, and how often a sound one is: docs/rollout.md.

Canaries are deployed on the AWS emulator, each on a platform of its own, under traffic of a simulated clock. Sound
challengers are played in process: simulated answers, minute by minute, compared by the tests that `fraudops deploy`
runs. `--write` makes docs/rollout.json and the tables of the page.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.commands.deploy import deploy
from ml.errors import DeploymentFailed
from ml.model.drift.reference import Summary
from ml.release.canary_evidence import Answers, Evidence, Expected, Limits, evaluate
from tests.harness.platform import canaries

ROOT = Path(__file__).resolve().parents[2]
FILE, PAGE = ROOT / "docs/rollout.json", ROOT / "docs/rollout.md"
LIMITS = Limits(false_alarm_rate=0.01, max_alert_rate_ratio=2.0, max_score_shift=0.1)
TRIALS, MINUTES, ANSWERS_A_MINUTE, ALERT_RATE, BASELINE_ROWS = 200, 60, 200, 0.02, 5_000
WORST_TRIALS = 1_000
KINDS = ("sound", *canaries.BAD)
ALARMS = ("EndpointErrorsAlarm", "CanaryLatencyAlarm", "CanaryAlertRateAlarm", "CanaryScoreAlarm")


def deployed(kind: str, seed: int, folder: Path) -> dict[str, Any]:
    """One deployment of a canary on the emulator: what its requests met until it served alone or was rolled back."""
    with pytest.MonkeyPatch.context() as patch, canaries.platform(folder, patch) as env:
        env.approve(env.register(canaries.SOUND, more_code=canaries.BAD.get(kind, "")))
        reason = ""
        with canaries.traffic(env, patch, seed=seed) as sent:
            try:
                deploy(env.root)
            except DeploymentFailed as failed:
                reason = str(failed)
        alarm = next((name for name in ALARMS if name in reason), "" if not reason else "another reason")
        return {
            "kind": kind,
            "seed": seed,
            "requests": sent.met.total(),
            "met": sent.met["0002"] + sent.met["error"],
            "seconds": sent.seconds,
            "alarm": alarm,
        }


def looks(expected: Expected, scores: NDArray[np.float64], alerts: NDArray[np.bool_]) -> Iterator[Evidence]:
    """The evidence after each minute's answers."""
    answers = Answers.none(expected)
    for start in range(0, len(scores), ANSWERS_A_MINUTE):
        part = slice(start, start + ANSWERS_A_MINUTE)
        answers = answers.with_rows(expected, scores[part], alerts[part].astype(np.int8))
        yield evaluate(expected, answers, LIMITS)


def trial(seed: int, *, worst: bool) -> bool:
    """Whether a sound challenger is rolled back within the minutes of a trial, each with a baseline of its own.

    Args:
        worst: its alert rate and its scores are as far from the model's own as the limits allow.
    """
    random = np.random.default_rng([seed, int(worst)])
    held_out = random.uniform(size=BASELINE_ROWS)
    alerts = int((held_out >= 1 - ALERT_RATE).sum())
    document = {"scores": Summary.reference(held_out).to_dict(), "alerts": {"count": alerts, "of": BASELINE_ROWS}}
    scores = random.uniform(size=MINUTES * ANSWERS_A_MINUTE)
    alerted = scores >= 1 - ALERT_RATE
    if worst:
        alerted = random.uniform(size=len(scores)) < ALERT_RATE * LIMITS.max_alert_rate_ratio
        scores = np.minimum(scores + LIMITS.max_score_shift, 1.0)
    return any(max(each.alerts, each.scores) >= 1 for each in looks(Expected.of(document), scores, alerted))


def measure(repetitions: int, trials: int, worst_trials: int) -> dict[str, Any]:
    """All figures."""
    runs = []
    for kind in KINDS:
        for seed in range(repetitions):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(deployed(kind, seed, Path(folder)))
            print(json.dumps(runs[-1]), flush=True)
    return {
        "schema": 1,
        "canaries": runs,
        "sound": {"trials": trials, "rolled_back": sum(trial(seed, worst=False) for seed in range(trials))},
        "worst": {"trials": worst_trials, "rolled_back": sum(trial(seed, worst=True) for seed in range(worst_trials))},
    }


def tables(document: dict[str, Any]) -> str:
    """The tables of the page."""
    lines = [
        "| canary | runs | share of the requests that met it | emulated seconds until rolled back | alarm |",
        "|---|---:|---:|---:|---|",
    ]
    for kind in KINDS:
        runs = [run for run in document["canaries"] if run["kind"] == kind]
        seconds = _range([run["seconds"] for run in runs]) if runs[0]["alarm"] else "not rolled back"
        names = ", ".join(sorted({f"`{run['alarm']}`" for run in runs if run["alarm"]})) or "none"
        share = sum(run["met"] for run in runs) / sum(run["requests"] for run in runs)
        lines.append(f"| {kind} | {len(runs)} | {share:.0%} | {seconds} | {names} |")
    sound, worst = document["sound"], document["worst"]
    lines += [
        "",
        "| sound challenger, in process | trials | rolled back | stated |",
        "|---|---:|---:|---:|",
        f"| as its baseline | {sound['trials']:,} | {sound['rolled_back']} | at most {LIMITS.false_alarm_rate:.0%} |",
        f"| at both limits | {worst['trials']:,} | {worst['rolled_back']} | at most {LIMITS.false_alarm_rate:.0%} |",
    ]
    return "\n".join(lines)


def _range(values: Sequence[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:g}" if low == high else f"{middle:g} ({low:g} to {high:g})"


def page(text: str, document: dict[str, Any]) -> str:
    """The page with the document's tables."""
    head, begin, rest = text.partition("<!-- figures: begin -->\n")
    _, end, tail = rest.partition("<!-- figures: end -->")
    return f"{head}{begin}\n{tables(document)}\n\n{end}{tail}"


def main(arguments: list[str] | None = None) -> int:
    """Measures, and writes the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3, help="deployments of each canary")
    parser.add_argument("--write", action="store_true", help="write docs/rollout.json and docs/rollout.md")
    options = parser.parse_args(arguments)
    document = measure(options.repetitions, TRIALS, WORST_TRIALS)
    print(tables(document))
    if options.write:
        FILE.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        PAGE.write_text(page(PAGE.read_text("utf-8"), document), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
