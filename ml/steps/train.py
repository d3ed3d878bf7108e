"""Train: fits the model on the training rows and chooses its threshold on the validation rows.

Runs as a SageMaker training job with the channels `settings` and `prepared`; it writes model.json and baseline.json
to the model directory, which SageMaker packs. It never opens the test rows.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pandas as pd

from ml.model import baseline, document, estimator, threshold
from ml.model.scorer import Scorer
from ml.steps import job, prepared
from ml.steps.job import log
from ml.steps.prepared import LABEL


def main() -> int:
    """Runs the step in the directories that SageMaker's environment names; returns the exit code."""
    inputs = Path(os.environ.get("SM_INPUT_DIR", "/opt/ml/input")) / "data"
    settings = Path(os.environ.get("SM_CHANNEL_SETTINGS", inputs / "settings"))
    rows = Path(os.environ.get("SM_CHANNEL_PREPARED", inputs / "prepared"))
    model = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    output = Path(os.environ.get("SM_OUTPUT_DIR", "/opt/ml/output"))
    return job.run(lambda: train(settings, rows, model), output / "failure")


def train(settings: Path, rows: Path, model: Path) -> None:
    """Reads settings.json below `settings` and the parts below `rows`; writes model.json and baseline.json to `model`.

    Raises:
        ValueError: too few frauds to resample, no convergence, or no threshold that the policy allows.
    """
    training = job.settings(settings).training
    fitted, held = (prepared.read(rows, part) for part in ("train", "validation"))
    log.info("fitting on %d rows with %d frauds", len(fitted), fitted[LABEL].sum())
    pipeline = estimator.fit(training, fitted, fitted[LABEL])
    # The threshold is chosen on the scores of what will serve, not on those of the pipeline that it came from.
    draft = Scorer.from_json(json.dumps(estimator.export(pipeline, training, threshold_score=0.5)))
    scores = draft.score(held[list(draft.inputs)].to_numpy())
    chosen = threshold.choose(training.threshold, scores, held[LABEL])
    log.info("threshold %.6f by %s on %d validation rows", chosen, training.threshold.policy, len(held))
    both = pd.concat([fitted, held], ignore_index=True)
    model.mkdir(parents=True, exist_ok=True)
    documents = {
        "model.json": estimator.export(pipeline, training, chosen),
        "baseline.json": baseline.start(training.columns, both, both[LABEL]),
    }
    for name, content in documents.items():
        (model / name).write_text(document.canonical(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
