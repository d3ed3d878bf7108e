"""Train step: makes the model of the run's kind from the training rows and chooses its threshold.

Runs as a SageMaker training job with the channels `settings`, `prepared` and `champion`. Writes model.json,
baseline.json and fit.json to the model directory, which SageMaker packs. Never reads the test rows.

A `fit` fits all coefficients and chooses the threshold on rows that they were not fitted on (model_fit.py). A run of
kind `adapt` keeps the champion's coefficients, fits a line of log-odds for them and a part for new patterns, and
chooses the threshold on out-of-fold scores (model/adaptation). A run of kind `threshold` fits nothing: it takes the
champion's numbers and chooses the threshold on the training rows. So does one of kind `drop`, with the champion's part
for known patterns as it was first fitted, and nothing else of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ml.model import (
    document_fields,
    features,
    fit_evidence,
    model_fit,
    run_kinds,
    threshold,
    threshold_evidence,
)
from ml.model.adaptation.adapt import adapt, unadapted
from ml.model.artifact import Artifact
from ml.model.drift.reference import start_reference
from ml.model.fit_evidence import FitEvidence
from ml.model.run_kinds import ADAPT, DROP, FIT, RUN_KINDS, RunKind
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from ml.steps import category_columns, champion_archive, ended_pattern, job_runner, prepared_files
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
    """Reads settings.json below `settings` and the parts below `rows`; writes the model's files to `model`.

    They are model.json, baseline.json, and fit.json with what the Evaluate step reports of the fit.

    Args:
        champion: the model that the run starts from; None in a fit.

    Raises:
        StepFailed: the settings or the rows are missing, or the champion does not fit the run.
        ValueError: the estimator finds no model, or there is no threshold that the policy allows.
    """
    training = job_runner.settings(settings).training
    if (champion is not None) != run_kinds.needs_champion(kind):
        expected = "starts from no model" if kind == FIT else "starts from the champion"
        raise StepFailed(f"a run of kind {kind} {expected}, and BaseModelSha256 names {'one' if champion else 'none'}")
    train_rows: Any = prepared_files.rows(rows, "train")
    if champion is None:
        document, evidence = _fitted(training, train_rows, rows)
    else:
        _check_inputs(training, champion)
        train_rows = prepared_files.read(rows, "train")  # a window of days; a fit may have years
        if kind == DROP:
            train_rows = train_rows[ended_pattern.still_valid(champion, train_rows)].reset_index(drop=True)
        make = _adapted if kind == ADAPT else partial(_with_new_threshold, kind)
        document, evidence = make(training, train_rows, champion)
    further = (*training.columns.left_out(), *(category_columns.notes(training, train_rows) if kind == FIT else ()))
    reference = start_reference(training.columns, train_rows, train_rows[LABEL], times=prepared_files.times(train_rows))
    write(model, document, reference, evidence, further)


def write(
    model: Path, document: dict[str, Any], reference: dict[str, Any], evidence: FitEvidence, notes: tuple[str, ...]
) -> None:
    """Writes the model's files: its document, the training rows' drift reference, and the evidence with `notes`."""
    evidence = dataclasses.replace(evidence, notes=(*evidence.notes, *notes))
    _log_evidence(evidence)
    model.mkdir(parents=True, exist_ok=True)
    documents = {"model.json": document, "baseline.json": reference, fit_evidence.FILE: evidence.to_dict()}
    for name, content in documents.items():
        (model / name).write_text(document_fields.canonical(content) + "\n", encoding="utf-8")


def _fitted(training: Training, train_rows: Any, rows: Path) -> tuple[dict[str, Any], FitEvidence]:
    """The document of a model that is fitted to `train_rows`, with its threshold from the validation rows."""
    validation_rows = prepared_files.rows(rows, "validation")
    frauds = train_rows[LABEL].sum()
    log.info("fitting %s on %d rows with %d frauds", training.estimator, len(train_rows), frauds)
    made = model_fit.fit(training, (train_rows, train_rows[LABEL]), (validation_rows, validation_rows[LABEL]))
    history = made.history
    log.info("on unfitted rows the log-odds of fraud are %.3f * the model's %+.3f", history.slope, history.intercept)
    log.info("threshold %.6f by %s", made.threshold, training.threshold.policy)
    return made.document(training), made.evidence


def _adapted(training: Training, train_rows: Any, champion: Artifact) -> tuple[dict[str, Any], FitEvidence]:
    """The champion's document with a line for its part and, if the rows need one, a part for new patterns.

    An adaptation that the champion has already is replaced: its part for known patterns is the start, as first fitted.
    """
    document: dict[str, Any] = document_fields.load(champion.files["model.json"], "model.json")
    start = Scorer.from_json(document_fields.canonical(unadapted(document)))
    new = _unfitted(ADAPT, train_rows, champion)
    log_odds, labels = start.log_odds(start.matrix(new))[:, 0], new[LABEL].to_numpy()
    log.info("adapting to %d rows with %d frauds", len(labels), labels.sum())
    columns, blocks = training.columns, training.out_of_fold.blocks
    # Levels of these rows, because frauds of a new pattern may have one that the champion does not know.
    levels = {name: features.frequent_levels(new[name], training.categories.min_rows) for name in columns.categories}
    found = adapt(
        columns,
        features.matrix(columns, new, levels),
        labels,
        champion=log_odds,
        history=start.document.history,
        blocks=blocks,
        levels=levels,
    )
    rule, source = training.threshold, threshold_evidence.OUT_OF_FOLD
    score = threshold.choose(rule, found.scores, labels, features.amounts(training.columns, new))
    log.info("threshold %.6f by %s", score, rule.policy)
    evidence = FitEvidence(
        expected=threshold_evidence.expected(rule.policy, score, found.scores, labels, blocks=blocks, source=source),
        out_of_fold_scores={"train": tuple(found.scores.tolist())},
        synthetic_rows=0,
        notes=(found.note, *_left_out(train_rows, new)),
    )
    return found.document(document, {"policy": rule.policy, "value": rule.value, "score": score}), evidence


def _with_new_threshold(
    kind: RunKind, training: Training, train_rows: Any, champion: Artifact
) -> tuple[dict[str, Any], FitEvidence]:
    """The champion's document with a threshold from its scores of `train_rows`; every other number is unchanged.

    A run of kind `drop` takes the document without the adaptation, and its scores; its threshold gives half of the
    dropped part's alerts to other rows. Rows that the kept coefficients were fitted on do not count: their scores are
    not those of new rows.
    """
    new = _unfitted(kind, train_rows, champion)
    document: dict[str, Any] = document_fields.load(champion.files["model.json"], "model.json")
    if kind == DROP:
        document = unadapted(document)
    scorer = Scorer.from_json(document_fields.canonical(document))
    scores = scorer.score(scorer.matrix(new))
    rule, former = training.threshold, champion.model.threshold.score
    score = threshold.choose(rule, scores, new[LABEL], features.amounts(training.columns, new))
    if kind == DROP:
        score = ended_pattern.threshold_without_part(champion.model, score, scores[new[LABEL].to_numpy() == 0])
    log.info("threshold %.6f by %s on %d rows, in place of %.6f", score, rule.policy, len(new), former)
    blocks, source = training.out_of_fold.blocks, threshold_evidence.TRAINING
    expected = threshold_evidence.expected(rule.policy, score, scores, new[LABEL], blocks=blocks, source=source)
    evidence = FitEvidence(expected=expected, out_of_fold_scores={}, synthetic_rows=0, notes=_left_out(train_rows, new))
    chosen = {"policy": rule.policy, "value": rule.value, "score": score}
    return document | {"threshold": chosen, "provenance": None}, evidence


def _unfitted(kind: RunKind, train_rows: Any, champion: Artifact) -> Any:
    """The training rows on which no coefficient was fitted that the run keeps."""
    new = train_rows[champion_archive.unfitted_rows(champion, kind, train_rows)]
    if not len(new):
        made = "an adaptation" if kind == ADAPT else "a new threshold"
        raise StepFailed(f"the champion was fitted on all {len(train_rows):,} training rows: {made} needs later rows")
    return new


def _left_out(train_rows: Any, new: Any) -> tuple[str, ...]:
    if len(new) == len(train_rows):
        return ()
    return (
        f"{len(train_rows) - len(new):,} of {len(train_rows):,} training rows were left out: the champion's "
        f"coefficients were fitted on them.",
    )


def _log_evidence(evidence: FitEvidence) -> None:
    for note in evidence.notes:
        log.info("%s", note)
    expected = evidence.expected
    if expected is not None:
        log.info(
            "%d of %d %s rows reach the threshold; a %s of %.2f %% to %.2f %% is to be expected on later rows",
            expected.count,
            expected.of,
            expected.source,
            expected.figure,
            100 * expected.low,
            100 * expected.high,
        )


def _check_inputs(training: Training, champion: Artifact) -> None:
    columns, document = training.columns, champion.model.document
    for what, named, given in (
        ("inputs", columns.inputs, document.inputs),
        ("categories", columns.categories, document.categories),
    ):
        if named != given:
            raise StepFailed(
                f"the champion takes the {what} {', '.join(given)}, and data.yaml names {', '.join(named)}: only "
                f"a run of kind fit can change the {what}"
            )
    read = [f"{time.unit} ({time.zone})" for time in (columns.time, document.time) if time is not None]
    if len(set(read)) > 1:
        raise StepFailed(
            f"the champion takes the time {document.clock} as {read[1]}, and data.yaml names {read[0]}: only a run of "
            f"kind fit can change the unit or the zone"
        )


if __name__ == "__main__":
    sys.exit(main())
