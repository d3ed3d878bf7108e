"""An instance counts its share of a window, and writes below its own name."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws.capture import summary_request
from ml.shards import count
from ml.shards.instance_files import COUNTS
from ml.steps.job_runner import StepFailed
from tests.shards.divided_window import Hosts, in_rows, in_turn
from tests.spark import captured_window


def laid(bucket: str, folder: Path, instances: int = 2) -> Hosts:
    """The window, divided among so many instances."""
    hosts = Hosts(replace(captured_window.requested(bucket), instances=instances), folder)
    hosts.lay(in_turn)
    return hosts


def test_every_file_is_below_the_name_of_its_instance(bucket: str, tmp_path: Path) -> None:
    """Two instances with one key would overwrite each other in S3. Each names the objects that it counted."""
    hosts = laid(bucket, tmp_path, 3)
    assert [hosts.count(host) for host in hosts.names] == [0, 0, 0]
    files = hosts.uploaded()
    assert {name.partition("/")[0] for name in files} == set(hosts.names)
    places = [json.loads(files[f"{host}/{COUNTS}"])["objects"] for host in hosts.names]
    assert places == [[*range(len(hosts.request.objects))][start::3] for start in range(3)]


def test_parts_follow_the_window_whichever_objects_an_instance_has(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part's number is the place of its first object, and its objects follow each other. Groups fill a process."""
    request = captured_window.requested(bucket)
    hosts = Hosts(request, tmp_path)
    hosts.lay(in_rows)
    capture = tmp_path / "algo-2/processing/capture"
    first = -(-len(request.objects) // 2)
    [[whole]] = count.share(request, capture)
    assert (whole.number, whole.objects) == (first, request.objects[first:])
    (capture / request.objects[first + 2].key).unlink()
    [parts] = count.share(request, capture)
    assert [(part.number, len(part.objects)) for part in parts] == [
        (first, 2),
        (first + 3, len(request.objects) - first - 3),
    ]
    monkeypatch.setattr(count, "PART_BYTES", 1)
    assert [[part.number for part in group] for group in count.share(request, capture)] == [
        [place] for place in range(first, len(request.objects)) if place != first + 2
    ]


def test_instance_without_any_object_counts_nothing(bucket: str, tmp_path: Path) -> None:
    """There are more instances than objects: it has no folder of them, and its counts are those of no rows."""
    hosts = laid(bucket, tmp_path, 40)
    assert not (tmp_path / "algo-40/processing/capture").exists()
    assert hosts.count("algo-40") == 0
    found = json.loads((tmp_path / "algo-40/processing/summary/algo-40" / COUNTS).read_text())
    assert (found["objects"], found["labels"], found["scored"], found["summary"]["rows"]) == ([], [], 0, 0)


def test_processes_make_the_same_files(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes and one; groups are small, so that each process has several."""
    monkeypatch.setattr(count, "PART_BYTES", 20_000)
    hosts = laid(bucket, tmp_path)
    base = tmp_path / "algo-1/processing"
    written = []
    for number, processes in enumerate((1, 3)):
        count.count(hosts.request, base, host=f"h{number}", processes=processes)
        folder = base / f"summary/h{number}"
        written.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert len(count.share(hosts.request, base / "capture")) > 3


def _die(*_: object) -> None:
    os._exit(9)


def test_killed_process_fails_the_step_with_its_reason(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the instance has too little memory."""
    monkeypatch.setattr(count, "PART_BYTES", 1)
    monkeypatch.setattr(count, "_count", _die)
    hosts = laid(bucket, tmp_path)
    with pytest.raises(StepFailed, match=r"was killed, probably for lack of memory; set compute\.instance_type"):
        count.count(hosts.request, tmp_path / "algo-1/processing", host="algo-1", processes=2)


def test_replaced_inputs_are_refused(bucket: str, tmp_path: Path) -> None:
    """An object of another size, and a request of another digest."""
    hosts = laid(bucket, tmp_path)
    with (tmp_path / "algo-1/processing/capture" / hosts.request.objects[0].key).open("ab") as file:
        file.write(b"more\n")
    assert hosts.count("algo-1") == 1
    assert f"{hosts.request.objects[0].key}: was replaced while the window was read" in hosts.message("algo-1")
    (tmp_path / "algo-2/processing/request" / summary_request.REQUEST).write_text("{}")
    assert hosts.count("algo-2") == 1
    assert "request.json: expected sha256" in hosts.message("algo-2")


def test_bad_labels_are_refused_with_the_reason_of_one_process(bucket: str, tmp_path: Path) -> None:
    """By the instance that has the file; the others do not know it."""
    hosts = laid(bucket, tmp_path)
    file = tmp_path / "algo-1/processing/labels" / hosts.request.labels[0]
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, "label", pa.array([2] * len(table), pa.int8())), file)
    assert [hosts.count(host) for host in hosts.names] == [1, 0]
    assert "a label that is neither 0 nor 1" in hosts.message("algo-1")
