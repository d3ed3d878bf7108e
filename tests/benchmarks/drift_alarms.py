"""False alarms and detections of the committed drift.yaml on windows of the stand-in, as a table.

The model is the pipeline's own, trained in this process on a full-size stand-in; every window has another seed. Labels
arrive up to a month late, so each window is evaluated at its end and again a month later. Prints a table and writes
build/bench/drift_alarms.json. The exit code is 1 if a promise is missed: no request in 200 drift-free windows, every
shift of 0.25 standard deviations detected, every label flip detected as soon as labels are mature.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from seeds import ROOT, run_steps  # type: ignore[import-not-found] # beside this script

from ml.model import artifact
from ml.model.drift import detector
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data

DAYS, FIRST = 30, datetime(2026, 1, 1, tzinfo=UTC)
FRAUDS = stand_in_data.FRAUDS / stand_in_data.ROWS
CAUSES = ("data", "prediction", "concept")
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class Served:
    """A model with its baseline, and the drift rules."""

    model: artifact.Artifact
    reference: detector.Reference
    rules: detector.Rules

    @classmethod
    def trained(cls, table: pa.Table) -> Served:
        """The model that the pipeline trains on `table`."""
        rules = detector.Rules.from_dict(yaml.safe_load((SHIPPED / "model-config/monitoring/drift.yaml").read_text()))
        with tempfile.TemporaryDirectory() as folder:
            run_steps(Path(folder), table)
            model = artifact.read((Path(folder) / "artifact/model.tar.gz").read_bytes())
        return cls(model, detector.Reference.of(model.baseline), rules)


@dataclass(frozen=True)
class Month:
    """A window of traffic: rows in order of time, and their future labels."""

    number: int
    rows: NDArray[np.float64]
    labels: Labels

    @property
    def start(self) -> datetime:
        """The start of the window; windows are consecutive."""
        return FIRST + self.number * timedelta(days=DAYS)

    @property
    def end(self) -> datetime:
        """The end of the window, which is the start of the next."""
        return self.start + timedelta(days=DAYS)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """The time at which each row was scored."""
        return np.datetime64(self.start.replace(tzinfo=None), "s") + self.rows[:, 0].astype("timedelta64[s]")


def draw(source: stand_in_data.StandIn, rows: int, number: int, seed: int) -> Month:
    """A window of `rows` rows over thirty days, with the natural rate of frauds."""
    random = np.random.default_rng([seed, rows, number])
    traffic = source.traffic(rows, int(random.poisson(rows * FRAUDS)), DAYS, random)
    return Month(number, np.column_stack([traffic.seconds, traffic.values]), traffic.labels)


def flip(amounts: NDArray[np.float64], labels: Labels, top: float, share: float, seed: int) -> Labels:
    """`labels` with `share` of the rows among the `top` share by amount turned from legitimate to fraud."""
    random = np.random.default_rng([seed, 1])
    flipped = labels.copy()
    dear = amounts >= np.quantile(amounts, 1 - top)
    flipped[dear & (random.random(len(labels)) < share)] = 1
    return flipped


def evaluate(served: Served, month: Month, *, labelled: bool = True) -> detector.DriftVerdict:
    """The verdict on a window: on its traffic, and on its labels if they have arrived."""
    scores = served.model.model.score(month.rows)
    decisions = served.model.model.decide(scores)
    window = detector.WindowSummary.of(
        served.reference, month.rows, scores=scores, decisions=decisions, times=month.times
    )
    labels = detector.LabelSummary.of(
        served.reference,
        times=month.times,
        labels=month.labels if labelled else np.full(len(scores), -1),
        decisions=decisions,
        amounts=month.rows[:, -1],
    )
    return detector.evaluate(
        served.reference,
        window,
        labels,
        served.rules,
        start=month.start,
        end=month.end,
        as_of=month.end + timedelta(days=DAYS if labelled else 0),
        reference=served.model.sha256,
    )


def quiet(served: Served, months: Iterator[Month]) -> dict[str, Any]:
    """Windows with a drift verdict, and requests, in consecutive drift-free windows."""
    history: list[detector.DriftVerdict] = []
    windows, requests = dict.fromkeys(("schema", *CAUSES), 0), []
    for month in months:
        history.append(evaluate(served, month))
        for kind in history[-1].verdicts:
            if kind in windows:
                windows[kind] += 1
        requests += [[month.number, decision.kind] for decision in detector.decisions(history[-12:], served.rules)]
    return {"of": len(history), "windows_that_fired": windows, "requests": requests}


def shifts(served: Served, months: list[Month], size: float) -> dict[str, Any]:
    """The number of windows in which a shift of one feature by `size` standard deviations is detected and named."""
    caught, named, missed = 0, 0, []
    features = [column for column in served.reference.columns if column.kind == "value"]
    for month in months:
        column = features[month.number % len(features)]
        rows = month.rows.copy()
        rows[:, served.reference.names.index(column.name)] += size * column.summary.std
        found = evaluate(served, Month(month.number, rows, month.labels))
        fired = {finding.subject for finding in found.fired("data")}
        caught += "data" in found.verdicts
        named += fired == {column.name}
        missed += [] if "data" in found.verdicts else [[month.number, column.name]]
    return {"of": len(months), "caught": caught, "only_that_feature_named": named, "missed": missed}


def flips(served: Served, months: list[Month], top: float, share: float) -> dict[str, Any]:
    """The number of windows in which flipped labels are detected: at the window's end, and with mature labels."""
    early = caught = 0
    missed, estimates, recalls = [], [], []
    for month in months:
        turned = Month(month.number, month.rows, flip(month.rows[:, -1], month.labels, top, share, month.number))
        before, after = evaluate(served, turned, labelled=False), evaluate(served, turned)
        early += "concept" in before.verdicts or "labels immature" not in before.verdicts
        caught += detector.decide([after], served.rules).kind == "concept"
        missed += [] if "concept" in after.verdicts else [month.number]
        recalls += [f.value for f in after.findings if f.statistic == "recall" and f.value is not None]
        estimates += [before.estimated.recall[0]] if before.estimated else []
    return {
        "of": len(months),
        "evaluated_without_labels": early,
        "caught": caught,
        "missed": missed,
        "median_recall": float(np.median(recalls)),
        "median_estimated_recall": float(np.median(estimates)),
    }


def main() -> int:
    """Prints the table and writes build/bench/drift_alarms.json; 1 if a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200, help="drift-free windows of each size")
    parser.add_argument("--caught", type=int, default=40, help="windows of each shift and flip")
    parser.add_argument("--seed", type=int, default=0, help="of the reference; windows derive theirs from it")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    began = time.perf_counter()
    source = stand_in_data.StandIn.load()
    served = Served.trained(stand_in_data.draw(seed=options.seed))
    console = Console(width=150)

    def windows(rows: int, count: int, change: Callable[[Month], Month] = lambda month: month) -> Iterator[Month]:
        return (change(draw(source, rows, number, options.seed)) for number in range(count))

    results: dict[str, Any] = {"seed": options.seed, "reference_rows": stand_in_data.ROWS}
    table = Table("windows", "seeds", "seen", "what", title="model and reference: the stand-in's 284,807 rows")
    span = f"[{options.seed}, rows, 0…{options.windows - 1}]"
    failed = []
    for rows in (20_000, 24_000):
        found = results[f"quiet_{rows}"] = quiet(served, windows(rows, options.windows))
        failed += [f"quiet_{rows}"] if found["requests"] else []
        table.add_row(
            f"{found['of']} × {rows:,} without drift", span, f"{len(found['requests'])} requests", _fired(found)
        )
    few = list(windows(20_000, options.caught))
    span = f"[{options.seed}, rows, 0…{options.caught - 1}]"
    for size in (0.05, 0.1, 0.15, 0.25):
        found = results[f"shift_{size}"] = shifts(served, few, size)
        failed += [f"shift_{size}"] if size == 0.25 and found["caught"] < found["of"] else []
        what = f"one feature moved by {size} sd; nothing but it named in {found['only_that_feature_named']}"
        table.add_row(f"{found['of']} × 20,000", span, f"{found['caught']}/{found['of']}", what)
    few = list(windows(24_000, options.caught))
    for top, share in ((0.01, 0.5), (0.01, 0.1), (0.05, 0.02)):
        found = results[f"flip_{top}_{share}"] = flips(served, few, top, share)
        promised = found["caught"] == found["of"] or share != 0.5
        failed += [] if promised and not found["evaluated_without_labels"] else [f"flip_{top}_{share}"]
        what = (
            f"labels of {share:.0%} of the top {top:.0%} by amount flipped, at the first mature labels; recall "
            f"{found['median_recall']:.2f}, estimated without labels {found['median_estimated_recall']:.2f}"
        )
        table.add_row(f"{found['of']} × 24,000", span, f"{found['caught']}/{found['of']}", what)

    def flipped(month: Month) -> Month:
        return Month(month.number, month.rows, flip(month.rows[:, -1], month.labels, 0.01, 0.5, month.number))

    month = flipped(draw(source, 24_000, 10_000, options.seed))
    names = ["Time", *source.columns, "Class"]
    columns = [*month.rows.T, month.labels]
    retrained = Served.trained(pa.table(dict(zip(names, columns, strict=True))))
    found = results["quiet_after_retraining"] = quiet(retrained, windows(24_000, options.windows, flipped))
    failed += ["quiet_after_retraining"] if found["requests"] else []
    what = f"after retraining on one month with flipped labels, flips going on; {_fired(found)}"
    table.add_row(f"{found['of']} × 24,000", "as above", f"{len(found['requests'])} requests", what)
    console.print(table)
    console.print(f"{time.perf_counter() - began:.0f} s")
    out = ROOT / "build/bench/drift_alarms.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results | {"failed": failed}, indent=2))
    if failed:
        print(f"promises missed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _fired(found: dict[str, Any]) -> str:
    return "windows that fired: " + ", ".join(f"{kind} {count}" for kind, count in found["windows_that_fired"].items())


if __name__ == "__main__":
    sys.exit(main())
