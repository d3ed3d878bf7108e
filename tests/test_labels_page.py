"""docs/labels.md: its commands run on a platform, with the file that the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml.aws import s3_objects
from ml.aws.labels import store
from ml.cli import app
from ml.ingest import label_file
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


def test_columns_on_the_page_are_those_of_the_reader() -> None:
    """The table of the page names each column and channel."""
    text = PAGE.read_text("utf-8")
    for name in (*label_file.REQUIRED, label_file.CHANNEL):
        assert f"| `{name}` |" in text
    assert all(f"`{name}`" in text for name in store.CHANNELS)
