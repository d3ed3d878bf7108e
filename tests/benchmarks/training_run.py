"""A training run in one process: the product's steps Prepare, Train and Evaluate, without a pipeline."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.model import artifact, run_kinds
from ml.model.run_kinds import FIT, RunKind
from ml.model.training_settings import Settings
from ml.steps import evaluate, prepare, train

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Trained:
    """The result of a run: the archive, whether it passed the gate, and the evaluation."""

    archive: bytes
    model: artifact.Artifact
    evaluation: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the gate passed, so that the model may serve."""
        return bool(self.evaluation["verdict"]["status"] == "passed")


def run(
    settings: Settings,
    tables: Sequence[pa.Table],
    labels: Sequence[pa.Table],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    kind: RunKind = FIT,
    champion: Trained | None = None,
) -> Trained:
    """Prepare, Train and Evaluate on rows of a window with the labels known so far.

    Raises:
        StepFailed, ValueError: a step failed; the product's job would fail with the same message.
    """
    start_model = champion.model if champion is not None and run_kinds.needs_champion(kind) else None
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "processing"
        for name in ("settings", "champion", "model"):
            (base / name).mkdir(parents=True)
        (base / "settings/settings.json").write_text(settings.to_json())
        for content, parts in (("raw", tables), ("labels", labels)):
            for number, table in enumerate(parts):
                path = base / f"dataset/{content}/{number:03d}/part.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(table, path)
        if champion is None:
            (base / "champion/none.json").write_text('{"champion": null}')
        else:
            (base / "champion/model.tar.gz").write_bytes(champion.archive)
        prepare.prepare(base, kind, start.isoformat() if start else "", end.isoformat() if end else "")
        trained = Path(folder) / "trained"
        train.train(base / "settings", base / "prepared", trained, kind=kind, champion=start_model)
        with tarfile.open(base / "model/model.tar.gz", "w:gz") as tar:
            for path in sorted(trained.iterdir()):
                tar.add(path, arcname=path.name)
        provenance = {"commit": "0" * 40, "config_sha256": settings.sha256, "data_sha256": "0" * 64}
        evaluate.evaluate(base, kind, provenance, champion.model.sha256 if champion else "")
        archive = (base / "artifact/model.tar.gz").read_bytes()
        return Trained(archive, artifact.read(archive), json.loads((base / "evaluation/evaluation.json").read_text()))
