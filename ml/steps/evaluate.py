"""Evaluate step: packs the model archive, measures the model on test rows, and applies the gate.

Runs as a SageMaker processing job. Below its base folder it reads settings, prepared, model and champion, and writes
artifact/model.tar.gz, evaluation/evaluation.json and evaluation/baseline.json (the packed drift reference, for readers
of the registry). It measures the packed archive, read back as every consumer reads it. A gate failure is a verdict, not
a failure of the step.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.model import artifact, champion_comparison, document_fields, gate, metrics
from ml.model.artifact import Artifact, ArtifactInvalid
from ml.model.champion_comparison import Comparison
from ml.model.drift.reference import complete_reference
from ml.model.scorer import Scorer
from ml.model.training_settings import Settings
from ml.steps import job_runner, prepared_files
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import LABEL

SCHEMA = 1
ARCHIVE = "model.tar.gz"
BASELINE = "baseline.json"
DIGEST = "digest.json"
SOURCE_ROOT = Path(__file__).resolve().parents[2]  # the folder of the package `ml`, from which code/ is copied


def main(arguments: list[str] | None = None) -> int:
    """Runs the step; returns the exit code, which is 0 also if the gate fails."""
    parser = argparse.ArgumentParser(prog="evaluate", description="Pack the model, measure it, apply the gate.")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--config-sha256", required=True)
    parser.add_argument("--data-sha256", required=True)
    parser.add_argument("--champion-sha256", default="", help="digest of the champion's archive; '' = none")
    parser.add_argument("--base-dir", type=Path, required=True)
    options = parser.parse_args(arguments)
    base: Path = options.base_dir
    provenance = {name: getattr(options, name) for name in ("commit", "config_sha256", "data_sha256")}

    def step() -> None:
        job_runner.verify_settings(base / "settings", options.config_sha256)
        evaluate(base, provenance, options.champion_sha256)

    return job_runner.run(step, base.parent / "output" / "message")


def evaluate(base: Path, provenance: dict[str, str], champion_sha256: str) -> None:
    """Reads below `base`, writes `base`/artifact and `base`/evaluation.

    Raises:
        StepFailed: an input is missing, or the champion's archive is not the one that Git records as serving.
        ArtifactInvalid: the archive of the Train step is invalid.
    """
    settings = job_runner.settings(base / "settings")
    rows = prepared_files.read(base / "prepared", "test")
    windows = prepared_files.summary(base / "prepared")["windows"]
    champion = _champion(base / "champion", champion_sha256)
    unfitted = pd.concat([prepared_files.read(base / "prepared", "validation"), rows], ignore_index=True)
    archive = _pack(base, settings, unfitted, windows, provenance)
    model = artifact.read(archive)
    _write(base / "artifact" / ARCHIVE, archive)
    log.info("packed %s, %d bytes", model.sha256, len(archive))
    evaluation = _measure(settings, model, champion, rows, windows)
    evaluation |= {"provenance": provenance, "artifact": {"sha256": model.sha256, "bytes": len(archive)}}
    text = json.dumps(evaluation, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    _write(base / "evaluation" / "evaluation.json", text.encode())
    # The registration stores this digest, so that a later change of evaluation.json is found.
    digest = {"evaluation_sha256": hashlib.sha256(text.encode()).hexdigest()}
    _write(base / "evaluation" / DIGEST, f"{json.dumps(digest)}\n".encode())
    _write(base / "evaluation" / BASELINE, model.files[BASELINE])
    log.info("%s: %s", evaluation["verdict"]["status"], evaluation["verdict"]["reason"])


def _pack(
    base: Path, settings: Settings, unfitted: pd.DataFrame, windows: dict[str, Any], provenance: dict[str, str]
) -> bytes:
    """The canonical archive: Train's model with its provenance, the completed drift reference, and the serving code.

    `unfitted` are the validation and test rows: in a short training window, test alone may not cover a whole day.
    """
    path = base / "model" / ARCHIVE
    if not path.is_file():
        raise StepFailed(f"{path}: no such file; the Train step must have run")
    files = artifact.extract(path.read_bytes())
    missing = [name for name in ("model.json", BASELINE) if name not in files]
    if missing:
        raise StepFailed(f"{path}: {', '.join(missing)} is missing; the file must be the Train step's output")
    model_json = document_fields.load(files["model.json"], "model.json") | {"provenance": provenance}
    scorer = Scorer.from_json(document_fields.canonical(model_json))
    if scorer.inputs != settings.training.columns.inputs:
        raise StepFailed(f"{path}: has the inputs {', '.join(scorer.inputs)}, not the columns of the settings")
    scores = scorer.score(unfitted[list(scorer.inputs)].to_numpy())
    reference = complete_reference(
        document_fields.load(files[BASELINE], BASELINE),
        settings.training.columns,
        unfitted,
        unfitted[LABEL],
        scores=scores,
        decisions=scorer.decide(scores),
        times=prepared_files.times(unfitted),
        windows=windows,
    )
    return artifact.pack(
        {
            "model.json": f"{document_fields.canonical(model_json)}\n".encode(),
            BASELINE: f"{document_fields.canonical(reference)}\n".encode(),
            **artifact.code_files(SOURCE_ROOT),
        }
    )


def _champion(folder: Path, sha256: str) -> Artifact | None:
    """The archive that Git records as serving, verified by its digest; None if nothing serves yet."""
    path = folder / ARCHIVE
    if not sha256:
        if path.is_file():
            raise StepFailed(f"{path}: unexpected archive; no digest of a champion was given")
        return None
    if not path.is_file():
        raise StepFailed(f"{path}: no such file although the champion {sha256} serves; check ChampionUri")
    digest = job_runner.file_sha256(path)
    if digest != sha256:
        raise StepFailed(f"{path}: digest {digest} is not that of the champion, {sha256}: the object was replaced")
    try:
        return artifact.read(path.read_bytes())
    except ArtifactInvalid as error:
        raise StepFailed(f"{path}: the champion's archive is invalid: {error}") from error


def _measure(
    settings: Settings, model: Artifact, champion: Artifact | None, rows: pd.DataFrame, windows: dict[str, Any]
) -> dict[str, Any]:
    """The content of evaluation.json (schema 1) without provenance and digest."""
    training, scorer = settings.training, model.model
    truth = rows[LABEL].to_numpy()
    scores = scorer.score(rows[list(scorer.inputs)].to_numpy())
    decisions = scorer.decide(scores)
    figures = metrics.measure(truth, scores, decisions, alert_budget=training.alert_budget, seed=training.seed)
    counts = metrics.Confusion.of(truth, decisions)
    comparison = _compare(settings, rows, truth, (scores, decisions), champion)
    verdict = gate.decide(settings.gate, figures, counts.positives, comparison)
    return {
        "schema": SCHEMA,
        "verdict": verdict.to_dict(),
        "metrics": {name: figure.to_dict() for name, figure in figures.items()},
        "confusion": dataclasses.asdict(counts),
        "rows": len(rows),
        "positives": counts.positives,
        "threshold": dataclasses.asdict(scorer.threshold),
        "alert_budget": training.alert_budget,
        "champion": comparison.to_dict(),
        "windows": windows,
        "curves": {"precision_recall": metrics.precision_recall_curve(truth, scores)},
    }


def _compare(
    settings: Settings,
    rows: pd.DataFrame,
    truth: np.ndarray[Any, Any],
    challenger: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    champion: Artifact | None,
) -> Comparison:
    if champion is None:
        return champion_comparison.NO_CHAMPION
    absent = [name for name in champion.model.inputs if name not in rows.columns]
    if absent:
        return Comparison(
            status="not possible",
            reason=(
                f"Comparison with the champion is not possible: these transactions lack its inputs {', '.join(absent)}."
            ),
            artifact_sha256=champion.sha256,
        )
    times = prepared_files.times(rows).astype(np.int64)
    unseen = champion_comparison.unseen(times, champion.baseline["windows"])
    scores = champion.model.score(rows.loc[unseen, list(champion.model.inputs)].to_numpy())
    return champion_comparison.compare(
        truth[unseen],
        challenger=(challenger[0][unseen], challenger[1][unseen]),
        champion=(scores, champion.model.decide(scores)),
        rule=settings.gate.challenger,
        seed=settings.training.seed,
        artifact_sha256=champion.sha256,
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
