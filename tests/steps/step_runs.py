"""Runs the three steps over a small lake in SageMaker's folder layout."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.model.run_kinds import RunKind
from ml.model.training_settings import Settings
from tests.harness import forked_python
from tests.model.training_samples import SETTINGS, rows

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = pa.timestamp("us", tz="UTC")
PROVENANCE = ["--commit", "a" * 40, "--data-sha256", "c" * 64]


@dataclasses.dataclass
class Bench:
    """One machine's /opt/ml, at `root`; `run` plays the three jobs of a pipeline on it."""

    root: Path

    @property
    def processing(self) -> Path:
        """The folder that replaces /opt/ml/processing."""
        return self.root / "processing"

    def lay(self, settings: Settings = SETTINGS) -> Bench:
        """Lays out the settings and the champion's sentinel."""
        (self.processing / "settings").mkdir(parents=True, exist_ok=True)
        (self.processing / "settings" / "settings.json").write_text(settings.to_json())
        (self.processing / "champion").mkdir(exist_ok=True)
        (self.processing / "champion" / "none.json").write_text('{"champion": null}')
        return self

    def transactions(self, name: str, table: pa.Table) -> None:
        """Adds raw/<name>.parquet to the data set."""
        _write(self.processing / "dataset" / "raw" / f"{name}.parquet", table)

    def labels(
        self,
        name: str,
        ids: Sequence[str],
        labels: Sequence[int],
        known_at: Sequence[datetime],
        channel: str | None = None,
    ) -> None:
        """Adds labels/<name>.parquet to the data set, without the column `channel` if it is None."""
        table = pa.table(
            {"event_id": list(ids), "label": pa.array(labels, pa.int8()), "known_at": pa.array(known_at, TIMES)}
        )
        if channel is not None:
            table = table.append_column("channel", pa.array([channel] * len(table)))
        _write(self.processing / "dataset" / "labels" / f"{name}.parquet", table)

    def data(
        self,
        n: int = 4000,
        share: float = 0.05,
        seed: int = 0,
        *,
        day: int = 0,
        new_share: float = 0.0,
        draw: Callable[[int, float, int], tuple[pd.DataFrame, NDArray[np.int8]]] = rows,
    ) -> pa.Table:
        """Adds `n` labelled transactions of `draw`, of two days from `day` on, and returns them.

        With `new_share`, that share of the highest amounts are frauds too.
        """
        X, y = draw(n, share, seed)
        if new_share:
            y[X["Amount"] > X["Amount"].quantile(1 - new_share)] = 1
        name = f"202601{day + 1:02d}-abc"
        table = transactions([f"e{day * 100_000 + i:05d}" for i in range(n)], X, (X["Time"] + 86_400 * day).tolist())
        self.transactions(f"{name}/transactions", table)
        self.labels(f"{name}/labels", table["event_id"].to_pylist(), y.tolist(), table["event_time"].to_pylist())
        return table

    def seal(self, start: str | None = None, end: str | None = None) -> str:
        """Writes the listing of the current data set, as the lake does; returns its digest."""
        dataset = self.processing / "dataset"
        files = [
            [path.relative_to(dataset).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in sorted(dataset.rglob("*.parquet"))
        ]
        text = json.dumps([files, [start or None, end or None]], separators=(",", ":"))
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        shutil.rmtree(dataset / "training-sets", ignore_errors=True)
        place = dataset / "training-sets" / sha256 / "files.json"
        place.parent.mkdir(parents=True)
        place.write_text(text)
        return sha256

    def arguments(self, step: str, arguments: Sequence[str]) -> list[str]:
        """The pipeline's arguments of a step and `arguments`: its folder and the digests of its inputs."""
        settings = self.processing / "settings" / "settings.json"
        config = hashlib.sha256(settings.read_bytes()).hexdigest() if settings.exists() else "0" * 64
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        options = ["--base-dir", str(self.root if step == "train" else self.processing), "--config-sha256", config]
        options += [] if "--kind" in given else ["--kind", "fit"]
        if step == "prepare" and "--data-sha256" not in given:
            options += ["--data-sha256", self.seal(given.get("--window-start"), given.get("--window-end"))]
        return [*options, *arguments]

    def run(self, step: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs one step as its own process, in the environment of its kind of job.

        The process is a fork unless an `environment` is given, which may have variables that libraries read at import.
        """
        variables = {
            "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONHASHSEED": forked_python.HASH_SEED,
        }  # fmt: skip
        if step == "train":
            variables |= {
                "SM_CHANNEL_SETTINGS": str(self.processing / "settings"),
                "SM_CHANNEL_PREPARED": str(self.processing / "prepared"),
                "SM_CHANNEL_CHAMPION": str(
                    self.processing / ("champion" if "--champion-sha256" in arguments else "none")
                ),
            }
        module, given = f"ml.steps.{step}", self.arguments(step, arguments)
        if not environment:
            return forked_python.run(module, given, environment=variables, cwd=self.root)
        return subprocess.run(
            [sys.executable, "-m", module, *given],
            env=variables | environment, cwd=self.root, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def pack(self) -> None:
        """Packs Train's output as SageMaker does, with times and owners, as Evaluate's input."""
        (self.processing / "model").mkdir(exist_ok=True)
        with tarfile.open(self.processing / "model" / "model.tar.gz", "w:gz") as archive:
            archive.add(self.root / "model", ".")

    def whole(self, *, kind: RunKind = "fit", champion: str = "", **environment: str) -> dict[str, Any]:
        """Runs Prepare, Train and Evaluate; returns the evaluation. Train gets the champion unless it fits."""
        start = [] if kind == "fit" else ["--champion-sha256", champion]
        for step, more in (
            ("prepare", []),
            ("train", start),
            ("evaluate", [*PROVENANCE, "--champion-sha256", champion]),
        ):
            arguments = ["--kind", kind, *more]
            done = self.run(step, *arguments, **environment)
            assert done.returncode == 0, done.stderr
            if step == "train":
                self.pack()
        return self.evaluation()

    def evaluation(self) -> dict[str, Any]:
        """The evaluation that Evaluate wrote."""
        document: dict[str, Any] = json.loads((self.processing / "evaluation" / "evaluation.json").read_text())
        return document

    def artifact(self) -> bytes:
        """The archive that Evaluate packed."""
        return (self.processing / "artifact" / "model.tar.gz").read_bytes()

    def crown(self, archive: bytes) -> str:
        """Makes `archive` the champion; returns its digest."""
        (self.processing / "champion" / "none.json").unlink(missing_ok=True)
        (self.processing / "champion" / "model.tar.gz").write_bytes(archive)
        return hashlib.sha256(archive).hexdigest()


def transactions(ids: Sequence[str], X: Any, seconds: Sequence[float] | None = None) -> pa.Table:
    """Transactions as the lake holds them; event_time follows from Time unless `seconds` after START are given."""
    times = [START + timedelta(seconds=float(s)) for s in (X["Time"] if seconds is None else seconds)]
    columns = {name: pa.array(X[name], pa.string() if X[name].dtype == object else pa.float64()) for name in X.columns}
    return pa.table({"event_id": list(ids), "event_time": pa.array(times, TIMES), **columns})


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
