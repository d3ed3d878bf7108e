"""Train step: makes the model of the run's kind from the training rows and chooses its threshold.

Runs as a SageMaker training job with the channels `settings`, `prepared` and `champion`. Writes model.json and
baseline.json to the model directory, which SageMaker packs. Never reads the test rows.

A `fit` fits all coefficients to the training rows and chooses the threshold on the validation rows. A run of kind
`threshold` fits nothing: it takes the champion's numbers as they are and chooses the threshold on the training rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ml.model import calibration_line, champion_comparison, document_fields, estimator, run_kinds, threshold
from ml.model.artifact import Artifact
from ml.model.drift.reference import start_reference
from ml.model.run_kinds import ADAPT, FIT, RUN_KINDS, RunKind
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from ml.steps import champion_archive, job_runner, prepared_files
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import LABEL


def main(arguments: list[str] | None = None) -> int:
    """Runs the step below --base-dir, which SageMaker's SM_ variables override; returns the exit code."""
    parser = argparse.ArgumentParser(prog="train", description="Make the model and choose its threshold.")
    parser.add_argument("--config-sha256", required=True, help="digest of settings.json")
    parser.add_argument("--kind", required=True, choices=RUN_KINDS, help="the kind of the run")
    parser.add_argument("--champion-sha256", default="", help="digest of the champion's archive; '' in a fit")
    parser.add_argument("--base-dir", type=Path, required=True, help="the folder that holds input, model and output")
    options = parser.parse_args(arguments)
    base: Path = options.base_dir
    inputs = Path(os.environ.get("SM_INPUT_DIR", base / "input")) / "data"
    settings = Path(os.environ.get("SM_CHANNEL_SETTINGS", inputs / "settings"))
    rows = Path(os.environ.get("SM_CHANNEL_PREPARED", inputs / "prepared"))
    champion = Path(os.environ.get("SM_CHANNEL_CHAMPION", inputs / "champion"))
    model = Path(os.environ.get("SM_MODEL_DIR", base / "model"))
    output = Path(os.environ.get("SM_OUTPUT_DIR", base / "output"))

    def step() -> None:
        job_runner.verify_settings(settings, options.config_sha256)
        start = champion_archive.read(champion, options.champion_sha256, parameter="BaseModelUri")
        train(settings, rows, model, kind=options.kind, champion=start)

    return job_runner.run(step, output / "failure")


def train(settings: Path, rows: Path, model: Path, *, kind: RunKind, champion: Artifact | None) -> None:
    """Reads settings.json below `settings` and the parts below `rows`; writes model.json and baseline.json to `model`.

    Args:
        champion: the model that the run starts from; None in a fit.

    Raises:
        StepFailed: the settings or the rows are missing, or the champion does not fit the run.
        ValueError: too few frauds to resample, no convergence, or no threshold that the policy allows.
    """
    training = job_runner.settings(settings).training
    if (champion is not None) != run_kinds.needs_champion(kind):
        expected = "starts from no model" if kind == FIT else "starts from the champion"
        raise StepFailed(f"a run of kind {kind} {expected}, and BaseModelSha256 names {'one' if champion else 'none'}")
    train_rows = prepared_files.read(rows, "train")
    if champion is None:
        document = _fitted(training, train_rows, rows)
    else:
        _check_inputs(training, champion)
        if kind == ADAPT:
            raise StepFailed("a run of kind adapt: this version fits no part for new patterns")
        document = _with_new_threshold(training, train_rows, champion)
    model.mkdir(parents=True, exist_ok=True)
    documents = {
        "model.json": document,
        "baseline.json": start_reference(
            training.columns, train_rows, train_rows[LABEL], times=prepared_files.times(train_rows)
        ),
    }
    for name, content in documents.items():
        (model / name).write_text(document_fields.canonical(content) + "\n", encoding="utf-8")


def _fitted(training: Training, train_rows: Any, rows: Path) -> dict[str, Any]:
    """The document of a model that is fitted to `train_rows`, with its threshold from the validation rows."""
    validation_rows = prepared_files.read(rows, "validation")
    log.info("fitting on %d rows with %d frauds", len(train_rows), train_rows[LABEL].sum())
    pipeline = estimator.fit(training, train_rows, train_rows[LABEL])
    # The threshold is chosen on the scores of the exported model, which serves, not on those of the pipeline.
    scorer = Scorer.from_json(json.dumps(estimator.export(pipeline, training, threshold_score=0.5)))
    values = validation_rows[list(scorer.inputs)].to_numpy()
    scores = scorer.score(values)
    history = calibration_line.fit(scorer.log_odds(values)[:, 0], validation_rows[LABEL])
    log.info("on validation rows the log-odds of fraud are %.3f * the model's %+.3f", history.slope, history.intercept)
    threshold_score = threshold.choose(training.threshold, scores, validation_rows[LABEL])
    policy = training.threshold.policy
    log.info("threshold %.6f by %s on %d validation rows", threshold_score, policy, len(validation_rows))
    return estimator.export(pipeline, training, threshold_score, history)


def _with_new_threshold(training: Training, train_rows: Any, champion: Artifact) -> dict[str, Any]:
    """The champion's document with a threshold from its scores of `train_rows`; every other number is unchanged.

    Rows that the champion was fitted on do not count: their scores are not those of new rows.
    """
    times = prepared_files.times(train_rows).astype("int64")
    new = train_rows[champion_comparison.unseen(times, champion.baseline["fitted"])]
    if not len(new):
        raise StepFailed(
            f"the champion was fitted on all {len(train_rows):,} training rows: a new threshold needs later rows"
        )
    scores = champion.model.score(new[list(champion.model.inputs)].to_numpy())
    score, former = threshold.choose(training.threshold, scores, new[LABEL]), champion.model.threshold.score
    policy, value = training.threshold.policy, training.threshold.value
    log.info("threshold %.6f by %s on %d rows, in place of %.6f", score, policy, len(new), former)
    document: dict[str, Any] = document_fields.load(champion.files["model.json"], "model.json")
    return document | {"threshold": {"policy": policy, "value": value, "score": score}, "provenance": None}


def _check_inputs(training: Training, champion: Artifact) -> None:
    named, given = training.columns.inputs, champion.model.inputs
    if named != given:
        raise StepFailed(
            f"the champion takes the inputs {', '.join(given)}, and data in model.yaml names {', '.join(named)}: only "
            "a run of kind fit can change the inputs"
        )


if __name__ == "__main__":
    sys.exit(main())
