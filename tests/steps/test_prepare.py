"""Tests of the Prepare step: every transaction is in one part, with its last label, or counted as left out."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model.training_settings import Split
from ml.steps import prepare
from ml.steps.job_runner import StepFailed
from tests.model.training_samples import SETTINGS, rows
from tests.steps.step_runs import START, TIMES, Bench, transactions

pytestmark = pytest.mark.container


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A machine with settings and no data."""
    return Bench(tmp_path).lay()


def run(bench: Bench, *arguments: str) -> int:
    """Runs the step in this process."""
    return prepare.main(bench.arguments("prepare", arguments))


def parts(bench: Bench) -> dict[str, pd.DataFrame]:
    """The three tables."""
    folder = bench.processing / "prepared"
    return {part: pq.read_table(folder / f"{part}.parquet").to_pandas() for part in ("train", "validation", "test")}


def summary(bench: Bench) -> dict[str, Any]:
    """summary.json."""
    document: dict[str, Any] = json.loads((bench.processing / "prepared" / "summary.json").read_text())
    return document


def failure_reason(bench: Bench, *arguments: str) -> str:
    """The step's failure reason, in SageMaker's file; the step has written nothing else."""
    assert run(bench, *arguments) == 1
    assert not (bench.processing / "prepared").exists()
    return (bench.root / "output" / "message").read_text()


def test_prepare_splits_by_time_without_resampling(bench: Bench) -> None:
    """Half, a fifth and the rest, oldest first; every row once, none added."""
    data = bench.data()
    assert run(bench) == 0
    made = parts(bench)
    assert [len(made[part]) for part in made] == pytest.approx([2000, 800, 1200], abs=5)
    whole = pd.concat(made.values())
    assert (
        whole["event_id"].tolist()
        == data.sort_by([("event_time", "ascending"), ("event_id", "ascending")])["event_id"].to_pylist()
    )
    assert whole["event_time"].is_monotonic_increasing
    assert made["train"]["event_time"].max() < made["validation"]["event_time"].min()
    assert made["validation"]["event_time"].max() < made["test"]["event_time"].min()
    windows = summary(bench)["windows"]
    assert {part: windows[part]["frauds"] for part in made} == {part: made[part]["label"].sum() for part in made}
    assert windows["train"]["start"].endswith("Z")


def replace_one_amount(path: Path) -> None:
    """Replaces a file by one of the same length with another amount in one row."""
    table = pq.read_table(path)
    other = [1e6, *table["Amount"].to_pylist()[1:]]
    pq.write_table(table.set_column(table.column_names.index("Amount"), "Amount", pa.array(other)), path)


def test_prepare_rejects_file_that_differs_from_listing(bench: Bench) -> None:
    """A replaced, missing or additional file is named with both digests, and no row of it is read."""
    bench.data()
    sealed = bench.seal()
    key = "raw/20260101-abc/transactions.parquet"
    path = bench.processing / "dataset" / key
    whole = path.read_bytes()
    expected = hashlib.sha256(whole).hexdigest()
    replace_one_amount(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert failure_reason(bench, "--data-sha256", sealed).startswith(
        f"{key}: expected sha256 {expected}, found {found}; "
    )
    path.write_bytes(b"no parquet at all")
    assert f"{key}: expected sha256 {expected}" in failure_reason(bench, "--data-sha256", sealed)
    path.unlink()
    assert f"{key}: expected sha256 {expected}, found no such file" in failure_reason(bench, "--data-sha256", sealed)
    path.write_bytes(whole)
    bench.labels("z/labels", ["e00001"], [1], [START])
    assert failure_reason(bench, "--data-sha256", sealed).startswith(
        "labels/z/labels.parquet: not in the listing of the training set"
    )
    (bench.processing / "dataset/labels/z/labels.parquet").unlink()
    assert run(bench, "--data-sha256", sealed) == 0


def test_prepare_rejects_another_listing(bench: Bench) -> None:
    """A rewritten listing, one of another data set, and one for another window are rejected."""
    bench.data()
    sealed = bench.seal()
    replace_one_amount(bench.processing / "dataset/raw/20260101-abc/transactions.parquet")
    forged = bench.seal()
    folder = bench.processing / "dataset/training-sets"
    (folder / forged).rename(folder / sealed)
    reason = failure_reason(bench, "--data-sha256", sealed)
    assert f"files.json: expected sha256 {sealed}, found {forged}: the listing was replaced" in reason
    assert "files.json is not among the files" in failure_reason(bench, "--data-sha256", "d" * 64)
    moment = "2026-01-01T12:00:00Z"
    reason = failure_reason(bench, "--data-sha256", bench.seal(moment), "--window-start", "2026-01-01T13:00:00Z")
    assert "is for the window 2026-01-01T12:00:00+00:00 to open, not 2026-01-01T13:00:00+00:00 to open" in reason
    assert run(bench, "--data-sha256", bench.seal(moment), "--window-start", "2026-01-01T14:00:00+02:00") == 0


def test_prepare_rejects_settings_with_another_digest(bench: Bench) -> None:
    """Settings must have the digest that the execution is recorded with."""
    bench.data()
    reason = failure_reason(bench, "--config-sha256", "e" * 64)
    assert f"settings.json: expected sha256 {'e' * 64} (ConfigSha256), found {SETTINGS.sha256}" in reason


def test_prepare_does_not_depend_on_order_of_files_and_rows(bench: Bench, tmp_path: Path) -> None:
    """Part files and shuffled rows give the same tables, byte for byte."""
    data = bench.data()
    other = Bench(tmp_path / "other").lay()
    order = np.random.default_rng(0).permutation(len(data))
    other.transactions("z/part-1", data.take(order[:1500]))
    other.transactions("a/part-0", data.take(order[1500:]))
    labels = pq.read_table(bench.processing / "dataset" / "labels" / "20260101-abc" / "labels.parquet")
    target = other.processing / "dataset" / "labels" / "b" / "labels.parquet"
    target.parent.mkdir(parents=True)
    pq.write_table(labels.take(order), target)
    assert run(bench) == run(other) == 0
    for name in ("train.parquet", "validation.parquet", "test.parquet", "summary.json"):
        assert (bench.processing / "prepared" / name).read_bytes() == (
            other.processing / "prepared" / name
        ).read_bytes()


def test_last_known_label_wins(bench: Bench) -> None:
    """A correction replaces an earlier label in any file; with equal times fraud wins."""
    X, y = rows(1000, 0.1)
    table = transactions([f"e{i:04d}" for i in range(1000)], X)
    bench.transactions("a/transactions", table)
    ids, known = table["event_id"].to_pylist(), [START] * 1000
    bench.labels("b/labels", ids, y.tolist(), known)
    honest = [i for i in range(1000) if y[i] == 0]
    bench.labels("a/labels", [ids[i] for i in honest[:2]], [1, 1], [START + timedelta(days=40), START - timedelta(1)])
    bench.labels("c/labels", [ids[honest[2]]], [1], [START])
    assert run(bench) == 0
    found = pd.concat(parts(bench).values()).set_index("event_id")["label"]
    assert found[ids[honest[0]]] == 1
    assert found[ids[honest[1]]] == 0
    assert found[ids[honest[2]]] == 1
    assert found.sum() == y.sum() + 2


def test_rows_that_only_analysts_labelled_are_left_out(bench: Bench) -> None:
    """Findings on alerts are no sample of all rows; where a chargeback label exists, a fraud in either is a fraud."""
    X, y = rows(1000, 0.1)
    table = transactions([f"e{i:04d}" for i in range(1000)], X)
    bench.transactions("a/transactions", table)
    ids = table["event_id"].to_pylist()
    bench.labels("a/labels", ids[:900], y.tolist()[:900], [START] * 900, channel="chargeback")
    honest, fraud = (next(i for i in range(900) if y[i] == label) for label in (0, 1))
    alerts = [ids[honest], ids[fraud], *ids[900:]]
    bench.labels("b/labels", alerts, [1, 0] + [1] * 100, [START + timedelta(days=9)] * 102, channel="analyst")
    assert run(bench) == 0
    counts = summary(bench)["rows"]
    assert (counts["used"], counts["unlabelled"]) == (900, 100)
    found = pd.concat(parts(bench).values()).set_index("event_id")["label"]
    assert (found[ids[honest]], found[ids[fraud]], found.sum()) == (1, 1, y[:900].sum() + 1)


def test_unknown_channel_is_rejected(bench: Bench) -> None:
    """A misspelt channel would move labels between the two."""
    bench.data(1000)
    bench.labels("b/labels", ["e00001"], [1], [START], channel="chargebacks")
    assert "channels must be analyst or chargeback" in failure_reason(bench)


def test_unlabelled_rows_are_left_out_and_counted(bench: Bench) -> None:
    """A missing label is not the label 0."""
    X, y = rows(1000, 0.1)
    table = transactions([f"e{i:04d}" for i in range(1000)], X)
    bench.transactions("a/transactions", table)
    bench.labels("a/labels", table["event_id"].to_pylist()[:900], y.tolist()[:900], [START] * 900)
    assert run(bench) == 0
    counts = summary(bench)["rows"]
    assert (counts["used"], counts["unlabelled"], counts["read"]) == (900, 100, 1000)


def test_window_includes_start_and_excludes_end(bench: Bench) -> None:
    """Rows outside are counted; two adjacent windows lose no row."""
    data = bench.data()
    moment = data.sort_by("event_time")["event_time"][1000].as_py()
    text = moment.isoformat()
    assert run(bench, "--window-end", text) == 0
    before = summary(bench)["rows"]
    assert run(bench, "--window-start", text) == 0
    after = summary(bench)["rows"]
    assert before["used"] + after["used"] == 4000
    assert before["outside_window"] == after["used"]
    first = parts(bench)["train"]["event_time"].min()
    assert first == pd.Timestamp(moment)


def test_duplicate_rows_are_counted_and_kept(bench: Bench) -> None:
    """Two transactions with the same values are two transactions."""
    X, y = rows(1000, 0.1)
    twice, labels = pd.concat([X, X.iloc[:30]]), [*y.tolist(), *y[:30].tolist()]
    ids = [f"e{i:04d}" for i in range(1030)]
    bench.transactions("a/transactions", transactions(ids, twice))
    bench.labels("a/labels", ids, labels, [START] * 1030)
    assert run(bench) == 0
    assert summary(bench)["rows"]["duplicates"] == 30
    assert summary(bench)["rows"]["used"] == 1030


def test_repeated_event_id_is_used_once(bench: Bench) -> None:
    """The same id with the same values in two imports is one transaction; it is counted."""
    data = bench.data()
    bench.transactions("20260102-def/transactions", data.slice(0, 10))
    assert run(bench) == 0
    counts = summary(bench)["rows"]
    assert (counts["read"], counts["repeated_ids"], counts["used"]) == (4010, 10, 4000)


def test_event_id_of_two_transactions_is_rejected(bench: Bench) -> None:
    """The label could belong to either."""
    data = bench.data()
    changed = data.slice(7, 1).set_column(2, "Time", pa.array([1.0]))
    bench.transactions("20260102-def/transactions", changed)
    assert failure_reason(bench) == "event_id 'e00007' occurs in two transactions that differ in Time"


def test_prepare_keeps_further_columns_of_all_files(bench: Bench) -> None:
    """A champion with other inputs can be scored; text and columns that some files lack are dropped."""
    X, y = rows(1000, 0.1)
    ids = [f"e{i:04d}" for i in range(1000)]
    table = transactions(ids, X.assign(V9=1.5)).append_column("merchant", pa.array(["m"] * 1000))
    bench.transactions("a/one", table.slice(0, 500).append_column("rare", pa.array([1.0] * 500)))
    bench.transactions("a/two", table.slice(500))
    bench.labels("a/labels", ids, y.tolist(), [START] * 1000)
    assert run(bench) == 0
    names = ["event_id", "event_time", "label", "Time", "V1", "V2", "V3", "Amount", "V9"]
    assert parts(bench)["test"].columns.tolist() == names


def test_part_without_fraud_is_rejected(bench: Bench) -> None:
    """Such a part allows no threshold and no verdict; the message has the part and its window."""
    X, y = rows(1000, 0.1)
    y[500:700] = 0
    ids = [f"e{i:04d}" for i in range(1000)]
    bench.transactions("a/transactions", transactions(ids, X))
    bench.labels("a/labels", ids, y.tolist(), [START] * 1000)
    reason = failure_reason(bench)
    assert reason.startswith("the validation part has no fraud among its 200 rows from 2026-01-0")
    assert "model-config/training/model.yaml" in reason


def test_rows_of_one_time_cannot_be_split(bench: Bench) -> None:
    """If all rows have the same time there is no earlier part."""
    X, y = rows(1000, 0.1)
    ids = [f"e{i:04d}" for i in range(1000)]
    bench.transactions("a/transactions", transactions(ids, X, [0.0] * 1000))
    bench.labels("a/labels", ids, y.tolist(), [START] * 1000)
    assert failure_reason(bench).startswith("the train part would be empty: 1000 rows from 2026-01-01T00:00:00Z")


@pytest.mark.parametrize("kind", ["adapt", "threshold"])
def test_other_kinds_than_fit_have_no_validation_part(bench: Bench, kind: str) -> None:
    """Its share belongs to the training rows; the test rows are those of a fit."""
    bench.data()
    assert run(bench) == 0
    fitted = summary(bench)["windows"]
    shutil.rmtree(bench.processing / "prepared")
    assert run(bench, "--kind", kind) == 0
    found = summary(bench)
    assert (found["kind"], set(found["windows"])) == (kind, {"train", "test"})
    assert found["windows"]["test"] == fitted["test"]
    assert found["windows"]["train"]["rows"] == fitted["train"]["rows"] + fitted["validation"]["rows"]
    assert not (bench.processing / "prepared" / "validation.parquet").exists()


def test_only_a_threshold_needs_no_fraud_to_start_from(bench: Bench) -> None:
    """A threshold follows from legitimate rows; an adaptation has a part to fit to frauds."""
    X, _ = rows(1000, 0.1)
    ids = [f"e{i:04d}" for i in range(1000)]
    bench.transactions("a/transactions", transactions(ids, X))
    bench.labels("a/labels", ids, [0] * 900 + [1] * 100, [START] * 1000)
    assert "the train part has no fraud among its 700 rows" in failure_reason(bench, "--kind", "adapt")
    assert run(bench, "--kind", "threshold") == 0


def test_duplicates_across_parts_are_counted(bench: Bench) -> None:
    """A copy in a later part counts as crossing; a copy in its own part, or with another label, does not."""
    X, y = rows(1000, 0.1)
    columns = list(X.columns)
    values = X[columns].to_numpy()
    values[[1, 600, 950, 951]] = values[0]  # a copy in train, one in validation, and two in test
    y[[0, 1, 600, 950]], y[951] = 0, 1
    ids = [f"e{i:04d}" for i in range(1000)]
    bench.transactions("a/transactions", transactions(ids, pd.DataFrame(values, columns=columns), list(range(1000))))
    bench.labels("a/labels", ids, y.tolist(), [START] * 1000)
    assert run(bench) == 0
    counts = summary(bench)["rows"]
    assert (counts["duplicates"], counts["duplicates_across_parts"]) == (3, 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_split_keeps_equal_times_together(seconds: list[int], train: float, validation: float) -> None:
    """The parts have every row, each time in one of them, or the split is rejected."""
    times = pa.array([START + timedelta(seconds=s) for s in sorted(seconds)], TIMES)
    moments = times.cast(pa.int64()).to_numpy()
    try:
        shares = Split(train=train, validation=validation * (1 - train), test=0.0)
        made = prepare.split(moments, prepare.part_shares("fit", shares))
    except StepFailed:
        return
    assert [place for first, last in made.values() for place in range(first, last)] == list(range(len(seconds)))
    found = [set(moments[first:last].tolist()) for first, last in made.values()]
    assert all(found)
    assert not found[0] & found[1]
    assert not found[1] & found[2]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.drop_columns(["V2"]), "raw/a/transactions.parquet: column V2 is missing"),
        (lambda t: t.drop_columns(["event_id"]), "column event_id is missing"),
        (lambda t: t.set_column(3, "V1", pa.array([None] + [1.0] * 49)), "column V1: 1 of 50 values are missing"),
        (lambda t: t.set_column(3, "V1", pa.array([float("nan")] * 2 + [1.0] * 48)), "column V1: 2 of 50 values"),
        (lambda t: t.set_column(3, "V1", pa.array(["x"] * 50)), "another type than the lake's"),
        (lambda t: t.set_column(0, "event_id", pa.array([None] + ["b"] * 49)), "column event_id: 1 of 50 values"),
    ],
)
def test_prepare_rejects_transactions_that_break_the_contract(bench: Bench, change: Any, expected: str) -> None:
    """The reason names the file or column, and counts."""
    X, y = rows(50)
    table = transactions([f"e{i}" for i in range(50)], X)
    bench.transactions("a/transactions", change(table))
    bench.labels("a/labels", table["event_id"].to_pylist(), y.tolist(), [START] * 50)
    assert expected in failure_reason(bench)


def test_prepare_rejects_invalid_and_missing_labels(bench: Bench) -> None:
    """A label of 2, a missing column, and no label file are rejected."""
    X, _ = rows(50)
    table = transactions([f"e{i}" for i in range(50)], X)
    bench.transactions("a/transactions", table)
    assert "labels: no Parquet file" in failure_reason(bench)
    bench.labels("a/labels", ["e1"], [2], [START])
    assert "labels must be 0 or 1" in failure_reason(bench)
    bench.labels("a/labels", ["other"], [1], [START])
    assert failure_reason(bench) == "none of the 50 transactions in the window has a label yet"


def test_prepare_names_missing_input(bench: Bench) -> None:
    """No data, an empty window, a time without an offset."""
    assert "raw: no Parquet file; import data with `fraudops data import`" in failure_reason(bench)
    bench.data(200)
    assert "no transaction is in the window from 2030-01-01T00:00:00Z to the last (200 are outside)" in failure_reason(
        bench, "--window-start", "2030-01-01T00:00:00Z"
    )
    assert "the window end must be a time with an offset" in failure_reason(bench, "--window-end", "2030-01-01")
