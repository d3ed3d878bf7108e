"""The pictures of an approval: the numbers of the evaluation, the same bytes wherever and whenever they are drawn."""

from __future__ import annotations

import copy
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
from tests.report.evaluations import blind, evaluation

ROOT = Path(__file__).resolve().parents[2]
DRAWERS = [evaluation_plots.confusion_matrix, evaluation_plots.precision_recall_curve]
Drawer = Callable[[dict[str, Any]], bytes]


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    """The picture as numbers, rows × columns × RGB."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def test_an_approval_has_two_pictures() -> None:
    """Each under the name by which the pull request links it, wide enough to be read and small enough to commit."""
    drawn = evaluation_plots.draw(evaluation())
    assert list(drawn) == ["confusion-matrix.png", "precision-recall.png"]
    for png in drawn.values():
        height, width, _ = pixels(png).shape
        assert 700 <= width <= 900
        assert 500 <= height <= 700
        assert len(png) < 100_000


@pytest.mark.parametrize("draw", DRAWERS)
def test_the_same_evaluation_gives_the_same_bytes(draw: Drawer) -> None:
    """Whatever matplotlib was told by others before, and without leaving anything behind."""
    first = draw(evaluation())
    with mpl.rc_context({"lines.linewidth": 9, "font.family": "monospace", "savefig.dpi": 30}):
        before = dict(mpl.rcParams)
        assert draw(evaluation()) == first
        assert dict(mpl.rcParams) == before
    assert b"Software" not in first
    assert b"matplotlib" not in first.lower()


def test_another_process_draws_the_same_bytes() -> None:
    """Nothing of a process (its hash seed, its backend) gets into a picture."""
    code = (
        "import hashlib, json, sys\nfrom ml.report import evaluation_plots\n"
        "drawn = evaluation_plots.draw(json.load(sys.stdin))\n"
        "print(*(hashlib.sha256(png).hexdigest() for png in drawn.values()))"
    )
    here = " ".join(hashlib.sha256(png).hexdigest() for png in evaluation_plots.draw(evaluation()).values())
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
def test_other_numbers_give_another_picture(draw: Drawer) -> None:
    """A picture that stayed the same while the figures changed would be worse than none."""
    changed = copy.deepcopy(evaluation())
    changed["confusion"]["false_negatives"] += 1
    changed["metrics"]["recall"]["value"] -= 0.1
    assert draw(changed) != draw(evaluation())


def test_colour_follows_the_share_and_not_the_count() -> None:
    """Forty frauds found are as green as thousands of rows let through; what went wrong is red, the more the redder."""
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
def test_what_does_not_exist_is_left_out(draw: Drawer) -> None:
    """A model without alerts, rows without frauds: a picture all the same, and no warning."""
    assert draw(blind())
    empty = blind()
    empty["confusion"] = dict.fromkeys(empty["confusion"], 0)
    empty |= {"rows": 0, "positives": 0, "curves": {"precision_recall": []}}
    empty["metrics"]["average_precision"] = {"value": None, "low": None, "high": None, "reason": "no frauds to rank"}
    assert draw(empty)
