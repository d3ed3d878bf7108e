"""Writes docs/performance.md and its pictures from docs/performance.json. Nothing there is written by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.benchmarks.performance import machine, reasons
from tests.benchmarks.performance.committed import Committed
from tests.benchmarks.performance.measured import ROOT

PAGE, RATIOS, SIZES = "performance.md", "performance/ratios.svg", "performance/sizes.svg"
OURS, PEER, MISSED, INK = "#2a6f97", "#b0b0b0", "#c8553d", "#24292f"
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "fraudops", "font.family": "sans-serif", "font.size": 9}
"""Settings with which a picture is the same on every machine."""
SUBJECTS = {
    "train": "Training",
    "steps": "The steps of a training run",
    "score": "Scoring",
    "serve": "Serving",
    "drift": "Drift",
    "capture": "Captured traffic",
    "install": "Installing",
    "loop": "The loop on the emulators",
    "start": "Start of a verb",
    "soak": "Ten minutes of load",
}
"""First word of a name → heading."""
NOTES = {
    "train": "Read, bin, scale, resample, fit and set the threshold, each run a process whose time starts when its "
    "libraries are loaded. The rows are stand-ins, the first 5/7 to fit and the rest for the threshold, which both "
    "sides set at a false-positive rate of .75 %; the run fails if the project's recall there is lower than the "
    "peer's by more than .05. The project reads the Parquet files of the Prepare step; the peer reads CSV, and with "
    "`_parquet` the same files. `_shipped` has the shipped SMOTE ratio instead of 1:1. Peak memory is what the kernel "
    "reports for the process. `_processor` is the processor time of all threads. The project's fit converges to 1e-6; "
    "the peer stops at the tolerance that scikit-learn sets.",
    "steps": "Prepare, Train and Evaluate with the shipped settings, on a lake of stand-ins with a file for every two "
    "days; each step is a process, whose time starts when its libraries are loaded. `steps` is the time of all three "
    "and `steps_memory` the largest peak. The limits at ×10 are a fifth of the time and half of the memory that the "
    "steps took before they read row groups.",
    "score": "All sides score with the numbers of one trained model; the run fails if a score differs by more than "
    "1e-9 (ONNX Runtime, which computes in single precision: 1e-5). A row is the median of thousands, one call each; "
    "rows and batch are in memory. The pass over memory is the sum of the batch.",
    "serve": "The server of the serving image (`infra/serving`). One core for the server and one for the load "
    "generator, `wrk` with one thread, or where it is not installed `tests/benchmarks/performance/load.py`; it is the "
    "same for both sides. Sixteen connections, a row a request as CSV, no capture. Answers sampled on one more "
    "connection are compared with the scorer. gunicorn runs with the workers and threads that answered most requests "
    "in a trial. `_processor` is the processor time of the server for a request, which other work on the machine "
    "affects less. `_managed` compares with the serving stack of SageMaker's managed image, without its nginx, on the "
    "handler of the model archive.",
    "drift": "All statistics of a check from rows in memory to the verdict; of the other tools only their calculation "
    "is timed. Memory is the peak of a check of captured rows that are generated as a stream.",
    "capture": "Captured lines in memory, to arrays; the peer only parses the same lines as JSON. `_500` has 500 rows "
    "in a line, so the parse reads one long string and no number.",
    "install": "A lock into a new environment, with the caches of both tools filled.",
    "loop": "Seconds of the real workflow files on both emulators, less the seconds of the SageMaker jobs in them.",
    "soak": "An endpoint of the serving image on the AWS emulator with capture on, called by boto3 at 80 % of what the "
    "machine answers in a trial; emulator, model server and clients share it, so the rate says nothing of the server "
    "alone. Each answered request must be captured exactly once. Memory is that of the model server's process, growth "
    "from the second tenth of the time to the last. Latency is counted from the moment at which a request was due.",
    "start": "Until `--help` of a verb is printed; the slowest verb counts.",
}
INTRODUCTION = """\
`make bench` writes this page from a run on one machine. `make bench QUICK=1` measures the small sizes and fails where a
ratio is, in its best round, a third below the committed one. A ratio is how many times better the project is than the
peer: 3 for memory is a third of the peer's. Both sides run in alternation on the same cores, and figures are medians.
Each peer runs with the number of threads, one or one for each core, that is fastest. Rows without a peer have a limit.
"""


def cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Ratio, target, ours and peer of a row, for tables."""
    if row["target"] is None:
        target = ""
    else:
        limit = "≤" if row["ratio"] is None else "≥"
        unit = f" {row['unit']}" if row["ratio"] is None else ""
        target = f"{limit} {number(row['target'])}{unit}: {'met' if row['met'] else 'missed'}"
    return number(row["ratio"]), target, number(row["ours"]), number(row["peer"])


def number(value: float | None) -> str:
    """Three significant digits; empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text(table: Committed) -> str:
    """The page."""
    made = [
        "# Performance",
        "",
        "<!-- Written by `make bench` from docs/performance.json; do not edit. -->",
        "",
        INTRODUCTION,
        *(f"- {line[0].upper()}{line[1:]}." for line in machine.lines(table.machine)),
        "",
        f"![Ratios to the peers, with targets]({RATIOS})",
        "",
        *_targets(table.full),
        *reasons.lines(table.full, number),
    ]
    for subject, heading in SUBJECTS.items():
        rows = [row for row in table.full if row["name"].partition("_")[0] == subject]
        if rows:
            made += ["", f"## {heading}", "", f"{NOTES[subject]} {_loads(rows)}", "", *_table(rows)]
            if subject == "train":
                made += ["", f"![Seconds and memory of a training by size]({SIZES})"]
    if table.quick:
        about = f"What continuous integration compares with. {_loads(table.quick)}"
        made += ["", "## The quick run", "", about, "", *_table(table.quick)]
    return "\n".join(made) + "\n"


def _loads(rows: Sequence[dict[str, Any]]) -> str:
    loads = sorted({row["load"] for row in rows})
    return f"Load average before: {' to '.join(f'{each:g}' for each in dict.fromkeys((loads[0], loads[-1])))}."


def _targets(rows: Sequence[dict[str, Any]]) -> list[str]:
    missed = [row for row in rows if row["met"] is False]
    count = sum(row["met"] is not None for row in rows)
    made = [f"Targets met: {count - len(missed)} of {count}."]
    if missed:
        made[0] += " Missed:"
        made += [
            f"- `{row['name']}`: {cells(row)[0] or cells(row)[2]}, target {cells(row)[1].removesuffix(': missed')}"
            for row in missed
        ]
    return made


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    made = ["| name | ratio | target | ours | peer | unit | size | peer's name |", "|---|--:|---|--:|--:|---|---|---|"]
    for row in rows:
        ratio, target, ours, peer = cells(row)
        columns = (
            f"`{row['name']}`",
            f"**{ratio}**" if ratio else "",
            target,
            ours,
            peer,
            row["unit"],
            row["size"],
            row["peer_name"] or "",
        )
        made.append(f"| {' | '.join(columns)} |")
    return made


def ratios_picture(rows: Sequence[dict[str, Any]]) -> bytes:
    """A bar for each ratio on a logarithmic scale, a line at each target; missed ones in red. SVG."""
    shown = [row for row in rows if row["ratio"] is not None][::-1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.26 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        colours = [MISSED if row["met"] is False else OURS for row in shown]
        axes.barh([row["name"] for row in shown], [row["ratio"] - 1 for row in shown], left=1, color=colours)
        for place, row in enumerate(shown):
            if row["target"] is not None:
                axes.plot([row["target"]] * 2, [place - 0.45, place + 0.45], color=INK, lw=2)
            end = max(row["ratio"], 1.0)
            axes.annotate(number(row["ratio"]), (end, place), (4, 0), textcoords="offset points", va="center")
        axes.set_xscale("log")
        axes.margins(x=0.1, y=0.02)
        axes.axvline(1, color=INK, lw=0.8)
        axes.set_xlabel("times better than the peer; black lines are targets, red bars miss theirs")
        axes.spines[["top", "right"]].set_visible(False)
        return svg(figure)


def sizes_picture(rows: Sequence[dict[str, Any]]) -> bytes:
    """Seconds and memory of a training by size, of both sides. SVG."""
    by_name = {row["name"]: row for row in rows}
    sizes = [size for size in ("x1", "x10") if f"train_{size}" in by_name]
    panels = {
        "seconds": [by_name[f"train_{size}"] for size in sizes],
        "peak MB": [by_name[f"train_{size}_memory"] for size in sizes],
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        for axes, (label, found) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for place, (side, colour) in enumerate((("ours", OURS), ("peer", PEER))):
                bars = axes.barh(
                    [at + 0.4 * place for at in range(len(found))],
                    [row[side] for row in found],
                    height=0.38,
                    color=colour,
                    label="the project" if side == "ours" else "pandas, scikit-learn, imbalanced-learn",
                )
                axes.bar_label(bars, [number(row[side]) for row in found], padding=3)
            axes.set_yticks(
                [at + 0.2 for at in range(len(found))], [row["size"].removesuffix(", SMOTE 1:1") for row in found]
            )
            axes.set_xlabel(label)
            axes.margins(x=0.15)
            axes.invert_yaxis()
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        return svg(figure)


def svg(figure: Figure) -> bytes:
    """The figure with equal bytes for equal content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    return b"\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + b"\n"


def write(table: Committed, folder: Path = ROOT / "docs") -> None:
    """Writes the page and its pictures into `folder`."""
    (folder / RATIOS).parent.mkdir(exist_ok=True)
    (folder / PAGE).write_text(text(table), "utf-8")
    (folder / RATIOS).write_bytes(ratios_picture(table.full))
    (folder / SIZES).write_bytes(sizes_picture(table.full))
