"""A simulated year on the emulators: commits, workflow runs, pull requests, merges and deployments."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from local_aws.authorization import usage

from ml import config
from ml.commands import data_profile
from ml.errors import ConfigError, FraudopsError, Refused
from ml.playground import card_processor, workflow_watch
from ml.playground import simulated_year as simulation
from ml.playground.card_processor import CardProcessor
from ml.playground.scripted_reviewer import LOGIN
from ml.simulate import scenario
from ml.simulate.scenario import Scenario
from ml.simulate.year_traffic import Year
from tests.harness import bank_case
from tests.harness.bank_case import BankCase
from tests.harness.platform import permissions
from tests.harness.workflows import command_line
from tests.site.links import broken

ROOT = Path(__file__).resolve().parents[2]


def quick() -> dict[str, Any]:
    """A year whose concept drifts in month 1 and whose labels arrive within three days."""
    document: dict[str, Any] = yaml.safe_load((scenario.FOLDER / "concept-only.yaml").read_text())
    return document | {
        "history": {"rows": 60_000, "months": 3},
        "concept_drift": [
            {"course": {"kind": "sudden", "from_month": 1}, "top_share": 0.1, "flipped_share": 1.0},
        ],
        "labels": {
            "typical_delay_days": 1.0,
            "longest_delay_days": 3,
            "frauds_first_legitimate": 0.0,
            "legitimate_first_fraud": 0.0,
        },
        "outages": [{"month": 2, "first_day": 15, "days": 2}],
    }


def test_blocks_have_every_row_of_the_month_in_order_of_time() -> None:
    """A block is sent on the day of its rows and not after the time of any."""
    year = Year(Scenario.model_validate(quick()), seed=1, rows=2_000)
    cards = CardProcessor(year, bucket="none", endpoint="none")
    blocks = list(cards.blocks(1))
    assert [block.moment for block in blocks] == sorted(block.moment for block in blocks)
    assert sum(block.last - block.first for block in blocks) == 2_000
    for block in blocks:
        times = block.day.transactions["event_time"].slice(block.first, block.last - block.first).to_pylist()
        assert block.moment.date() == times[0].date()
        assert all(block.moment <= time < block.moment + card_processor._BLOCK for time in times)
    gaps = np.diff([block.moment.timestamp() for block in blocks]) / 3_600
    assert gaps.max() <= 12


@pytest.mark.parametrize(
    ("file", "verdict", "expected"),
    [("train.yml", "failed", True), ("train.yml", "", False), ("deploy.yml", "failed", False)],
)
def test_gate_failed_is_true_for_failed_gates_of_train_only(file: str, verdict: str, expected: bool) -> None:
    """Other failures of train.yml and failures of other workflows are no gate failures."""
    job = SimpleNamespace(outputs={"train": {"verdict": verdict} if verdict else {}})
    run = SimpleNamespace(file=f".github/workflows/{file}", jobs=[job])
    assert workflow_watch.gate_failed(cast("Any", run)) is expected


@pytest.mark.parametrize(("months", "name", "error"), [(0, "both", FraudopsError), (1, "boths", ConfigError)])
def test_invalid_arguments_are_refused_before_anything_starts(
    tmp_path: Path, months: int, name: str, error: type[Exception]
) -> None:
    """An invalid argument creates no folder and starts no emulator."""
    with pytest.raises(error):
        simulation.run(ROOT, out=tmp_path / "year", scenario_name=name, months=months)
    assert not (tmp_path / "year").exists()


def test_folder_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    """It is refused and unchanged."""
    (tmp_path / "thesis.txt").write_text("two years")
    with pytest.raises(Refused, match="--out"):
        simulation.run(ROOT, out=tmp_path, months=1)
    assert (tmp_path / "thesis.txt").exists()


def bank_profile(folder: Path) -> dict[str, Any]:
    """The profile of the bank's files: eight numbers, an amount, a text column, a clock in epoch seconds."""
    columns = config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile).to_columns()
    names = [*columns.inputs, columns.label]
    files = BankCase(rows=40_000, days=40).write(folder)
    table = pa.concat_tables([pq.read_table(path, columns=names).select(names) for path in files])
    moments = pc.multiply(table["epoch_seconds"], 1_000_000).cast(pa.timestamp("us", "UTC"))
    numbers = (*columns.features, "txn_amount")
    rows = {name: pc.cast(table[name], pa.float64()) for name in numbers}
    rows |= {name: table[name] for name in columns.categories}
    labelled = pa.table({"event_time": moments, **rows, "label": table["is_fraud"]})
    return data_profile.document(labelled, columns, floor=10)


@pytest.mark.long
@pytest.mark.slow  # the longest of all: it starts first
@pytest.mark.timeout(3600)
def test_a_banks_model_is_retrained_after_drift(tmp_path: Path) -> None:
    """`simulate --profile` plays the loop in the bank's columns: trained, served, drifted and retrained.

    Only data.yaml differs from the template. Within days there are an alarm, a request, a run, a pull request, a merge
    and a deployment; recall recovers; no call is denied. With --json standard output is the report.
    """
    repository, out = tmp_path / "project", tmp_path / "year"
    command_line.clone(repository)
    (tmp_path / "profile.json").write_text(json.dumps(bank_profile(tmp_path / "bank")))
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(quick()))
    options = ("--profile", tmp_path / "profile.json", "--scenario", tmp_path / "quick.yaml", "--out", out)
    done = command_line.play(repository, "simulate", "--months", "2", "--rows", "12000", "--json", *options)
    document = json.loads((out / "report.json").read_text())
    assert json.loads(done.stdout) == document
    check_model(out)
    check_decisions(document)
    check_pages(document, out)
    left = [
        process for process in psutil.process_iter(["cmdline"]) if str(out) in " ".join(process.info["cmdline"] or [])
    ]
    assert left == []
    assert permissions.denied(usage.report(out / "cloud")) == {}


def check_model(out: Path) -> None:
    """The archive is of the bank's columns, adapted to the new frauds."""
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        model = json.load(archive.extractfile("model.json") or pytest.fail("the archive has no model.json"))
    assert model["time"] == {"column": "epoch_seconds", "unit": "epoch_seconds", "zone": "UTC"}
    assert (model["amount"], model["inputs"][-1]) == ("txn_amount", "merchant_category")
    assert [part["pattern"] for part in model["parts"]] == ["known", "new"]


def check_decisions(document: dict[str, Any]) -> None:
    """What was decided, when and by whom, and what it did for recall."""
    request, retrain = document["requests"][0], document["retrains"][0]
    assert (request["cause"], request["month"], request["fate"]) == ("concept-drift", 1, "approved as 0002")
    assert request["window"].startswith("2026-01-0")
    assert (retrain["verdict"], retrain["approval"]) == ("passed", 2)
    assert [(item["approval"], item["approver"]) for item in document["deployments"][:2]] == [
        (1, f"{LOGIN}, a script"),
        (2, f"{LOGIN}, a script"),
    ]
    assert 1 <= document["days_to_alarm"] <= 9
    recall, control = (document[side]["recall"] for side in ("with_retraining", "without_retraining"))
    assert max(control) < 0.40
    assert min(recall[1:]) > 0.80
    assert [month["verdict"].split(", ")[0] == "no data" for month in document["months"]] == [False, True]
    checks = [item for item in document["decisions"] if item["kind"] == "check"]
    assert document["looks"] == 31 + 28
    assert len(checks) == document["check_runs"] < 15
    begins = ("2026-01-02", "2026-02-01", "2026-03-01", request["at"][:10])
    assert {begin for begin in begins if not any(item["at"].startswith(begin) for item in checks)} == set()
    # Missing traffic is reported on the second day of the outage, and its issue is closed when traffic is back.
    assert {"2026-02-16", "2026-02-17"} <= {item["at"][:10] for item in checks}
    issues = [item for item in document["decisions"] if item["kind"] == "issue"]
    missing = [item for item in issues if item["decision"].startswith("No traffic at ")]
    assert [item["evidence"]["at the end of the year"] for item in missing] == ["closed"], issues
    assert {"request", "gate", "merge", "deployment"} <= {item["kind"] for item in document["decisions"]}


def check_pages(document: dict[str, Any], out: Path) -> None:
    """Every link of the report and of the site leads somewhere, and every commit is in the repository's history."""
    for item in (*document["requests"], *document["deployments"]):
        assert (out / item["link"]).is_file(), item["link"]
    retrain = document["retrains"][0]
    for link in (retrain["run_link"], retrain["pull_link"], document["repository_link"]):
        assert (out / link).is_file(), link
    assert broken(out / "site") == []
    assert (out / "site/drift.html").read_text("utf-8").count('href="drift/2026') >= 2
    assert "serves</h1>" in (out / "site/index.html").read_text("utf-8")
    assert (out / "site/models/0002.html").is_file()
    assert (out / "site/year.html").is_file()
    log = subprocess.run(
        ["git", "log", "--format=%H", "main"], cwd=out / "repository", capture_output=True, text=True, check=True
    ).stdout.split()
    assert {item["commit"] for item in (*document["requests"], *document["deployments"])} <= set(log)
