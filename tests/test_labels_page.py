"""docs/labels.md: its commands run on a platform, with the file that the page shows."""

from __future__ import annotations

import io
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml import config
from ml.aws import s3_objects
from ml.aws.labels import store
from ml.cli import app
from ml.ingest import label_rules
from tests.harness.platform import served

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/labels.md"


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_commands_of_the_page_run(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example file comes by each way that the page names; it has a channel, and so is no findings.csv."""
    env = served.on_moto(server, tmp_path, monkeypatch)
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-04-01T06:00:00Z")
    monkeypatch.chdir(env.root)
    example, without = blocks("text")[0], "event_id,label,known_at\n20260301-0009,1,2026-03-03\n"
    (env.root / "incoming").mkdir()
    for name, text in {"chargebacks.csv": example, "findings.csv": without, "incoming/more.csv": without}.items():
        (env.root / name).write_text(text)
    s3_objects.write("s3://lake/exports/a.csv", example.encode(), "text/csv")
    text = blocks("console")[0].replace("s3://BUCKET/", "s3://lake/")
    lines = [line.partition("#")[0] for line in text.splitlines()]
    assert len(lines) == 4
    printed = []
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "fraudops"
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        printed.append(" ".join(done.output.split()))
    assert "channels analyst 1, chargeback 2" in printed[0]
    assert "channels analyst 1 known" in printed[1]
    assert "1 labels imported, 1 frauds" in printed[2]
    assert "3 labels in the lake already, 2 frauds" in printed[2]
    assert "0 of 0 days with rows" in printed[3]
    assert "none of the last 60 days; rows that the endpoint scored count once the daily drift check" in printed[3]
    assert "; no scored rows are indexed yet): 2026" in printed[0]
    assert "if these are older, other ids were sent" in printed[0]
    assert {(each.rows, each.frauds) for each in store.deliveries("lake")} == {(3, 2), (1, 1)}


def test_mapping_of_the_page_reads_files_with_other_names(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block is added to data.yaml as the page says; a folder and a file of its names are imported."""
    env = served.on_moto(server, tmp_path, monkeypatch)
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-04-01T06:00:00Z")
    monkeypatch.chdir(env.root)
    with (env.root / config.DATA).open("a", encoding="utf-8") as file:
        file.write(blocks("yaml")[0])
    columns = config.load_data(env.root).labels
    assert list(columns.channel.values.values()) == list(store.CHANNELS)
    folder = env.root / "incoming/2026"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(
        "source;gemeldet am;is_fraud;Buchung\nfraud desk;1772460000;1;7\ndispute;1772460000;0;8\n"
    )
    (folder / "b.csv").write_text("Buchung,is_fraud,gemeldet am\n9,1,1772460000\n")
    done = CliRunner().invoke(app, ["labels", "import", "incoming", "incoming/*/*.csv"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "labels 3 imported, 0 in the lake already, 2 frauds" in " ".join(done.output.split())
    found = [
        row
        for each in store.deliveries("lake")
        for row in pq.read_table(io.BytesIO(s3_objects.read(f"s3://lake/{each.file.key}"))).to_pylist()
    ]
    at = datetime(2026, 3, 2, 14, tzinfo=UTC)
    assert sorted((row["event_id"], row["label"], row["known_at"], row["channel"]) for row in found) == [
        ("7", 1, at, "analyst"),
        ("8", 0, at, "chargeback"),
        ("9", 1, at, "chargeback"),
    ]


def test_columns_on_the_page_are_those_of_the_reader() -> None:
    """The table of the page names each column and channel."""
    text = PAGE.read_text("utf-8")
    for name in label_rules.EVENT_ID, label_rules.LABEL, label_rules.KNOWN_AT, label_rules.CHANNEL:
        assert f"| `{name}` |" in text
    assert all(f"`{name}`" in text for name in store.CHANNELS)
