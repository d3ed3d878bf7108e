"""Writes docs/scale.md and its picture from docs/scale.json, docs/performance.json and docs/cost.yaml."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from docs import cost
from ml import config
from ml.playground.template_state import FOLDER as SHIPPED
from tests.benchmarks import scale_engines
from tests.benchmarks.performance import committed
from tests.benchmarks.performance.measured import ROOT
from tests.benchmarks.performance.page import STYLE, number, svg
from tests.benchmarks.scale_figures import FLAT, Lines, Run, count, duration, line_text, usd

FILE, PAGE, PICTURE = ROOT / "docs/scale.json", "scale.md", "performance/scale.svg"
MONTHS = (10_000_000, 1_000_000_000)
PEAK = 5.0
"""The busiest second of a month against its mean: an assumption, to be replaced with one's own."""
LOAD = 0.5
"""The share of an instance's capacity that is planned for."""
SECONDS_PER_MONTH = 30 * 86_400
CORES, JOB_GIGABYTES, RUNNER_GIGABYTES, DRIFT_MINUTES = 2, 16.0, 16.0, 60
"""Cores of ml.m5.large; memory of ml.m5.xlarge and of GitHub's standard Linux runner; timeout-minutes of drift.yml."""
NAMES = {
    "train": "Prepare, Train and Evaluate, one machine",
    "import": "import of one Parquet file",
    "drift": "drift check of a window with late labels",
    "spark-1": "Prepare and Train, Spark with one executor of 6 GB",
    "spark-2": "Prepare and Train, Spark with two executors of 6 GB",
    "drift-spark-1": "counts of a drift check, Spark with one executor of 6 GB",
    "drift-spark-2": "counts of a drift check, Spark with two executors of 6 GB",
    "drift-shards-1": "counts of a drift check, one instance and the merge",
    "drift-shards-2": "counts of a drift check, two instances that share the objects, and the merge",
}
_COLOURS = {
    "train": "#2a6f97",
    "import": "#5b8e7d",
    "drift": "#c8553d",
    "spark-1": "#8d6a9f",
    "spark-2": "#d4a017",
    "drift-spark-1": "#7f5539",
    "drift-spark-2": "#577590",
    "drift-shards-1": "#43aa8b",
    "drift-shards-2": "#f3722c",
}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a month needs of something that has a limit; `share` above 1 is more than the limit."""

    what: str
    amount: str
    share: float
    remedy: str


def text(runs: Sequence[Run]) -> str:
    """The page."""
    lines = {subject: Lines.of(found) for subject, found in _by_subject(runs).items()}
    figures = cost.read((ROOT / cost.FIGURES).read_text("utf-8"))
    served = {row["name"]: row for row in committed.read().full}
    capacity = CORES * float(served["serve_managed_rps"]["peer"])
    made = [
        "# What grows with the number of transactions",
        "",
        "<!-- Written by tests/benchmarks/scale_page.py from docs/scale.json: `scale.py --render` -->",
        "",
        "Every figure below is measured on a machine with two cores, or follows from one by the arithmetic beside it. "
        "Nothing here ran in an account: an instance of SageMaker has another processor, and its start, image and "
        "transfer of data come on top ([cost.md](cost.md), `start_seconds`).",
        "",
        "![Seconds and peak memory by rows](performance/scale.svg)",
        "",
        "## Measured",
        "",
        "Each run is a process of its own; seconds begin when its libraries are loaded. Processor seconds are those of "
        "all threads, on Spark of all processes with Spark's start. Memory is the largest peak of a process. Other "
        "work ran beside some runs, which makes seconds longer and processor seconds hardly: the months below count "
        "these, as if one core did everything.",
        "",
        "| subject | rows | seconds | processor seconds | peak, MB |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {NAMES[run.subject]} | {run.rows:,} | {number(run.seconds)} | {number(run.cpu_seconds)} | "
            f"{number(run.peak_megabytes)} |"
            for run in runs
        ),
        "",
        "## Slopes",
        "",
        "A straight line `fixed + slope × millions of rows` with the least relative errors. The exponent is that of "
        "the two largest sizes: 1 is in proportion to the rows, 0 is flat; memory with an exponent below "
        f"{FLAT:g} is taken as flat.",
        "",
        "| subject | seconds | exponent | processor seconds | MB | exponent |",
        "|---|---|--:|---|---|--:|",
        *(
            f"| {NAMES[subject]} | {line_text(each.seconds)} | {each.seconds.exponent:.2f} | "
            f"{line_text(each.cpu_seconds)} | {line_text(each.megabytes)} | {each.megabytes.exponent:.2f} |"
            for subject, each in lines.items()
        ),
        "",
    ]
    one, spark, drift, counted = (
        lines[subject].cpu_seconds for subject in ("train", "spark-1", "drift", "drift-spark-1")
    )
    made += [
        f"Spark costs {spark.slope / one.slope:.0f} times the processor time of one process for each row, and "
        f"{spark.fixed:.0f} s to begin with: rows are sent between Python and Java, and sorted in pieces. It is for "
        "windows that the memory of one instance cannot hold, not for speed. Here driver and executors shared two "
        "cores with other work, so two executors show what a second one costs, and not what it saves. The counts of a "
        f"drift check cost {counted.slope / drift.slope:.1f} times those of one process for each row, and "
        f"{counted.fixed:.0f} s to begin with: the lines are decoded by the same code, and only scored rows and labels "
        "are sent between machines.",
        "",
    ]
    made += scale_engines.text(_by_subject(runs), figures)
    for month in MONTHS:
        made += _month(month, lines, figures, capacity)
    return "\n".join(made) + "\n"


def _month(month: int, lines: dict[str, Lines], figures: cost.Figures, capacity: float) -> list[str]:
    mean = month / SECONDS_PER_MONTH
    instances = max(2, math.ceil(PEAK * mean / (LOAD * capacity)))
    host, processing = (usd(figures, name) for name in ("host_m5_large", "processing_m5_xlarge"))
    needs = _needs(month, lines, capacity)
    first = max(needs, key=lambda need: need.share)
    over = [need for need in needs if need.share > 1]
    train = lines["train"].cpu_seconds.at(month)
    jobs = (train + 3 * figures["start_seconds"]) / 3_600
    return [
        f"## A month of {count(month)} transactions",
        "",
        f"- **Endpoint**: {mean:,.1f} requests a second on average, {PEAK * mean:,.0f} in the busiest one (× {PEAK:g}, "
        f"assumed). An ml.m5.large answers {capacity:,.0f} a second ({CORES} cores × {capacity / CORES:,.0f}, "
        f"`serve_managed_rps` in [performance.md](performance.md)); at {LOAD:.0%} of that, and with two for two zones, "
        f"{instances} instances: {instances * figures['hours'] * host:,.0f} USD.",
        f"- **A training** on all rows of the month: {duration(train)} of processor time and three starts of "
        f"{figures['start_seconds']:g} s, {jobs:,.1f} instance hours; at the price of an ml.m5.xlarge for processing "
        f"{jobs * processing:,.2f} USD, and in proportion more on a larger instance.",
        f"- **A drift check** of the month: {duration(lines['drift'].cpu_seconds.at(month))} on a runner, beside the "
        "transfer of the captured files.",
        f"- **Import**: {duration(lines['import'].cpu_seconds.at(month))} for all files of the month.",
        "",
        f"What comes nearest to its limit: **{first.what}**. "
        + ("Nothing is beyond one." if not over else f"Beyond one: {'; '.join(need.what for need in over)}."),
        "",
        "| what | needed | of its limit | what to do |",
        "|---|--:|--:|---|",
        *(f"| {need.what} | {need.amount} | {need.share:.0%} | {need.remedy} |" for need in needs),
        "",
    ]


def _needs(month: int, lines: dict[str, Lines], capacity: float) -> list[Need]:
    minutes = config.load_model(SHIPPED).compute.max_runtime_minutes
    daily = month / 30
    train, drift = lines["train"], lines["drift"]
    file_gigabytes = lines["import"].megabytes.at(daily) / 1_024
    largest = (RUNNER_GIGABYTES * 1_024 - lines["import"].megabytes.fixed) / lines["import"].megabytes.slope
    return [
        Need(
            what="one ml.m5.large in the busiest second",
            amount=f"{PEAK * month / SECONDS_PER_MONTH:,.0f} requests/s",
            share=PEAK * month / SECONDS_PER_MONTH / capacity,
            remedy="more instances, or the serving image",
        ),
        Need(
            what=f"memory of a training job, {JOB_GIGABYTES:g} GB of ml.m5.xlarge",
            amount=f"{train.megabytes.at(month) / 1_024:,.1f} GB",
            share=train.megabytes.at(month) / 1_024 / JOB_GIGABYTES,
            remedy="a larger instance, `compute.engine: spark`, or a shorter window",
        ),
        Need(
            what=f"time of a training job, {minutes} minutes of model.yaml",
            amount=duration(train.cpu_seconds.at(month)),
            share=train.cpu_seconds.at(month) / 60 / minutes,
            remedy="`compute.max_runtime_minutes`, or Spark",
        ),
        Need(
            what=f"memory of a drift check, {RUNNER_GIGABYTES:g} GB of a runner",
            amount=f"{drift.megabytes.at(month) / 1_024:,.1f} GB",
            share=drift.megabytes.at(month) / 1_024 / RUNNER_GIGABYTES,
            remedy="`compute.instances` of drift.yaml, or shorter windows",
        ),
        Need(
            what=f"time of a drift check, {DRIFT_MINUTES} minutes of drift.yml",
            amount=duration(drift.cpu_seconds.at(month)),
            share=drift.cpu_seconds.at(month) / 60 / DRIFT_MINUTES,
            remedy="`compute.instances` of drift.yaml, shorter windows, or a larger runner",
        ),
        Need(
            what=f"memory of the import of a day in one file, {RUNNER_GIGABYTES:g} GB of a runner",
            amount=f"{file_gigabytes:,.1f} GB",
            share=file_gigabytes / RUNNER_GIGABYTES,
            remedy=f"files of at most {largest:,.0f} million rows",
        ),
    ]


def picture(runs: Sequence[Run]) -> bytes:
    """Seconds and peak memory by rows, measured and fitted. SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        panels = figure.subplots(1, 2)
        for subject, found in _by_subject(runs).items():
            rows, lines = [run.rows for run in found], Lines.of(found)
            fitted = np.geomspace(rows[0], rows[-1], 50)
            for axes, name, line in zip(
                panels, ("seconds", "peak_megabytes"), (lines.seconds, lines.megabytes), strict=True
            ):
                axes.plot(fitted, [line.at(each) for each in fitted], color=_COLOURS[subject], lw=1)
                values = [getattr(run, name) for run in found]
                axes.plot(rows, values, "o", color=_COLOURS[subject], ms=4, label=NAMES[subject])
        for axes, label in zip(panels, ("seconds", "peak memory, MB"), strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("rows")
            axes.set_ylabel(label)
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        return svg(figure)


def write(runs: Sequence[Run], folder: Path = ROOT / "docs") -> None:
    """Writes page and picture into `folder`."""
    (folder / PAGE).write_text(text(runs), "utf-8")
    (folder / PICTURE).write_bytes(picture(runs))


def _by_subject(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda each: each.rows):
        found.setdefault(run.subject, []).append(run)
    return {subject: found[subject] for subject in NAMES if len(found.get(subject, ())) > 1}
