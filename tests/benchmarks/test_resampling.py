"""The comparison of ways of resampling works on small stand-ins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml import config
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from tests.benchmarks import resampling

TRAINING = config.load_settings(SHIPPED).training
ROWS, FRAUDS = 8_000, 200


def test_balanced_classes_weigh_the_same() -> None:
    """At the optimum the weighted probabilities add up to the weighted frauds: half of all weight."""
    rows = stand_in_data.draw(ROWS, frauds=FRAUDS, seed=102).to_pandas()
    labels = rows["Class"].to_numpy().astype(np.int8)
    way = resampling.ways(TRAINING)[-1]
    assert way.balanced
    p = way.fit(TRAINING, rows, labels).predict_proba(rows[list(TRAINING.columns.inputs)])[:, 1]
    weight = np.where(labels == 1, (ROWS - FRAUDS) / FRAUDS, 1.0)
    assert (weight * p).sum() / weight.sum() == pytest.approx(0.5, abs=1e-3)


def test_every_way_has_a_line_with_both_stand_ins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each way is measured on two stand-ins and on the sample; the ways differ, because SMOTE adds rows here."""
    sample = tmp_path / "sample.csv"
    stand_in_data.draw(ROWS, frauds=FRAUDS, seed=103).to_pandas().to_csv(sample, index=False)
    assert resampling.main([str(sample), "--rows", "40000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [text.split("|")[1].strip() for text in lines] == [way.name for way in resampling.ways(TRAINING)]
    figures = [text.split("|")[2:-1] for text in lines]
    assert all(cell.count(",") == len(resampling.SEEDS) - 1 for cells in figures for cell in cells)
    assert len({tuple(cells) for cells in figures}) == len(lines)
