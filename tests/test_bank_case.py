"""A bank's own files go from import to a served model, with data.yaml as the only change."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml import config
from ml.aws import s3_objects
from ml.aws.lake import Lake
from ml.commands.data_import import import_data
from ml.model import artifact
from ml.model.request_parser import RequestParser
from tests.harness import bank_case
from tests.harness.aws import moto_server
from tests.harness.bank_case import BankCase
from tests.model.training_samples import SETTINGS, changed
from tests.steps.step_runs import Bench

CASE = BankCase(rows=4_000, days=10, fraud_share=0.05)


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


def test_bank_data_is_imported_trained_on_and_served(lake: Lake, tmp_path: Path) -> None:
    """Twenty Parquet files become one import; the model takes the bank's columns by name, in any order."""
    columns = config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile).to_columns()
    files = CASE.write(tmp_path / "bank")
    report = import_data(str(tmp_path / "bank"), lake=lake, columns=columns, start=None, quarantine=False)
    assert (len(files), report.files, report.rows, report.quarantined) == (20, 20, 4_000, 0)
    assert report.start.date().isoformat() == "2026-01-01"
    assert report.frauds == sum(sum(pq.read_table(path)["is_fraud"].to_pylist()) for path in files)

    bench = Bench(tmp_path / "opt").lay(dataclasses.replace(SETTINGS, training=changed(columns=columns)))
    (manifest,) = lake.imports()
    for file in manifest.files:
        target = bench.processing / "dataset" / file.key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3_objects.read(f"s3://{lake.bucket}/{file.key}"))
    stored = pq.read_table(bench.processing / "dataset" / manifest.files[0].key)
    assert stored.column_names[2:5] == ["card_id", "merchant_category", "epoch_seconds"]
    assert stored.schema.field("txn_amount").type == pa.float64()
    evaluation = bench.whole()
    assert evaluation["metrics"]["recall"]["value"] > 0.7
    assert evaluation["rows"] > 0

    model = artifact.read(bench.artifact()).model
    assert model.document.time is not None
    assert (model.document.time.unit, model.document.amount) == ("epoch_seconds", "txn_amount")
    parser = RequestParser(model.inputs, model.document.amount, model.document.iso_times)
    night = int(datetime(2026, 2, 1, 3, tzinfo=UTC).timestamp())
    row = dict.fromkeys(bank_case.FEATURES, 0.0) | {"txn_amount": 20.0, "epoch_seconds": night}
    likely = row | {"feat_a": 3.0, "feat_c": -3.0, "feat_f": 2.0}
    batch = parser.parse(json.dumps([row, likely]), "application/json")
    scores = model.score(batch.rows)
    assert scores[0] < model.threshold.score < scores[1]
