"""Train step on Spark: what ml.steps.train makes of a fit, from sums over partitions of the rows.

Runs as a SageMaker processing job with the inputs `settings`, `prepared` and `champion`. Writes model/model.tar.gz,
where a training job's output would be. Never reads the test rows. A run of another kind than `fit` keeps the champion's
numbers and reads the rows of its short window: the driver makes it alone, as one machine does. So it does where few
alerts are allowed on the validation rows, and out-of-fold scores choose the threshold.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.model import estimator, features, model_fit, out_of_fold
from ml.model.run_kinds import FIT, RUN_KINDS, RunKind
from ml.model.scorer import Scorer
from ml.model.training_settings import Columns, Training
from ml.spark import regression, row_groups
from ml.spark.cluster import Cluster
from ml.spark.row_groups import Labelled, RowGroups
from ml.spark.training_counts import TrainingCounts
from ml.steps import category_columns, champion_archive, job_runner
from ml.steps import train as one_machine
from ml.steps.champion_archive import ARCHIVE
from ml.steps.job_runner import StepFailed, log

ESTIMATOR = "logistic_regression"
"""The only estimator whose fit is a matter of sums."""
Scored = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]


def main(cluster: Cluster, arguments: list[str]) -> int:
    """Runs the step below --base-dir; returns the exit code."""
    parser = argparse.ArgumentParser(prog="train", description="Fit the model on a cluster and choose its threshold.")
    parser.add_argument("--config-sha256", required=True, help="digest of settings.json")
    parser.add_argument("--kind", required=True, choices=RUN_KINDS, help="the kind of the run")
    parser.add_argument("--champion-sha256", default="", help="digest of the champion's archive; '' in a fit")
    parser.add_argument("--base-dir", type=Path, required=True)
    options = parser.parse_args(arguments)
    base: Path = options.base_dir

    def step() -> None:
        job_runner.verify_settings(base / "settings", options.config_sha256)
        with tempfile.TemporaryDirectory() as folder:
            train(cluster, base, Path(folder), kind=options.kind, champion_sha256=options.champion_sha256)
            (base / "model").mkdir(exist_ok=True)
            with tarfile.open(base / "model" / ARCHIVE, "w:gz") as archive:
                for file in sorted(Path(folder).iterdir()):
                    archive.add(file, file.name)

    return job_runner.run(step, base.parent / "output" / "message")


def train(cluster: Cluster, base: Path, model: Path, *, kind: RunKind, champion_sha256: str) -> None:
    """Reads settings, prepared rows and champion below `base`; writes the model's files to `model`.

    Raises:
        StepFailed, ValueError: as ml.steps.train.train, and if the estimator is not ESTIMATOR.
    """
    training = job_runner.settings(base / "settings").training
    if training.estimator != ESTIMATOR:
        raise StepFailed(f"compute.engine spark fits the estimator {ESTIMATOR} (got {training.estimator})")
    if kind == FIT and not champion_sha256:
        labels = np.concatenate([*cluster.each(row_groups.labels, row_groups.of_part(base / "prepared", "validation"))])
        if not out_of_fold.validation_is_small(training.out_of_fold, training.threshold, labels):
            _fit(cluster, training, base / "prepared", model, labels)
            return
        log.info("the validation part is small: out-of-fold scores choose the threshold, and the driver fits alone")
    start = champion_archive.read(base / "champion", champion_sha256, parameter="BaseModelUri")
    one_machine.train(base / "settings", base / "prepared", model, kind=kind, champion=start)


def _fit(cluster: Cluster, training: Training, prepared: Path, model: Path, labels: NDArray[np.int8]) -> None:
    groups = row_groups.of_part(prepared, "train")
    counts = TrainingCounts.of(cluster, training, groups)
    log.info("fitting %s on %d rows with %d frauds", training.estimator, counts.total.rows, counts.total.frauds)
    fitted = regression.fit(cluster, counts, groups)
    scorer = json.dumps(estimator.export(fitted, training, threshold_score=0.5))
    log_odds, scores, amounts = _validation(cluster, training, scorer, prepared)
    made = model_fit.of_validation(training, fitted, (amounts, labels), log_odds, scores)
    log.info("threshold %.6f by %s", made.threshold, training.threshold.policy)
    notes = (*training.columns.left_out(), *category_columns.notes_of_counts(training, counts.total.texts))
    one_machine.write(model, made.document(training), counts.start_reference(), made.evidence, notes)


def _validation(cluster: Cluster, training: Training, scorer: str, prepared: Path) -> Scored:
    """Log-odds, scores and amounts of the validation rows."""
    parts = [*cluster.each(partial(_scored, training.columns, scorer), row_groups.of_part(prepared, "validation"))]
    log_odds, scores = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    amounts = [part[2] for part in parts if part[2] is not None]
    return log_odds, scores, np.concatenate(amounts) if amounts else None


def _scored(columns: Columns, document: str, group: RowGroups) -> Scored:
    rows, scorer = Labelled.read(group, columns), Scorer.from_json(document)
    values = scorer.matrix(rows.inputs)
    return scorer.log_odds(values)[:, 0], scorer.score(values), features.amounts(columns, rows.inputs)
