"""Tests of the plots of an evaluation."""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from ml.report import evaluation_plots
from tests.report.evaluations import COMPARED, blind, evaluation, schema_1, wasting

ROOT = Path(__file__).resolve().parents[2]
DRAWERS = [evaluation_plots.confusion_matrix, functools.partial(evaluation_plots.decision, days=2.0)]
Drawer = Callable[[dict[str, Any]], bytes]


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    """The picture as numbers, rows × columns × RGB."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def test_draw_gives_two_plots() -> None:
    """Each has the name that the pull request links, and is wide enough to read and small enough to commit."""
    drawn = evaluation_plots.draw(evaluation(), days=2.0)
    assert list(drawn) == ["decision.png", "confusion-matrix.png"]
    for png, panels in zip(drawn.values(), (2, 1), strict=True):
        height, width, _ = pixels(png).shape
        assert 700 * panels <= width <= 900 * panels
        assert 500 <= height <= 900
        assert len(png) < 150_000


@pytest.mark.parametrize("draw", DRAWERS)
def test_draw_ignores_and_restores_matplotlib_settings(draw: Drawer) -> None:
    """Other code's settings of matplotlib change nothing and stay as they are."""
    first = draw(evaluation())
    with mpl.rc_context({"lines.linewidth": 9, "font.family": "monospace", "savefig.dpi": 30}):
        before = dict(mpl.rcParams)
        assert draw(evaluation()) == first
        assert dict(mpl.rcParams) == before
    assert b"Software" not in first
    assert b"matplotlib" not in first.lower()


def test_draw_gives_the_same_bytes_in_another_process() -> None:
    """Hash seed and backend do not change a plot."""
    code = (
        "import hashlib, json, sys\nfrom ml.report import evaluation_plots\n"
        "drawn = evaluation_plots.draw(json.load(sys.stdin), days=2.0)\n"
        "print(*(hashlib.sha256(png).hexdigest() for png in drawn.values()))"
    )
    here = " ".join(hashlib.sha256(png).hexdigest() for png in evaluation_plots.draw(evaluation(), days=2.0).values())
    for seed, backend in (("1", "svg"), ("2", "pdf")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "MPLBACKEND": backend}
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(evaluation()),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout.strip(), done.stderr) == (here, "")


@pytest.mark.parametrize("draw", DRAWERS)
def test_draw_depends_on_the_numbers(draw: Drawer) -> None:
    """Other figures give another plot."""
    changed = copy.deepcopy(evaluation())
    changed["confusion"]["false_negatives"] += 1
    changed["metrics"]["recall"]["value"] -= 0.1
    assert draw(changed) != draw(evaluation())


def test_confusion_colour_depends_on_the_share() -> None:
    """Colour depends on the share of the row, not on the count; errors are red."""
    good, bad = evaluation(), evaluation()
    good["confusion"] = {"true_positives": 40, "false_negatives": 0, "false_positives": 0, "true_negatives": 3960}
    bad["confusion"] = {"true_positives": 0, "false_negatives": 40, "false_positives": 3960, "true_negatives": 0}
    corner = pixels(evaluation_plots.confusion_matrix(good))
    height, width, _ = corner.shape
    found, through = corner[height // 5, width // 2 - 40], corner[height - 60, width - 40]
    assert np.allclose(found, through)
    assert found[1] > found[0]  # green
    missed = pixels(evaluation_plots.confusion_matrix(bad))[height // 5, width - 40]
    none_missed = corner[height // 5, width - 40]
    assert missed[0] > missed[1]  # red
    assert missed[1] < none_missed[1]


@pytest.mark.parametrize("draw", DRAWERS)
def test_draw_leaves_out_undefined_figures(draw: Drawer) -> None:
    """A model without alerts and rows without frauds still give a plot, and no warning."""
    assert draw(blind())
    empty = blind()
    empty["confusion"] = dict.fromkeys(empty["confusion"], 0)
    empty |= {"rows": 0, "positives": 0, "curves": {"precision_recall": []}}
    empty["metrics"]["average_precision"] = {"value": None, "low": None, "high": None, "reason": "no frauds to rank"}
    assert draw(empty)


def test_decision_shows_champion_and_better_threshold() -> None:
    """The champion and a threshold that wastes no precision change the picture; so do unknown days.

    An evaluation of schema 1 has the champion's operating point, and no curve of it.
    """
    alone, compared = evaluation(), evaluation(champion=COMPARED)
    wasteful = wasting(evaluation())
    drawn = [evaluation_plots.decision(each, days=2.0) for each in (alone, compared, wasteful, schema_1(compared))]
    assert len({*drawn, evaluation_plots.decision(alone, days=None)}) == 5
    assert evaluation_plots.decision(schema_1(alone), days=2.0) == drawn[0]


def test_decision_shows_the_curve_of_the_champion() -> None:
    """Another curve of the champion on the same rows is another picture; the pixels of its colour are many more."""
    compared = evaluation(champion=COMPARED)
    purple = np.array([0x66, 0x39, 0xBA])
    with_curve, without = (
        int((np.abs(pixels(evaluation_plots.decision(each, days=2.0)) - purple).sum(axis=2) < 30).sum())
        for each in (compared, schema_1(compared))
    )
    assert with_curve > 3 * without > 0
    changed = copy.deepcopy(compared)
    changed["curves"]["compared"]["champion"] = changed["curves"]["compared"]["challenger"]
    assert evaluation_plots.decision(changed, days=2.0) != evaluation_plots.decision(compared, days=2.0)


def test_decision_shows_the_money_that_the_champion_finds() -> None:
    """Another share of the champion is another picture; an earlier evaluation has the new model's alone."""
    compared = evaluation(champion=COMPARED)
    options = [{"alert_share": share, "alerts": 4000 * share, "value_recall": 0.9} for share in (0.01, 0.05)]
    model = {"value_recall": 0.9, "options": options}
    amounts = {"rows": 3900, "positives": 40, "amount": 400.0, "models": {"challenger": model, "champion": model}}
    other = amounts | {"models": {"challenger": model, "champion": model | {"value_recall": 0.5}}}
    drawn = {
        evaluation_plots.decision(each, days=2.0)
        for each in (compared, compared | {"amounts_found": amounts}, compared | {"amounts_found": other})
    }
    assert len(drawn) == 3


def test_both_panels_are_of_the_rows_of_the_comparison() -> None:
    """Figures of the other test rows change nothing: neither the new model's curve on all, nor a point of it."""
    compared = evaluation(champion=COMPARED)
    drawn = evaluation_plots.decision(compared, days=2.0)
    other = wasting(compared)
    other["curves"] = compared["curves"] | {"precision_recall": evaluation(seed=2)["curves"]["precision_recall"]}
    assert other != compared
    assert evaluation_plots.decision(other, days=2.0) == drawn
