"""`score` and `evaluate`: offline, for any data file, with complete output or none."""

from __future__ import annotations

import gzip
import json
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.commands.score_and_evaluate import ScoreReport, evaluate, score
from ml.errors import ArtifactError, DataError, UsageError
from ml.model import metrics
from ml.model.scorer import Scorer
from tests.model.scoring_samples import CATEGORIES, DOCUMENT, INPUTS, archive, changed, files, rows

NO_NETWORK = "a command that works offline opened a connection"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that opens a connection."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail(NO_NETWORK)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An archive on disk."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(archive())
    return path


def table(count: int = 200, *, label: bool = True, ids: bool = False) -> pd.DataFrame:
    """Rows in Kaggle's layout for the sample model."""
    frame = pd.DataFrame(rows(count, seed=5), columns=list(INPUTS))
    if label:
        frame["Class"] = (np.arange(count) % 7 == 0).astype(int)
    if ids:
        frame.insert(0, "event_id", [f"e-{row}" for row in range(count)])
    return frame


def save(frame: pd.DataFrame, path: Path) -> Path:
    """Writes `frame` in the format of the file's suffix."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    else:
        frame.to_csv(path, index=False)
    return path


def load(path: Path) -> pd.DataFrame:
    """Reads what was written to `path`."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_categories_are_scored_and_unknown_values_counted(tmp_path: Path, name: str) -> None:
    """A text column has its levels' coefficients; rows with a value that the model does not know are counted."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(archive(CATEGORIES))
    shops = ["food", " crypto ", "", "never seen", "also new"]
    frame = table(5).assign(shop=shops)
    report = score(path, save(frame, tmp_path / name), tmp_path / "scores.parquet")
    assert report.other_values == {"shop": 2}
    scorer = Scorer.from_json(json.dumps(CATEGORIES))
    expected = scorer.score(scorer.matrix(frame.assign(shop=[shop.strip() for shop in shops])))
    assert load(tmp_path / "scores.parquet")["score"].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    measured = evaluate(path, save(table(40).assign(shop="food"), tmp_path / f"labelled-{name}"), label="Class")
    assert measured["rows"] == 40


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.csv.gz"])
@pytest.mark.parametrize("out", ["scores.csv", "scores.parquet"])
@pytest.mark.parametrize("label", [True, False])
def test_every_row_is_scored_in_its_order(tmp_path: Path, model: Path, name: str, out: str, label: bool) -> None:
    """CSV, gzip and Parquet, with or without labels: rows are numbered from 1 and have the scorer's scores."""
    frame = table(label=label)
    report = score(model, save(frame, tmp_path / name), tmp_path / out)
    scorer = Scorer.from_json(json.dumps(DOCUMENT))
    expected = scorer.score(frame[list(INPUTS)].to_numpy())
    written = load(tmp_path / out)
    assert list(written.columns) == ["row", "score", "decision"]
    assert written["row"].tolist() == list(range(1, 201))
    np.testing.assert_allclose(written["score"], expected, rtol=0, atol=1e-12)
    assert written["decision"].tolist() == (expected >= 0.5).astype(int).tolist()
    assert isinstance(report, ScoreReport)
    assert (report.rows, report.alerts) == (200, int((expected >= 0.5).sum()))
    assert (report.model_version, report.threshold) == (scorer.version, 0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["model.tar.gz", name, out])


def test_calibrated_adds_the_fraud_rate_beside_the_score(tmp_path: Path, model: Path) -> None:
    """The other columns are as without it."""
    frame = table()
    data = save(frame, tmp_path / "d.csv")
    score(model, data, tmp_path / "plain.parquet")
    score(model, data, tmp_path / "more.parquet", calibrated=True)
    plain, more = load(tmp_path / "plain.parquet"), load(tmp_path / "more.parquet")
    assert list(more.columns) == ["row", "score", "decision", "fraud_rate"]
    pd.testing.assert_frame_equal(more[list(plain.columns)], plain)
    expected = Scorer.from_json(json.dumps(DOCUMENT)).calibrated(frame[list(INPUTS)].to_numpy())
    np.testing.assert_allclose(more["fraud_rate"], expected, rtol=0, atol=1e-12)


def test_event_ids_name_the_rows(tmp_path: Path, model: Path) -> None:
    """If the file has event_id, the output has it instead of a row number."""
    score(model, save(table(3, ids=True), tmp_path / "d.csv"), tmp_path / "o.csv")
    written = load(tmp_path / "o.csv")
    assert list(written.columns) == ["event_id", "score", "decision"]
    assert written["event_id"].tolist() == ["e-0", "e-1", "e-2"]


def test_missing_time_is_computed_from_event_time(tmp_path: Path, model: Path) -> None:
    """Time counts seconds from the first midnight."""
    frame = table(50)
    first = pd.Timestamp("2026-03-01T00:00:00Z")
    frame["Time"] = np.floor(frame["Time"])
    frame.loc[0, "Time"] = 5.0
    dated = frame.drop(columns="Time").assign(event_time=first + pd.to_timedelta(frame["Time"], unit="s"))
    score(model, save(frame, tmp_path / "a.csv"), tmp_path / "a.out.csv")
    score(model, save(dated, tmp_path / "b.parquet"), tmp_path / "b.out.csv")
    assert (tmp_path / "a.out.csv").read_text() == (tmp_path / "b.out.csv").read_text()


@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (4, "1,abc,3,4{}", "line 4, column V1: 'abc' must be a number"),
        (3, "1,2,3,-4{}", "line 3, column Amount: '-4' must be 0 or more"),
        (3, "1,2,nan,4{}", "line 3, column V2: 'nan' must be a finite number"),
        (5, "1,2", "line 5: '1,2' must have {} fields (has 2)"),
        (1, "Time,V1,V3,Amount{}", "line 1: missing 'V2'"),
        (1, "Time;V1;V2;Amount", "must have 4 fields (has 1)"),
    ],
)
def test_row_that_breaks_the_contract_is_refused(  # noqa: PLR0917 - one argument a parameter
    tmp_path: Path, model: Path, label: bool, line: int, text: str, message: str
) -> None:
    """The error names file, line, column and value; nothing is written, with or without labels."""
    path = save(table(10, label=label), tmp_path / "data.csv")
    lines = path.read_text().splitlines()
    lines[line - 1] = text.format((",Class" if line == 1 else ",0") if label else "")
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=re.escape(message.format(5 if label else 4))) as caught:
        score(model, path, tmp_path / "out.csv")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"Time,V1,V2,Amount\n", b"\x1f\x8b\x08", b"PAR1", b"\xff\xfe\0", b"PK\x03\x04"]
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, model: Path, content: bytes) -> None:
    """Empty, header only, truncated gzip, broken Parquet, UTF-16 and zip are DataErrors of both commands."""
    path = tmp_path / "data.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        score(model, path, tmp_path / "out.csv")
    with pytest.raises(DataError, match=re.escape(str(path))):
        evaluate(model, path)


def test_s3_path_is_refused(tmp_path: Path, model: Path) -> None:
    """The error says to fetch the file first; a missing local file is a plain error."""
    for run in (lambda data: score(model, data, tmp_path / "o.csv"), lambda data: evaluate(model, data)):
        with pytest.raises(DataError, match="works offline; fetch the file"):
            run(Path("s3://lake/a.csv"))
        with pytest.raises(DataError, match="no such file") as caught:
            run(tmp_path / "absent.csv")
        assert "s3://" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path, model: Path) -> None:
    """A missing model, data file or output folder is one line that names it."""
    data = save(table(3), tmp_path / "data.csv")
    with pytest.raises(ArtifactError, match=r"absent\.tar\.gz: no such file"):
        score(tmp_path / "absent.tar.gz", data, tmp_path / "o.csv")
    with pytest.raises(ArtifactError, match="cannot be read"):
        score(tmp_path, data, tmp_path / "o.csv")
    with pytest.raises(DataError, match=r"absent\.csv: no such file"):
        score(model, tmp_path / "absent.csv", tmp_path / "o.csv")
    with pytest.raises(UsageError, match="--out cannot be written, there is no folder"):
        score(model, data, tmp_path / "absent/o.csv")
    with pytest.raises(UsageError, match=r"--out must end in \.csv or \.parquet"):
        score(model, data, tmp_path / "o.json")
    with pytest.raises(UsageError, match="--out is the file that is to be scored"):
        score(model, data, data)


def test_unwritable_output_leaves_no_file(tmp_path: Path, model: Path) -> None:
    """If a folder is at the output's path, the error says so and no partial file remains."""
    (tmp_path / "o.csv").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        score(model, save(table(3), tmp_path / "d.csv"), tmp_path / "o.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "model.tar.gz", "o.csv"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive()[:-5], "gzip is truncated"),
        (archive(changed("schema", 1)), "schema must be 3 or 4.*schema 1 had no parts"),
        (b"not an archive", "not a readable gzip"),
    ],
)
def test_untrusted_archive_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """A damaged or foreign archive is an ArtifactError of both commands, with the archive's name and the reason."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(data)
    file = save(table(3), tmp_path / "d.csv")
    for run in (lambda: score(path, file, tmp_path / "o.csv"), lambda: evaluate(path, file)):
        with pytest.raises(ArtifactError, match=message) as caught:
            run()
        assert str(path) in str(caught.value)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("label", ["Class", "is_fraud"])
def test_evaluation_uses_the_artifacts_threshold(tmp_path: Path, model: Path, label: str) -> None:
    """Figures, intervals and counts are those of ml.model.metrics for the artifact's decisions, as plain JSON."""
    frame = table(500).rename(columns={"Class": label})
    found = evaluate(model, save(frame, tmp_path / "d.parquet"))
    scorer = Scorer.from_json(json.dumps(DOCUMENT))
    scores = scorer.score(frame[list(INPUTS)].to_numpy())
    labels = frame[label].to_numpy()
    expected = metrics.measure(labels, scores, scorer.decide(scores), alert_budget=0.01, seed=0)
    assert found["metrics"] == {name: figure.to_dict() for name, figure in expected.items()}
    assert found["metrics"]["recall"]["of"] == found["positives"] == int(labels.sum())
    assert sum(found["confusion"].values()) == found["rows"] == 500
    assert found["threshold"] == DOCUMENT["threshold"]
    assert found["data"]["label"] == label
    assert evaluate(model, tmp_path / "d.parquet") == found
    json.dumps(found, allow_nan=False)


def test_evaluation_gives_reasons_for_undefined_metrics(tmp_path: Path, model: Path) -> None:
    """Without frauds recall is null with a reason; without labels there is no evaluation."""
    frame = table(20)
    frame["Class"] = 0
    found = evaluate(model, save(frame, tmp_path / "d.csv"))
    assert found["metrics"]["recall"]["value"] is None
    assert "no frauds" in found["metrics"]["recall"]["reason"]
    with pytest.raises(DataError, match="has no label column"):
        evaluate(model, save(table(20, label=False), tmp_path / "e.csv"))
    with pytest.raises(DataError, match="must be 0 or 1"):
        evaluate(model, save(table(20).assign(Class=0.5), tmp_path / "f.csv"))


def test_alert_budget_defaults_to_that_of_the_model(tmp_path: Path) -> None:
    """A model whose threshold uses an alert budget is evaluated at that budget; the caller may set another."""
    threshold: dict[str, Any] = {"policy": "alert_budget", "value": 0.25, "score": 0.4}
    path = tmp_path / "model.tar.gz"
    path.write_bytes(archive(changed("threshold", threshold)))
    data = save(table(100), tmp_path / "d.csv")
    assert evaluate(path, data)["alert_budget"] == 0.25
    assert evaluate(path, data, alert_budget=0.02)["alert_budget"] == 0.02


def test_model_without_time_takes_files_without_it(tmp_path: Path) -> None:
    """The columns of the file are those of the artifact, not of this project."""
    document = {
        **DOCUMENT,
        "inputs": ["age", "betrag"],
        "time": None,
        "amount": "betrag",
        "parts": [
            {
                "pattern": "known",
                "features": [
                    {
                        "name": "age",
                        "transform": "identity",
                        "limits": None,
                        "mean": 40.0,
                        "scale": 10.0,
                        "coefficient": 1.0,
                    }
                ],
                "bins": [],
                "intercept": -1.0,
                "recalibration": None,
            }
        ],
    }
    path = tmp_path / "model.tar.gz"
    from ml.model import artifact

    path.write_bytes(artifact.pack(files(document)))
    moments = pd.date_range("2026-01-01", periods=3, tz="UTC")
    frame = pd.DataFrame({"event_time": moments, "age": [20.0, 40, 60], "betrag": [1.0, 2, 3]})
    score(path, save(frame, tmp_path / "d.csv"), tmp_path / "o.csv")
    assert load(tmp_path / "o.csv")["score"].is_monotonic_increasing
