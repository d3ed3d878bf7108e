"""Draws the pictures of the documents: `make docs` writes docs/*.svg, and a test fails when one is out of date.

Coordinates are fixed and text stays text, so that the bytes are equal on every machine. docs/year.png is a copy of the
picture that the last `make demo` drew.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fraudops", "font.family": "sans-serif"})

import matplotlib.pyplot as plt  # noqa: E402 - the backend is chosen before pyplot is imported
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch  # noqa: E402

from docs import imports_picture  # noqa: E402

GIT, ACTIONS, AWS, GATE = "#dbe9f6", "#e3f1df", "#fdebd3", "#f6d9d9"
INK = "#24292f"


def box(axes: Axes, corner: tuple[float, float], width: float, words: str, colour: str) -> None:
    """A rounded box with its lower left corner at `corner`; the first line of `words` is its title."""
    (x, y), (title, text) = corner, words.split("\n", 1)
    axes.add_patch(
        FancyBboxPatch(
            (x, y), width, 1.15, boxstyle="round,pad=0.04,rounding_size=0.12", facecolor=colour, edgecolor=INK, lw=1
        )
    )
    axes.text(x + width / 2, y + 0.86, title, ha="center", va="center", fontsize=10.5, fontweight="bold", color=INK)
    axes.text(x + width / 2, y + 0.38, text, ha="center", va="center", fontsize=8.5, color=INK, linespacing=1.4)


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], label: str = "", *, bend: float = 0.0
) -> None:
    """An arrow from `start` to `end` with `label` above its middle."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=13, color=INK, lw=1.2
        )
    )
    if label:
        axes.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.16, label, ha="center", fontsize=8, color=INK)


def loop() -> bytes:
    """The way of a commit to a served model, as SVG."""
    figure = plt.figure(figsize=(12, 5.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 15.4)
    axes.set_ylim(0, 7.0)
    axes.axis("off")
    box(
        axes,
        (0.2, 5.1),
        3.0,
        "model-config/ · train.yml\ntraining/, retrain-requests/:\na commit asks for a model",
        GIT,
    )
    box(
        axes,
        (4.3, 5.1),
        4.9,
        "SageMaker Pipeline\nPrepare → Train → Evaluate\nsplit by time · bins, scaling, SMOTE · metrics",
        AWS,
    )
    box(axes, (10.4, 5.1), 2.0, "recall gate\nrecall > 0.60,\nFPR, champion", GATE)
    box(axes, (13.2, 5.1), 2.0, "registry\none package,\npending", AWS)
    box(
        axes,
        (10.4, 2.7),
        4.8,
        "approval pull request\napprovals/NNNN.yaml: ARN, digest, metrics;\nthen a second commit moves the pointer",
        GIT,
    )
    box(
        axes,
        (4.3, 2.7),
        4.9,
        "main: serving/ · deploy.yml\nmerging approves exactly that model;\nARN and digest are verified",
        GIT,
    )
    box(axes, (0.2, 2.7), 3.0, "EventBridge, Lambda\nacts only on what\ndesired.json names", AWS)
    box(axes, (0.2, 0.3), 3.0, "endpoint\nblue/green, real time\n/invocations", AWS)
    box(axes, (4.3, 0.3), 4.9, "S3: captured traffic\nevery request and answer, by hour;\nlate labels beside it", AWS)
    box(
        axes,
        (10.4, 0.3),
        4.8,
        "drift.yml\nevaluates traffic and mature labels;\non drift it commits a retrain request",
        GIT,
    )
    arrow(axes, (3.3, 5.7), (4.2, 5.7), "train")
    arrow(axes, (9.3, 5.7), (10.3, 5.7))
    arrow(axes, (12.5, 5.7), (13.1, 5.7), "pass")
    arrow(axes, (14.2, 5.0), (14.2, 3.95))
    axes.text(14.3, 4.42, "approve", fontsize=8, color=INK)
    arrow(axes, (11.4, 5.0), (11.4, 4.45))
    axes.text(11.4, 4.22, "gate fails: exit 6, no package", ha="center", fontsize=8, color="#a40e26")
    arrow(axes, (10.3, 3.3), (9.3, 3.3), "merge")
    arrow(axes, (4.2, 3.3), (3.3, 3.3), "event")
    arrow(axes, (1.7, 2.6), (1.7, 1.55))
    arrow(axes, (3.3, 0.9), (4.2, 0.9), "capture")
    arrow(axes, (9.3, 0.9), (10.3, 0.9), "check")
    axes.plot([15.3, 15.35, 15.35, 1.7, 1.7], [0.9, 0.9, 6.72, 6.72, 6.42], color=INK, lw=1.2)
    arrow(axes, (1.7, 6.5), (1.7, 6.32))
    axes.text(8.4, 6.79, "retrain request: a commit", ha="center", fontsize=8, color=INK)
    for x, colour, name in (
        (2.2, GIT, "Git and its workflows"),
        (5.2, AWS, "AWS, or its emulator"),
        (8.6, GATE, "decides"),
    ):
        axes.add_patch(
            FancyBboxPatch((x, 6.5), 0.26, 0.18, facecolor=colour, edgecolor=INK, lw=0.6, boxstyle="square,pad=0")
        )
        axes.text(x + 0.38, 6.59, name, fontsize=8, va="center", color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()


PICTURES = {"loop.svg": loop, "imports.svg": imports_picture.draw}


def write() -> None:
    """Writes every picture beside this file, and year.png where a year was played."""
    here = Path(__file__).parent
    for name, draw in PICTURES.items():
        (here / name).write_bytes(draw())
    year = here.parent / "build/simulation/recall.png"
    if year.is_file():
        (here / "year.png").write_bytes(year.read_bytes())
