"""The Train step on a cluster makes what one machine makes: equal counts, and coefficients to 1e-9."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ml.config import settings_files
from ml.model import artifact, fit_evidence
from ml.spark import train
from ml.spark.cluster import OneProcess
from tests.spark.documents import assert_close
from tests.steps.step_runs import Bench

FILES = ("model.json", "baseline.json", fit_evidence.FILE)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A machine with prepared rows in many row groups, and what one machine trained on them."""
    made = Bench(tmp_path_factory.mktemp("bench")).lay()
    made.data(60_000, 0.02)
    for step in ("prepare", "train"):
        done = made.run(step)
        assert done.returncode == 0, done.stderr
    for file in (made.processing / "prepared").glob("*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=5_000)
    return made


def trained(base: Path) -> dict[str, Any]:
    """The documents that the step on a cluster packed."""
    files = artifact.extract((base / "model" / "model.tar.gz").read_bytes())
    return {name: json.loads(files[name]) for name in FILES}


def arguments(bench: Bench) -> list[str]:
    """The arguments of the step."""
    digest = hashlib.sha256((bench.processing / "settings" / "settings.json").read_bytes()).hexdigest()
    return ["--base-dir", str(bench.processing), "--config-sha256", digest, "--kind", "fit"]


def test_documents_are_those_of_one_machine(bench: Bench) -> None:
    """Model, drift reference and evidence; only the rounding of sums differs."""
    assert train.main(OneProcess(), arguments(bench)) == 0
    found = trained(bench.processing)
    for name in FILES:
        expected = json.loads((bench.root / "model" / name).read_text())
        assert_close(found[name], expected, 1e-9, name)


def test_accepted_configuration_names_the_estimator_that_is_fitted() -> None:
    """The configuration and the job may not import each other; each has the name."""
    assert settings_files.SPARK_ESTIMATOR == train.ESTIMATOR
