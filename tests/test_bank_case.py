"""A bank's own files go from import to a served model, with data.yaml as the only change."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml import config
from ml.aws import endpoint, s3_objects
from ml.aws.lake import Lake
from ml.cli import app
from ml.commands.data_import import ImportReport, import_data
from ml.drift import traffic_aggregation
from ml.drift.approved_model import Model
from ml.model import artifact
from ml.model.drift import detector
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from ml.model.explanation import explain
from ml.model.request_parser import RequestParser
from ml.model.training_settings import Columns
from ml.playground.template_state import FOLDER as SHIPPED
from ml.release import smoke_test
from ml.report import drift_plots
from tests.aws.capture import captured_lines
from tests.harness import bank_case
from tests.harness.aws import moto_server
from tests.harness.bank_case import BankCase
from tests.harness.git.repositories import record
from tests.model.scoring_samples import unpack
from tests.model.training_samples import SETTINGS, changed
from tests.steps.step_runs import Bench
from tests.steps.test_served_archive import served

WHOLE = BankCase()
"""400,000 rows of 200 days, two files a day."""
CASE = BankCase(rows=4_000, days=10, fraud_share=0.05)
MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
TRAFFIC = BankCase(rows=1_000, days=1, fraud_share=0.05, seed=23, start=MARCH)
CATEGORY, JSON = "merchant_category", "application/json"


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

    bench = _trained(lake, columns, tmp_path / "opt")
    stored = pq.read_table(next((bench.processing / "dataset" / "raw").rglob("*.parquet")))
    assert stored.column_names[2:4] == ["card_id", "epoch_seconds"]
    assert (stored.column_names[-2:], stored.schema.field("txn_amount").type) == (
        ["txn_amount", "merchant_category"],
        pa.float64(),
    )
    evaluation = bench.evaluation()
    assert evaluation["metrics"]["recall"]["value"] > 0.7
    assert (evaluation["verdict"]["status"], evaluation["rows"] > 0) == ("passed", True)

    archive = artifact.read(bench.artifact())
    model = archive.model
    assert model.document.time is not None
    assert (model.document.time.unit, model.document.amount) == ("epoch_seconds", "txn_amount")
    assert model.document.levels["merchant_category"].levels == tuple(sorted(bank_case.CATEGORIES))
    night = int(datetime(2026, 2, 1, 3, tzinfo=UTC).timestamp())
    row = dict.fromkeys(bank_case.FEATURES, 0.0) | {"txn_amount": 20.0, "epoch_seconds": night}
    likely = row | {"feat_a": 3.0, "feat_c": -3.0, "feat_f": 2.0}
    rows = [row | {"merchant_category": "grocery"}, likely | {"merchant_category": "online"}]
    batch = RequestParser.of(model.document).parse(json.dumps(rows), "application/json")
    scores = model.score(batch.rows)
    assert scores[0] < model.threshold.score < scores[1]
    found = explain(model, [rows[1][name] for name in model.inputs])
    by_input = {term.input: term for term in found.parts[0].contributions}
    assert by_input["merchant_category"].level == "online"
    assert by_input["merchant_category"].log_odds > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_files_a_day_of_a_whole_bank_are_one_import(lake: Lake, tmp_path: Path) -> None:
    """Every row of the 400 files is stored once, below one manifest; a repetition stores nothing."""
    data = config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile)
    files = WHOLE.write(tmp_path / "bank")
    frauds = sum(sum(pq.read_table(path, columns=["is_fraud"])["is_fraud"].to_pylist()) for path in files)

    def run() -> ImportReport:
        return import_data(
            str(tmp_path / "bank"), lake=lake, columns=data.to_columns(), start=None, quarantine=False, max_values=1_000
        )

    report = run()
    assert (report.files, report.present, report.rows, report.imported) == (400, 0, 400_000, 400_000)
    assert (report.quarantined, report.frauds, report.new, report.notes) == (0, frauds, True, ())
    (manifest,) = lake.imports()
    assert (manifest.name, len(manifest.sources), manifest.rows) == (report.name, 400, 400_000)
    assert {source.rows for source in manifest.sources} == {1_000}
    assert len({source.name for source in manifest.sources}) == 400
    stored = sorted(s3_objects.listed(lake.bucket, ""))
    assert sum(item.key.startswith("raw/") and item.key.endswith("/manifest.json") for item in stored) == 1

    again = run()
    assert (again.name, again.new, again.files, again.present) == (report.name, False, 400, 400)
    assert sorted(s3_objects.listed(lake.bucket, "")) == stored


def test_files_with_spaces_and_umlauts_in_names_are_trained_on_and_scored(lake: Lake, tmp_path: Path) -> None:
    """`renamed` maps them: the lake and the model have the names of data.yaml, and scores are those of such files."""
    german = {"txn_amount": "Betrag (EUR)", "merchant_category": "Händlerart", "is_fraud": "Betrug?"}
    text = f"{bank_case.DATA_YAML}renamed: {json.dumps({file: name for name, file in german.items()})}\n"
    data = config.parse(text, config.DATA, config.DataFile)
    (tmp_path / "data.yaml").write_text(text)
    files = CASE.write(tmp_path / "bank")
    for place, path in enumerate(files):
        table = pq.read_table(path)
        table = table.rename_columns([german.get(name, name) for name in table.column_names])
        path.unlink()
        if place % 2:  # an umlaut of two characters, as other systems write it
            pyarrow.csv.write_csv(
                table.rename_columns([unicodedata.normalize("NFD", name) for name in table.column_names]),
                path.with_suffix(".csv"),
            )
        else:
            pq.write_table(table, path)
    columns = data.to_columns()
    report = import_data(
        str(tmp_path / "bank"), lake=lake, columns=columns, renamed=data.renamed, start=None, quarantine=False
    )
    assert (report.files, report.rows, report.quarantined) == (20, 4_000, 0)

    bench = _trained(lake, columns, tmp_path / "opt")
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(bench.artifact())
    assert artifact.read(bench.artifact()).model.inputs == columns.inputs
    scores, names = tmp_path / "scores.parquet", ["--names", str(tmp_path / "data.yaml")]
    done = CliRunner().invoke(app, ["score", str(archive), str(files[0]), "--out", str(scores), *names])
    assert done.exit_code == 0, done.output
    assert pq.read_table(scores).num_rows == 200
    done = CliRunner().invoke(
        app, ["evaluate", str(archive), str(files[1].with_suffix(".csv")), "--label", "is_fraud", "--json", *names]
    )
    assert done.exit_code == 0, done.output
    measured = json.loads(done.stdout)
    assert (measured["rows"], measured["metrics"]["recall"]["value"] > 0.5) == (200, True)


def test_bank_traffic_is_captured_and_its_categories_are_monitored(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The served archive passes the smoke test; its captured text gives drift of the category and its unseen values."""
    columns = config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile).to_columns()
    CASE.write(tmp_path / "bank")
    import_data(str(tmp_path / "bank"), lake=lake, columns=columns, start=None, quarantine=False)
    archive = artifact.read(_trained(lake, columns, tmp_path / "opt").artifact())
    folder = unpack(tmp_path / "served", dict(archive.files))
    with served(
        folder, tmp_path / "ready", SAGEMAKER_SUBMIT_DIRECTORY="/opt/ml/model/code", FRAUDOPS_MODEL_VERSION="0007"
    ) as server_process:

        def invoke(body: str, kind: str) -> str:
            status, _, answer = server_process.invoke(body.encode(), {"Content-Type": kind})
            assert status == 200, answer
            return answer.decode()

        def score(
            name: str, inputs: Sequence[str], rows: Sequence[Sequence[Any]], *, inference_id: str
        ) -> list[endpoint.Answer]:
            body = json.dumps({"instances": [dict(zip(inputs, row, strict=True)) for row in rows]})
            return [endpoint.Answer(**answer) for answer in json.loads(invoke(body, JSON))["predictions"]]

        monkeypatch.setattr(endpoint, "score", score)
        smoke = smoke_test.check("fraud", archive.model, 7, token="order-1")
        assert (smoke.largest_difference <= 1e-9, smoke.rows > len(bank_case.CATEGORIES)) == (True, True)
        traffic = pa.concat_tables(
            [pq.read_table(path).select(archive.model.inputs) for path in TRAFFIC.write(tmp_path / "traffic")]
        )
        usual = _capture(lake, "usual", invoke, traffic, {})
        moved = _capture(lake, "moved", invoke, traffic, {"grocery": "cash", "fuel": "airline"})
    model = Model(
        record=record(7),
        reference=detector.Reference.of(archive.baseline),
        amount="txn_amount",
        rates=FraudRates.of(archive.baseline),
        scorer=archive.model,
    )
    limits = config.load_drift(SHIPPED).labels
    rules = dataclasses.replace(detector.Rules.from_dict(config.load_drift(SHIPPED).to_rules()), min_rows=500)
    found = {}
    for name in (usual, moved):
        summary, _, counts = traffic_aggregation.read(
            lake.bucket, name, (MARCH, APRIL), model=model, limits=limits, now=APRIL
        )
        assert (counts["traffic"]["rows"], counts["traffic"]["schema"]) == (1_000, [])
        verdict = detector.evaluate(model.reference, summary, None, rules, start=MARCH, end=APRIL)
        fired = {(item.kind, item.statistic) for item in verdict.findings if item.fired and item.subject == CATEGORY}
        feature = next(item for item in verdict.features if item.name == CATEGORY)
        found[name] = fired, feature.unseen
        assert "distributions.png" in drift_plots.draw(model.reference, verdict, summary, [verdict], rules)
    assert found[usual] == (set(), 0.0)
    fired, unseen = found[moved]
    assert {("data", "chi_square"), ("schema", "unseen")} <= fired
    assert unseen == pytest.approx(0.2, abs=0.05)


def _trained(lake: Lake, columns: Columns, folder: Path) -> Bench:
    """The three steps on what the lake holds."""
    training = changed(columns=columns)
    bench = Bench(folder).lay(dataclasses.replace(SETTINGS, training=training))
    (manifest,) = lake.imports()
    for file in manifest.files:
        target = bench.processing / "dataset" / file.key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3_objects.read(f"s3://{lake.bucket}/{file.key}"))
    bench.whole()
    return bench


def _capture(
    lake: Lake, name: str, invoke: Callable[[str, str], str], traffic: pa.Table, renamed: dict[str, str]
) -> str:
    """Sends transactions in requests of 100, CSV and JSON by turns, and stores the captured lines; returns `name`."""
    lines = []
    for place, first in enumerate(range(0, traffic.num_rows, 100)):
        rows = traffic.slice(first, 100).to_pylist()
        for row in rows:
            row["txn_amount"] = float(row["txn_amount"])
            row[CATEGORY] = renamed.get(row[CATEGORY], row[CATEGORY])
        body, kind = json.dumps({"instances": rows}), JSON
        if place % 2:
            body, kind = "\n".join(",".join(map(str, row.values())) for row in rows), "text/csv"
        at = MARCH.replace(hour=place % 24)
        lines.append(captured_lines.line((body, kind), (invoke(body, kind), JSON), at=at, inference_id=f"r{place}"))
    for line in lines:
        hour = json.loads(line)["eventMetadata"]["inferenceTime"][:13].replace("-", "/").replace("T", "/")
        s3_objects.write(
            f"s3://{lake.bucket}/capture/{name}/AllTraffic/{hour}/{uuid4()}.jsonl",
            line + b"\n",
            "application/jsonlines",
        )
    return name
