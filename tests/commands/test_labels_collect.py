"""`fraudops labels collect` imports the inbox, moves what it imported, and reports what it refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.aws import s3_objects
from ml.aws.labels import store
from ml.aws.session import client
from ml.commands import labels_collect
from ml.commands.labels_collect import Collected
from ml.errors import DataError
from ml.ingest import quarantine
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform

GOOD = "event_id,label,known_at,channel\na,0,2026-03-20T06:00:00Z,chargeback\nb,1,2026-03-03T06:00:00Z,analyst\n"
BAD = "event_id,label,known_at\na|@b,7,2026-03-01\n"


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """An empty platform, in a workflow of 1 April 2026."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-04-01T06:00:00Z")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    yield served.on_moto(server, tmp_path, monkeypatch)


def put(name: str, text: str) -> None:
    """Puts a file into the inbox."""
    s3_objects.write(f"s3://lake/labels-inbox/{name}", text.encode(), "text/csv")


def inbox() -> list[str]:
    """The keys below the inbox, without its prefix."""
    return [key.removeprefix("labels-inbox/") for key in s3_objects.keys("lake", "labels-inbox/")]


def collect(env: ServedPlatform) -> Collected:
    """Collects the inbox of the platform."""
    return labels_collect.collect(env.root)


def test_imported_file_is_moved_below_its_delivery(env: ServedPlatform) -> None:
    """A file of the same name on the next day is another delivery; equal labels are none; their file is moved too."""
    put("labels.csv", GOOD)
    (first,) = collect(env).moved
    put("labels.csv", GOOD.replace("2026-03-20", "2026-03-21"))
    (second,) = collect(env).moved
    names = [each.name for each in store.deliveries("lake")]
    assert len(names) == 2
    assert {first, second} == {f"s3://lake/labels-inbox/imported/{name}/labels.csv" for name in names}
    assert s3_objects.read(first) == GOOD.encode()
    put("again.csv", GOOD)
    found = collect(env)
    assert found.labels is not None
    assert [each.new for each in found.labels.files] == [False]
    assert len(store.deliveries("lake")) == 2
    assert [name for name in inbox() if "/" not in name] == []


def test_refused_file_stays_and_is_reported_each_time(
    env: ServedPlatform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its name; other files are imported. The annotation and the summary have the reason, without markup."""
    put("a-report.pdf", BAD)
    put("a-report.pdf.quarantine.csv", "line,reason,text\n")
    put("b.csv", GOOD)
    found = collect(env)
    assert found.labels is not None
    assert isinstance(found.labels.error, DataError)
    assert [each.path.rpartition("/")[2] for each in found.labels.files if each.refused] == ["a-report.pdf"]
    assert len(found.moved) == 1
    assert inbox()[0] == "a-report.pdf"
    printed = capsys.readouterr().err
    assert (
        "::error::Label file refused: s3://lake/labels-inbox/a-report.pdf: line 2, column label: '7' must be" in printed
    )
    summary = (tmp_path / "summary.md").read_text()
    assert "| `a-report.pdf` | 0 | 0 | **refused**: " in summary
    assert "| `b.csv` | 2 | 1 | imported |" in summary
    again = collect(env)
    assert again.labels is not None
    assert (again.labels.error is not None, again.moved) == (True, ())
    put("a-report.pdf", GOOD)
    corrected = collect(env)
    assert corrected.labels is not None
    assert corrected.labels.error is None
    assert inbox()[0] == "a-report.pdf.quarantine.csv"
    assert (collect(env).labels, labels_collect.QUARANTINE) == (None, quarantine.SUFFIX)


def test_empty_inbox_is_no_error(env: ServedPlatform) -> None:
    """Neither an object that stands for the folder nor one that was imported is a label file."""
    put("", "")
    put("imported/late-20260303-0123456789ab/labels.csv", GOOD)
    assert collect(env) == Collected(inbox="s3://lake/labels-inbox/", moved=(), labels=None)
    assert store.deliveries("lake") == []


def test_file_that_is_replaced_meanwhile_is_left_for_the_next_run(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is imported; the new content is neither moved nor deleted."""
    put("labels.csv", GOOD)
    deliver = store.deliver

    def deliver_and_replace(bucket: str, table: object) -> store.Delivered:
        delivered = deliver(bucket, table)
        put("labels.csv", GOOD.replace("b,1", "b,0"))
        return delivered

    with monkeypatch.context() as patched:
        patched.setattr(store, "deliver", deliver_and_replace)
        found = collect(env)
    assert found.labels is not None
    assert (found.labels.imported, found.moved, inbox()) == (2, (), ["labels.csv"])
    assert client("s3").get_object(Bucket="lake", Key="labels-inbox/labels.csv")["Body"].read() != GOOD.encode()
