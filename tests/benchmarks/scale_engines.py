"""The section of docs/scale.md that says when to use one machine, instances that share the objects, or Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docs import cost
from tests.benchmarks.scale_figures import Line, Lines, Run, count, duration, usd

WINDOWS = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
INSTANCES, JOB_CORES = 4, 4
"""Of the example, of ml.m5.xlarge."""
CAPTURED_GB = 0.606
"""For each million rows: the benchmark's lines, of requests with 100 rows."""
CHECK_SECONDS = 2_700
"""Of the 60 minutes of drift.yml, for reading and counting."""


def text(runs: Mapping[str, Sequence[Run]], figures: cost.Figures) -> list[str]:
    """The section's lines."""
    shared = runs["drift-shards-1"]
    rows = [run.rows for run in shared]
    merge = Line.of(rows, [run.merge_cpu_seconds for run in shared])
    counting = Line.of(rows, [run.cpu_seconds - run.merge_cpu_seconds for run in shared])
    handed = Line.of(*zip(*((run.rows, run.handed_over_megabytes) for run in runs["drift-shards-2"]), strict=True))
    train, one, spark = (Lines.of(runs[subject]) for subject in ("train", "drift", "drift-spark-1"))
    start, price, cores = figures["start_seconds"], usd(figures, "processing_m5_xlarge"), INSTANCES * JOB_CORES

    def row(window: int) -> str:
        gigabytes = CAPTURED_GB * window / 1e6
        job = start + counting.at(window) / cores
        on_spark = start + spark.cpu_seconds.at(window) / cores
        return (
            f"| {count(window)} | {duration(one.cpu_seconds.at(window))}, {gigabytes:,.1f} GB | "
            f"{duration(job + merge.at(window))}, of them {duration(merge.at(window))} merge, "
            f"{handed.at(window) / 1e3:,.2f} GB | {duration(on_spark)} | {gigabytes / INSTANCES:,.1f} and "
            f"{gigabytes:,.1f} GB | "
            f"{job / 3_600 * INSTANCES * price:,.2f} and {on_spark / 3_600 * INSTANCES * price:,.2f} USD |"
        )

    alone = (CHECK_SECONDS - one.cpu_seconds.fixed) / one.cpu_seconds.slope
    together = (CHECK_SECONDS - start - merge.fixed) / (merge.slope + counting.slope / cores)
    equal = (start - train.cpu_seconds.fixed) / train.cpu_seconds.slope
    return [
        "## One machine, instances that share the objects, or Spark",
        "",
        f"Where a drift check's window is counted (`compute` in drift.yaml), with {INSTANCES} ml.m5.xlarge of "
        f"{JOB_CORES} cores each; a start takes {start:g} s. The GB beside a time are what the workflow's runner "
        "downloads; the last two columns are what an instance downloads and what the instances cost, first of those "
        "that share the objects, then of Spark. Transfers are in no figure. Processor seconds are divided by all "
        "cores; the merge is the runner's alone, on one core here.",
        "",
        "| rows | the workflow's job | instances that share the objects | Spark | an instance | a check |",
        "|---|---|---|---|---|---|",
        *map(row, WINDOWS),
        "",
        f"- **The workflow's job** (nothing to set) up to some {alone:,.0f} million rows, which it counts in "
        f"{CHECK_SECONDS // 60} minutes. It is the fastest wherever that is shorter than a start.",
        f"- **Instances that share the objects** (`engine: single`, `instances`) up to some {together:,.0f} million "
        f"rows, or where the runner should not download {CAPTURED_GB:g} GB for each million rows: outside of AWS "
        f"each GB is paid for. They hand over {handed.slope / 1e3:,.3f} GB instead, with ids that are numbered; with "
        "random ones up to 0.074 GB, the rows' size uncompressed. They need no Spark, and an instance downloads its "
        "share only.",
        "- **Spark** (`engine: spark`) beyond, since its executors join as well, and the runner reads counts only.",
        "",
        "The training pipeline has no shards. Prepare could be divided; but Prepare, Train and Evaluate together take "
        f"as long as one start only at {equal:,.0f} million rows, and a divided Prepare needs a second job, and its "
        "start, for what all rows decide (repeated ids, labels, quantiles). What a window of that size lacks is "
        f"memory, {train.megabytes.at(equal * 1e6) / 1_024:,.0f} GB, which the fit needs on one machine, whichever job "
        "prepares the rows. So `compute.instances` of model.yaml above one needs Spark, which divides the fit too.",
        "",
    ]
