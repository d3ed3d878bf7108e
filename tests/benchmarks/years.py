"""Simulated years, false alarms and the gate's power: docs/years.md, from results in docs/years/ (`make years`).

A year of a kind and a seed, and a block of drift-free years, are one file each. A file that is there and was made by
the same code and settings is not made again, so a run can be stopped, continued and divided: `--shard 0/4` makes every
fourth. `--replay` plays the first seed of each kind again, to carry results over to changed code (year_replays.py).
`--render` makes the page alone, from the files that are there.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.model import artifact
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate.scenario import Scenario
from ml.simulate.year_traffic import HISTORY, Year
from tests.benchmarks import false_alarm_years, years_page
from tests.benchmarks.in_process import InProcess
from tests.benchmarks.training_run import ROOT, Trained
from tests.benchmarks.year_figures import figures
from tests.benchmarks.year_kinds import KINDS, SEEDS
from tests.benchmarks.year_replays import Replays

RESULTS, MONTHS = ROOT / "docs/years", 12
REPLAYS = RESULTS / "replays.json"
FIRST_MODELS = ROOT / "build/years/first-models"
RULE_QUANTILE = 0.99
_SETTINGS = (
    "model-config/training/model.yaml",
    "model-config/training/gate.yaml",
    "model-config/training/data.yaml",
    "model-config/monitoring/drift.yaml",
)
_TRAINING = ("ml/model/**/*.py", "ml/steps/*.py", "ml/simulate/*.py", "ml/simulate/profile.json", *_SETTINGS[:3])
_POLICY = (
    "decision_policy",
    "run_kind_policy",
    "threshold_use",
    "training_window",
    "repeated_adaptation",
    "drift_case",
    "calendar",
    "missing_labels",
)
_YEAR = ("in_process", "daily_counts", "served_month", "training_run", "year_figures")
PLAYED = (
    *_TRAINING,
    _SETTINGS[3],
    *(f"ml/drift/{name}.py" for name in _POLICY),
    *(f"tests/benchmarks/{name}.py" for name in _YEAR),
)


def fingerprint(patterns: tuple[str, ...], scenario: Scenario) -> str:
    """Identifies the scenario, and the matching files as they are at the first call; settings are the shipped ones."""
    fields = scenario.model_dump_json(exclude={"title", "about"})
    return hashlib.sha256(f"{_files_sha256(patterns)}{fields}".encode()).hexdigest()[:16]


@functools.cache
def _files_sha256(patterns: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    files: dict[Path, Path] = {}
    for pattern in patterns:
        root = SHIPPED if pattern in _SETTINGS else ROOT
        files |= {path.relative_to(root): path for path in root.glob(pattern)}
    for name, path in sorted(files.items()):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def year_path(kind: str, seed: int) -> Path:
    """The file of a year."""
    return RESULTS / kind.replace(" %", "").replace(" ", "-") / f"{seed}.json"


def play(kind: str, seed: int, months: int = MONTHS) -> dict[str, Any]:
    """Plays a year and returns its figures."""
    scenario = KINDS[kind].make()
    began = time.perf_counter()
    first, rule_amount = first_model(scenario, seed)
    played = InProcess(Year(scenario, seed=seed), first=first).play(months)
    return {
        "kind": kind,
        "seed": seed,
        "months": months,
        "fingerprint": fingerprint(PLAYED, scenario),
        "seconds": round(time.perf_counter() - began),
        **figures(played, scenario, rule_amount=rule_amount),
    }


def _one_line_each(result: Mapping[str, Any]) -> str:
    """JSON with a line for each key, so that a change of one figure is a change of one line."""
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in result.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def first_model(scenario: Scenario, seed: int) -> tuple[Trained, float]:
    """The model of history, and the amount of the rule. All kinds of a seed have one history, so it is kept."""
    same = scenario.model_copy(update={"data_drift": (), "concept_drift": ()})
    folder = FIRST_MODELS / f"{seed}-{fingerprint(_TRAINING, same)}"
    if not (folder / "evaluation.json").is_file():
        year = Year(scenario, seed=seed)
        trained = InProcess(year).train_first()
        amounts = year.month(HISTORY).transactions["Amount"].to_numpy()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rule.json").write_text(json.dumps(float(np.quantile(amounts, RULE_QUANTILE))))
        (folder / "model.tar.gz").write_bytes(trained.archive)
        (folder / "evaluation.json").write_text(json.dumps(trained.evaluation))  # last: it marks a whole folder
    archive = (folder / "model.tar.gz").read_bytes()
    evaluation = json.loads((folder / "evaluation.json").read_text())
    return Trained(archive, artifact.read(archive), evaluation), json.loads((folder / "rule.json").read_text())


def _is_made(path: Path, kind: str, replays: Replays) -> bool:
    """Whether the file holds a result of this code, or one that was carried over to it."""
    if not path.is_file():
        return False
    made_by = json.loads(path.read_text())["fingerprint"]
    return replays.covers(kind, made_by, fingerprint(PLAYED, KINDS[kind].make()))


def _make(kind: str, seed: int) -> None:
    result, path = play(kind, seed), year_path(kind, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_one_line_each(result))
    print(f"{kind}, seed {seed}: {result['seconds']} s", flush=True)


def _replay(kinds: Sequence[str], seed: int, replays: Replays) -> None:
    """Plays a seed of each kind again that other code made, and records where every figure is equal."""
    differing: list[str] = []
    for kind in kinds:
        path = year_path(kind, seed)
        if not path.is_file() or _is_made(path, kind, replays):
            continue
        again = json.loads(json.dumps(play(kind, seed)))  # as it is read from a file
        found = replays.add(kind, json.loads(path.read_text()), again)
        print(f"{kind}, seed {seed}: {'equal' if not found else 'differs in ' + ', '.join(found)}", flush=True)
        differing += [kind] if found else []
    if differing:
        raise SystemExit(f"make years: play these kinds again, their figures differ: {', '.join(differing)}")


def main(arguments: list[str] | None = None) -> None:
    """Makes the files of this shard that are missing or were made by other code, and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th file from the i-th")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="separated by commas")
    parser.add_argument("--replay", action="store_true", help="play the first seed of each kind that other code made")
    parser.add_argument("--render", action="store_true", help="make the page alone")
    parser.add_argument("--only", choices=("years", "alarms"), help="make the files of one table")
    options = parser.parse_args(arguments)
    index, of = (int(part) for part in options.shard.split("/"))
    kinds, seeds = options.kinds.split(","), [int(seed) for seed in options.seeds.split(",")]
    replays = Replays(REPLAYS)
    if options.replay:
        _replay(kinds, seeds[0], replays)
    elif not options.render and options.only != "alarms":
        for kind, seed in [(kind, seed) for seed in seeds for kind in kinds][index::of]:
            if not _is_made(year_path(kind, seed), kind, replays):
                _make(kind, seed)
    if not (options.render or options.replay) and options.only != "years":
        false_alarm_years.make(RESULTS / "alarms", shard=(index, of))
    years_page.PAGE.write_text(years_page.render(RESULTS, replays), encoding="utf-8")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main()
