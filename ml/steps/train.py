"""Train step: fits the model on the training rows and chooses its threshold on the validation rows.

Runs as a SageMaker training job with the channels `settings` and `prepared`. Writes model.json and baseline.json to the
model directory, which SageMaker packs. Never reads the test rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from ml.model import calibration_line, document_fields, estimator, threshold
from ml.model.drift.reference import start_reference
from ml.model.scorer import Scorer
from ml.steps import job_runner, prepared_files
from ml.steps.job_runner import log
from ml.steps.prepared_files import LABEL


def main(arguments: list[str] | None = None) -> int:
    """Runs the step below --base-dir, which SageMaker's SM_ variables override; returns the exit code."""
    parser = argparse.ArgumentParser(prog="train", description="Fit the model and choose its threshold.")
    parser.add_argument("--config-sha256", required=True, help="digest of settings.json")
    parser.add_argument("--base-dir", type=Path, required=True, help="the folder that holds input, model and output")
    options = parser.parse_args(arguments)
    base: Path = options.base_dir
    inputs = Path(os.environ.get("SM_INPUT_DIR", base / "input")) / "data"
    settings = Path(os.environ.get("SM_CHANNEL_SETTINGS", inputs / "settings"))
    rows = Path(os.environ.get("SM_CHANNEL_PREPARED", inputs / "prepared"))
    model = Path(os.environ.get("SM_MODEL_DIR", base / "model"))
    output = Path(os.environ.get("SM_OUTPUT_DIR", base / "output"))

    def step() -> None:
        job_runner.verify_settings(settings, options.config_sha256)
        train(settings, rows, model)

    return job_runner.run(step, output / "failure")


def train(settings: Path, rows: Path, model: Path) -> None:
    """Reads settings.json below `settings` and the parts below `rows`; writes model.json and baseline.json to `model`.

    Raises:
        StepFailed: the settings or the rows are missing.
        ValueError: too few frauds to resample, no convergence, or no threshold that the policy allows.
    """
    training = job_runner.settings(settings).training
    train_rows, validation_rows = (prepared_files.read(rows, part) for part in ("train", "validation"))
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
    model.mkdir(parents=True, exist_ok=True)
    documents = {
        "model.json": estimator.export(pipeline, training, threshold_score, history),
        "baseline.json": start_reference(
            training.columns, train_rows, train_rows[LABEL], times=prepared_files.times(train_rows)
        ),
    }
    for name, content in documents.items():
        (model / name).write_text(document_fields.canonical(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
