"""The comparison of settings on real rows works on a stand-in of the sample's size, and reports a ranking by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml import config
from ml.playground import template_state
from ml.simulate import stand_in_data
from tests.benchmarks import real_sample
from tests.benchmarks.real_sample import COMMITTED, Line, Sample, Unseen

TRAINING = config.load_settings(template_state.FOLDER).training
ROWS, FRAUDS = 1_659, 272


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in with as many rows and frauds as the sample."""
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    stand_in_data.draw(ROWS, frauds=FRAUDS, seed=100).to_pandas().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def line(csv: Path) -> Line:
    """The committed settings' line on the stand-in."""
    chosen = [found for found in real_sample.variants(TRAINING) if found[0] == COMMITTED]
    return next(iter(real_sample.measure(Sample(csv, TRAINING), chosen)))


def test_sample_weights_give_frauds_their_share_of_the_full_data(csv: Path) -> None:
    """Frauds are 492 of 284,807 rows by weight, and each of them counts once."""
    sample = Sample(csv, TRAINING)
    assert sample.weight[sample.fraud].sum() == sample.fraud.sum() == FRAUDS
    assert sample.weight[sample.fraud].sum() / sample.weight.sum() == pytest.approx(492 / 284_807)
    assert sample.rows["Time"].is_monotonic_increasing


def test_committed_settings_rank_the_stand_in(line: Line) -> None:
    """The stand-in is easier than real rows: the interval contains the mean, and the promises are kept."""
    assert line.low <= line.mean <= line.high
    assert line.mean > real_sample.PROMISE
    assert line.unseen is not None
    assert line.unseen.recall.of == line.unseen.recall_at_limit.of == FRAUDS
    assert line.unseen.false_positive_rate.of == ROWS - FRAUDS
    assert real_sample.missed(line) == []


def test_labels_by_chance_miss_both_promises(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows whose labels are shuffled have no ranking to find: exit code 1, with both figures."""
    rows = pd.read_csv(csv)
    rows["Class"] = np.random.default_rng(0).permutation(rows["Class"].to_numpy())
    shuffled = tmp_path / "shuffled.csv"
    rows.to_csv(shuffled, index=False)
    assert real_sample.main([str(shuffled), "--committed-only"]) == 1
    out, err = capsys.readouterr()
    assert "mean average precision 0.0" in err
    assert "recall on unseen blocks at 1.5% false positives is 0.0" in err
    assert out.startswith(f"| {COMMITTED} | 0.0")


def test_page_takes_the_tables_of_the_lines(line: Line) -> None:
    """Both tables are written between their marks; a variant that the product cannot train has no second line."""
    text = real_sample.PAGE.read_text(encoding="utf-8")
    weighted = Line(name="class weights", mean=0.4, low=0.3, high=0.5, operating_point=None, unseen=None)
    made = real_sample.page(text, [line, weighted])
    assert made.count(f"| {COMMITTED} |") == 2
    assert made.count("| class weights | 0.400 | 0.300 to 0.500 | – |") == 1
    assert made.splitlines()[0] == text.splitlines()[0]
    assert made.splitlines()[-1] == text.splitlines()[-1]
    assert isinstance(line.unseen, Unseen)
    assert f"({100 * (line.unseen.recall.low or 0):.1f} to " in made
