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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model import (
    artifact,
    document_fields,
    explanation,
    fit_evidence,
    run_kinds,
    stored_rows,
)
from ml.model.adaptation.adapt import unadapted
from ml.model.artifact import Artifact
from ml.model.drift.reference import FITTED_NUMBERS, complete_reference
from ml.model.fit_evidence import FitEvidence
from ml.model.model_parts import NEW
from ml.model.run_kinds import ADAPT, DROP, FIT, RUN_KINDS, THRESHOLD, RunKind
from ml.model.scorer import Scorer
from ml.model.training_settings import Settings
from ml.steps import champion_archive, ended_pattern, job_runner, measurement, prepared_files
from ml.steps.champion_archive import ARCHIVE
from ml.steps.job_runner import StepFailed, log
from ml.steps.prepared_files import LABEL
from ml.steps.prepared_rows import PreparedRows

BASELINE = "baseline.json"
DIGEST = "digest.json"
SOURCE_ROOT = Path(__file__).resolve().parents[2]  # the folder of the package `ml`, from which code/ is copied


def main(arguments: list[str] | None = None) -> int:
    """Runs the step; returns the exit code, which is 0 also if the gate fails."""
    parser = argparse.ArgumentParser(prog="evaluate", description="Pack the model, measure it, apply the gate.")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--kind", required=True, choices=RUN_KINDS)
    parser.add_argument("--config-sha256", required=True)
    parser.add_argument("--data-sha256", required=True)
    parser.add_argument("--champion-sha256", default="", help="digest of the champion's archive; '' = none")
    parser.add_argument("--base-dir", type=Path, required=True)
    options = parser.parse_args(arguments)
    base: Path = options.base_dir
    provenance = {name: getattr(options, name) for name in ("commit", "config_sha256", "data_sha256")}

    def step() -> None:
        job_runner.verify_settings(base / "settings", options.config_sha256)
        evaluate(base, options.kind, provenance, options.champion_sha256)

    return job_runner.run(step, base.parent / "output" / "message")


def evaluate(base: Path, kind: RunKind, provenance: dict[str, str], champion_sha256: str) -> None:
    """Reads below `base`, writes `base`/artifact and `base`/evaluation.

    Raises:
        StepFailed: an input is missing, or the champion's archive is not the one that Git records as serving.
        ArtifactInvalid: the archive of the Train step is invalid.
    """
    settings = job_runner.settings(base / "settings")
    rows = prepared_files.rows(base / "prepared", "test")
    prepared = prepared_files.summary(base / "prepared")
    champion = champion_archive.read(base / "champion", champion_sha256, parameter="ChampionUri")
    if run_kinds.needs_champion(kind) and champion is None:
        raise StepFailed(f"a run of kind {kind} starts from the champion, and ChampionSha256 names none")
    trained = _Trained.read(base / "model" / ARCHIVE)
    start = champion if run_kinds.needs_champion(kind) else None
    archive = _pack(base, kind, settings, provenance, trained=trained, start=start)
    model = artifact.read(archive)
    _write(base / "artifact" / ARCHIVE, archive)
    log.info("packed %s, %d bytes", model.sha256, len(archive))
    evaluation = measurement.measure(kind, settings, model, champion, rows)
    evaluation |= {"windows": prepared["windows"], "row_counts": prepared["rows"], "fit": trained.evidence.summary()}
    evaluation |= {"kind": kind, "provenance": provenance, "artifact": {"sha256": model.sha256, "bytes": len(archive)}}
    text = json.dumps(evaluation, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    _write(base / "evaluation" / "evaluation.json", text.encode())
    # The registration stores this digest, so that a later change of evaluation.json is found.
    digest = {"evaluation_sha256": hashlib.sha256(text.encode()).hexdigest()}
    _write(base / "evaluation" / DIGEST, f"{json.dumps(digest)}\n".encode())
    _write(base / "evaluation" / BASELINE, model.files[BASELINE])
    log.info("%s: %s", evaluation["verdict"]["status"], evaluation["verdict"]["reason"])


@dataclasses.dataclass(frozen=True)
class _Trained:
    """The Train step's output."""

    path: Path
    files: dict[str, bytes]
    evidence: FitEvidence

    @classmethod
    def read(cls, path: Path) -> _Trained:
        """Extracts the archive that SageMaker packed."""
        if not path.is_file():
            raise StepFailed(f"{path}: no such file; the Train step must have run")
        files = artifact.extract(path.read_bytes())
        missing = [name for name in ("model.json", BASELINE, fit_evidence.FILE) if name not in files]
        if missing:
            raise StepFailed(f"{path}: {', '.join(missing)} is missing; the file must be the Train step's output")
        document = document_fields.load(files[fit_evidence.FILE], fit_evidence.FILE)
        return cls(path, files, FitEvidence.from_dict(document))


def _pack(
    base: Path,
    kind: RunKind,
    settings: Settings,
    provenance: dict[str, str],
    *,
    trained: _Trained,
    start: Artifact | None,
) -> bytes:
    """The canonical archive: Train's model with its provenance, the completed drift reference, and the serving code.

    The reference's scores are those of all rows of this run that no coefficient was fitted on: in a short training
    window, test alone may not cover a whole day. Of rows that the model was fitted on, out-of-fold scores stand for it.
    `start` is the model that the run started from; rows that its kept coefficients were fitted on are left out.
    """
    windows = prepared_files.summary(base / "prepared")["windows"]
    path, files = trained.path, trained.files
    model_json = document_fields.load(files["model.json"], "model.json") | {"provenance": provenance}
    scorer = Scorer.from_json(document_fields.canonical(model_json))
    if start is not None:
        _check_same_numbers(path, kind, model_json, start)
    columns = settings.training.columns
    if (scorer.inputs, scorer.document.categories) != (columns.inputs, columns.categories):
        raise StepFailed(f"{path}: has the inputs {', '.join(scorer.inputs)}, not the columns of the settings")
    parts = {part: prepared_files.rows(base / "prepared", part) for part in windows}
    if kind == DROP and start is not None:
        parts["train"] = parts["train"].where(ended_pattern.still_valid(start, parts["train"]))
    later = PreparedRows.joined([rows for part, rows in parts.items() if part != "train"])
    fits = run_kinds.fits_coefficients(kind)
    unfitted = {*parts} if not fits else {*parts} - {"train"} | {*trained.evidence.out_of_fold_scores}
    held_out = {part: rows for part, rows in parts.items() if part in unfitted}
    if start is not None:
        held_out = {
            part: rows.where(champion_archive.unfitted_rows(start, kind, rows)) for part, rows in held_out.items()
        }
        _check_test_rows(path, parts["test"], held_out["test"])
    unseen = PreparedRows.joined([*held_out.values()])
    log_odds, model_scores = stored_rows.log_odds_and_scores(scorer, unseen)
    scores = _held_out_scores(held_out, model_scores, trained)
    reference = complete_reference(
        document_fields.load(files[BASELINE], BASELINE),
        columns,
        later,
        later[LABEL],
        scores=scores,
        decisions=scorer.decide(scores),
        times=prepared_files.times(later),
        labels=unseen[LABEL],
        model_scores=model_scores,
        follows_new=explanation.patterns(log_odds) == NEW,
        windows=windows,
        kind=kind,
        inherited=_inherited(kind, start),
    )
    return artifact.pack(
        {
            "model.json": f"{document_fields.canonical(model_json)}\n".encode(),
            BASELINE: f"{document_fields.canonical(reference)}\n".encode(),
            **artifact.code_files(SOURCE_ROOT),
        }
    )


def _inherited(kind: RunKind, start: Artifact | None) -> list[dict[str, str]]:
    """The windows that numbers of `start` were fitted on; of its adaptation none if the run drops that."""
    windows = start.baseline["fitted"] if start is not None else ()
    return [window for window in windows if kind != DROP or window["numbers"] == FITTED_NUMBERS[FIT]]


def _check_test_rows(path: Path, test: PreparedRows, unfitted: PreparedRows) -> None:
    if len(unfitted) < len(test):
        raise StepFailed(
            f"{path}: the champion's coefficients were fitted on {len(test) - len(unfitted):,} of {len(test):,} test "
            f"rows: the window must end later than the champion's"
        )


def _check_same_numbers(path: Path, kind: RunKind, model_json: dict[str, Any], champion: Artifact) -> None:
    """Checks that a run left the champion's numbers as they are, to the last bit.

    A new threshold leaves every other number, an adaptation those of the part for known patterns. A run of kind `drop`
    leaves those, and adds none.
    """
    ours, theirs = model_json, document_fields.load(champion.files["model.json"], "model.json")
    if kind != THRESHOLD:
        theirs = unadapted(theirs)
    if kind == ADAPT:
        ours = unadapted(ours)
    changed = sorted(
        key
        for key in {*ours, *theirs} - {"threshold", "provenance"}
        if document_fields.canonical(ours.get(key)) != document_fields.canonical(theirs.get(key))
    )
    if changed:
        only = "a line and a part for new patterns only" if kind == ADAPT else "a threshold only"
        raise StepFailed(f"{path}: {', '.join(changed)} differ from the champion's, and this run sets {only}")


def _held_out_scores(
    held_out: Mapping[str, PreparedRows], model_scores: NDArray[np.float64], trained: _Trained
) -> NDArray[np.float64]:
    """The model's scores of the held-out rows, and the out-of-fold scores of parts that have such in their place."""
    scores, start = model_scores.copy(), 0
    for part, rows in held_out.items():
        own = trained.evidence.out_of_fold_scores.get(part)
        if own is not None and len(own) != len(rows):
            raise StepFailed(
                f"{trained.path}: {fit_evidence.FILE} has {len(own)} {part} scores for {len(rows)} {part} rows; "
                f"Train and Evaluate must read the same rows"
            )
        if own is not None:
            scores[start : start + len(own)] = own
        start += len(rows)
    return scores


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
