"""The Train step: the model depends on the training and validation rows alone; a failure has one reason."""

from __future__ import annotations

import dataclasses

import pyarrow.parquet as pq
import pytest

from ml.model import artifact
from tests.model.training_samples import SETTINGS, changed
from tests.steps.step_runs import Bench

pytestmark = pytest.mark.container


def test_train_does_not_read_test_rows(bench: Bench) -> None:
    """Train gives the same model without them."""
    (bench.processing / "prepared" / "test.parquet").unlink()
    assert bench.run("train").returncode == 0
    assert sorted(file.name for file in (bench.root / "model").iterdir()) == ["baseline.json", "model.json"]


def test_threshold_keeps_its_limit_on_validation_rows(finished: Bench) -> None:
    """At most 2 % of the legitimate validation rows are alerted."""
    model = artifact.read(finished.artifact()).model
    rows = pq.read_table(finished.processing / "prepared" / "validation.parquet").to_pandas()
    honest = rows[rows["label"] == 0]
    assert 0 < model.decide(model.score(honest[list(model.inputs)].to_numpy())).mean() <= 0.02


def test_failed_training_writes_the_reason_for_sagemaker(bench: Bench) -> None:
    """One line on stderr, the same in output/failure, exit code 1, and no model."""
    training = changed(resampling={"neighbours": 500})
    bench.lay(dataclasses.replace(SETTINGS, training=training))
    done = bench.run("train")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs at least 501 frauds among the training rows" in done.stderr
    assert (bench.root / "output" / "failure").read_text() == done.stderr.strip()
    assert not (bench.root / "model").exists()
