"""How often the committed gate lets a challenger replace the champion: docs/gate-power.md.

Each trial draws the scores of both models on the same test rows and applies the comparison and its checks with the rule
of model-config/training/gate.yaml. A finished cell of the table is a file, so a run can be stopped, continued and
divided among machines: `--shard 0/4` does every fourth cell, `--write` makes the page when all cells are there. The
exit code is 1 if the page misses a promise: a true recall of .75 replaces .94 in less than 1 % of trials at 15, 30 and
60 frauds, and an equal model passes in at least 80 % at 60.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from ml import config
from ml.model import champion_checks, champion_comparison, paired_difference
from ml.model.training_settings import Challenger
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[2]
CELLS, PAGE = ROOT / "docs/years/gate-power", ROOT / "docs/gate-power.md"
CHAMPION, FALSE_POSITIVE_RATE, LEGITIMATE = 0.94, 0.0075, 4_000
FRAUDS, RECALLS = (15, 30, 60, 120), (0.75, 0.85, 0.90, 0.94, 0.98)
CORRELATIONS = (0.0, 0.8)
TRIALS, RESAMPLES = 1_000, 200
HEADING = (
    "| test frauds | true recall | correlation of scores | replaces | worse | cannot tell | exact |",
    "|---:|---:|---:|---:|---:|---:|---:|",
)
MORE = 4  # times the trials where the promise is about a rare event


@dataclass(frozen=True, order=True)
class Cell:
    """One true situation: frauds in the test part, the challenger's recall, the correlation of the models' scores."""

    frauds: int
    recall: float
    correlation: float

    @property
    def path(self) -> Path:
        """The file that holds the cell's result."""
        return CELLS / f"{self.frauds}-{self.recall:g}-{self.correlation:g}.json"


def trial(cell: Cell, rule: Challenger, random: np.random.Generator) -> str:
    """`replaces`, `worse` or `cannot tell`, for one draw of test rows.

    Scores are normal; a model's frauds are shifted so that its recall at a false-positive rate of 0.75 % is the true
    one. A part of the noise is common to both models.
    """
    fraud = np.arange(cell.frauds + LEGITIMATE) < cell.frauds
    cut = stats.norm.isf(FALSE_POSITIVE_RATE)
    common, own = np.sqrt(cell.correlation), np.sqrt(1 - cell.correlation)
    shared = random.standard_normal(len(fraud))
    scored = []
    for recall in (cell.recall, CHAMPION):
        noise = common * shared + own * random.standard_normal(len(fraud))
        values = noise + np.where(fraud, cut + stats.norm.ppf(recall), 0.0)
        scored.append((special.expit(values), values >= cut))
    made = champion_comparison.compare(
        fraud,
        challenger=scored[0],
        champion=scored[1],
        rule=rule,
        seed=int(random.integers(2**31)),
        artifact_sha256="0" * 64,
    )
    failed = [check for check in champion_checks.checks(rule, made) if not check.passed]
    if not failed:
        return "replaces"
    return "worse" if any(check.outcome == "worse" for check in failed) else "cannot tell"


def run(cell: Cell, rule: Challenger, trials: int) -> None:
    """Plays the trials of a cell and writes its file."""
    random = np.random.default_rng([cell.frauds, round(1000 * cell.recall), round(1000 * cell.correlation)])
    outcomes = [trial(cell, rule, random) for _ in range(trials)]
    counts = {name: outcomes.count(name) for name in ("replaces", "worse", "cannot tell")}
    CELLS.mkdir(parents=True, exist_ok=True)
    result = dataclasses.asdict(cell) | {"trials": trials, "rule": dataclasses.asdict(rule)} | counts
    cell.path.write_text(json.dumps(result) + "\n")


def cells() -> list[Cell]:
    """Every cell of the table, in order."""
    return [Cell(*values) for values in itertools.product(FRAUDS, RECALLS, CORRELATIONS)]


def page(results: list[dict[str, Any]], rule: Challenger) -> str:
    """The page, from the cells' results."""
    return "\n".join([*_introduction(rule, min(result["trials"] for result in results)), *table(results, rule), ""])


def _introduction(rule: Challenger, trials: int) -> list[str]:
    return [
        "# What the gate's comparison can tell",
        "",
        "`tests/benchmarks/gate_power.py --write` makes this page from trials of the comparison with the rule of",
        f"`model-config/training/gate.yaml`: policy `{rule.policy}`, a loss of recall of {rule.max_recall_loss:g}",
        f"tolerated, confidence {rule.confidence:g}. The champion's true recall is {CHAMPION:g}; both models have a",
        f"false-positive rate of {100 * FALSE_POSITIVE_RATE:g} % on {LEGITIMATE:,} legitimate rows. Each line of the",
        f"table is {trials:,} draws of test rows, {MORE} times as many at a recall of {RECALLS[0]:g}, with a bootstrap",
        f"of {RESAMPLES} resamples in each.",
        "",
        "`replaces`: every check passed. `worse`: a check failed because the challenger is worse beyond chance.",
        "`cannot tell`: the rest; the champion stays. `exact` is the chance that recall alone passes if the models",
        "miss frauds independently, summed over all outcomes. A correlation of 0 is the hardest case: models trained",
        "on nearly the same rows miss nearly the same frauds.",
        "",
        *HEADING,
    ]


def table(results: list[dict[str, Any]], rule: Challenger) -> Iterator[str]:
    """The lines of the table below its heading, one per cell."""
    for result in sorted(results, key=lambda each: (each["frauds"], each["recall"], each["correlation"])):
        shares = [f"{100 * result[name] / result['trials']:.1f} %" for name in ("replaces", "worse", "cannot tell")]
        exact = ""
        if result["correlation"] == 0:
            chance = paired_difference.chance_of_passing(
                result["frauds"],
                challenger=result["recall"],
                champion=CHAMPION,
                margin=rule.max_recall_loss,
                confidence=rule.confidence,
            )
            exact = f"{100 * chance:.1f} %"
        first = f"{result['frauds']} | {result['recall']:.2f} | {result['correlation']:g}"
        yield f"| {first} | {' | '.join(shares)} | {exact} |"


def promises(results: list[dict[str, Any]]) -> list[str]:
    """The promises that the results miss, in words."""
    missed = []
    for result in results:
        share = result["replaces"] / result["trials"]
        what = f"{result['frauds']} frauds, correlation {result['correlation']:g}: replaces in {share:.2%}"
        if result["recall"] == RECALLS[0] and share >= 0.01:
            missed.append(f"a recall of .75 must replace .94 in less than 1 % ({what})")
        if result["recall"] == CHAMPION and result["frauds"] == 60 and share < 0.80:
            missed.append(f"an equal model must pass in at least 80 % ({what})")
    return missed


def main() -> int:
    """Plays the cells that are missing; with --write, makes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th cell from the i-th")
    parser.add_argument("--write", action="store_true", help="write docs/gate-power.md; every cell must be there")
    options = parser.parse_args()
    rule = dataclasses.replace(config.load_settings(SHIPPED).gate.challenger, resamples=RESAMPLES)
    index, of = (int(part) for part in options.shard.split("/"))
    for number, cell in enumerate(cells()):
        known = json.loads(cell.path.read_text()) if cell.path.exists() else {}
        trials = options.trials * (MORE if cell.recall == RECALLS[0] else 1)
        stale = known.get("rule") != dataclasses.asdict(rule) or known.get("trials") != trials
        if number % of == index and stale:
            run(cell, rule, trials)
            print(cell, flush=True)
    if not options.write:
        return 0
    missing = [str(cell) for cell in cells() if not cell.path.exists()]
    if missing:
        print(f"cells without a result: {', '.join(missing)}", file=sys.stderr)
        return 1
    results = [json.loads(cell.path.read_text()) for cell in cells()]
    PAGE.write_text(page(results, rule), encoding="utf-8")
    missed = promises(results)
    print(PAGE.read_text(), *missed, sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
