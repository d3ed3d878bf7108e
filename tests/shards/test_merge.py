"""What the instances of a job have counted adds up to what one process counts, however the objects are divided."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.aws import s3_objects
from ml.aws.capture.summary_request import UNREADABLE
from ml.drift import traffic_aggregation
from ml.errors import DataError
from ml.shards import bucket_files
from ml.shards.instance_files import COUNTS, IncompleteFiles
from ml.shards.merge import Merged, merge
from tests.shards.divided_window import Divide, counted, in_rows, in_turn
from tests.spark import captured_window
from tests.spark.captured_window import DAYS, END, ENDPOINT, LIMITS, NOW, START

Json = dict[str, Any]


def plain(found: Merged) -> Json:
    """The result in JSON's form."""
    assert found.label_summary is not None
    document = {
        "summary": found.summary.to_dict(),
        "label_summary": found.label_summary.to_dict(),
        "counts": found.counts,
    }
    made: Json = json.loads(json.dumps(document))
    return made


def single(bucket: str) -> Json:
    """What one process counts."""
    summary, labels, counts = traffic_aggregation.read(
        bucket, ENDPOINT, (START, END), model=captured_window.model(), limits=LIMITS, now=NOW
    )
    return plain(Merged(summary=summary, label_summary=labels, counts=counts))


@pytest.mark.parametrize(
    ("instances", "divide"), [(1, in_turn), (2, in_turn), (3, in_rows), (3, in_turn), (40, in_turn)]
)
def test_counts_are_those_of_one_process(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instances: int, divide: Divide
) -> None:
    """To the last bit, in several buckets: every kind of line, corrected labels, ids that several instances have, also
    at one time. There are fewer objects than forty."""
    expected = single(bucket)
    monkeypatch.setattr(bucket_files, "_BUCKET_BYTES", 30_000)
    request = replace(captured_window.requested(bucket), instances=instances)
    assert bucket_files.buckets(request) > 4
    files = counted(request, tmp_path, divide)
    assert plain(merge(request, files, files.__getitem__)) == expected
    traffic, labels = expected["counts"]["traffic"], expected["counts"]["labels"]
    assert (traffic["unreadable_lines"], set(traffic["other_models"]), labels["repeated"]) == (2, {"0002"}, 6)
    assert sum(day["mature"] for day in labels["days"]) == DAYS - 1
    for uri in traffic["kept_aside"]:
        [name] = [name for name in files if name.endswith(f"/{UNREADABLE}/{uri.partition('/unreadable/')[2]}")]
        assert files[name] == s3_objects.read(uri)


def test_traffic_without_labels_and_ids_is_counted(bucket: str, tmp_path: Path) -> None:
    """No label file is known, so every day is immature."""
    request = replace(captured_window.requested(bucket), labels=())
    files = counted(request, tmp_path)
    found = plain(merge(request, files, files.__getitem__))
    assert found["summary"] == single(bucket)["summary"]
    assert not any(day["labelled"] for day in found["counts"]["labels"]["days"])


def test_objects_that_were_counted_twice_or_never_are_refused(bucket: str, tmp_path: Path) -> None:
    """SageMaker has given an object to two instances, or to none."""
    request = captured_window.requested(bucket)
    files = counted(request, tmp_path)
    key, objects = request.objects[1].key, len(request.objects)
    document = json.loads(files[f"algo-1/{COUNTS}"])
    for places, message in (
        ([*document["objects"], 1], rf"{objects + 1} of {objects} captured objects, {key} 2 times"),
        (document["objects"][1:], rf"{objects - 1} of {objects} captured objects, {request.objects[0].key} 0 times"),
    ):
        changed = files | {f"algo-1/{COUNTS}": json.dumps(document | {"objects": places}).encode()}
        with pytest.raises(DataError, match=message):
            merge(request, changed, changed.__getitem__)


def test_files_that_are_missing_surplus_or_cut_are_named(bucket: str, tmp_path: Path) -> None:
    """Without them the merge would count fewer rows, or rows of another job, and say nothing."""
    request = captured_window.requested(bucket)
    files = counted(request, tmp_path)
    rows = f"algo-2/{bucket_files.name('rows', 0)}"
    for missing, message in (
        (f"algo-1/{COUNTS}", f"algo-1/{COUNTS}: is missing; the instance has left no counts"),
        (rows, f"{rows}: is missing; the instance has written it"),
        (
            f"algo-1/{bucket_files.name('labels', 0)}",
            r"algo-1/labels/000000\.arrows: is missing; the instance has written it",
        ),
    ):
        rest = {name: content for name, content in files.items() if name != missing}
        with pytest.raises(DataError, match=f"^{message}$"):
            merge(request, rest, rest.__getitem__)
    whole = {name: content for name, content in files.items() if not name.startswith("algo-2/")}
    with pytest.raises(DataError, match=f"^algo-2/{COUNTS}: is missing"):
        merge(request, whole, whole.__getitem__)
    for name in (f"algo-3/{COUNTS}", "algo-1/rows/000007.arrows"):
        more = files | {name: files[f"algo-1/{COUNTS}"], "algo-9/left": b""}
        with pytest.raises(DataError, match=f"^{name}: is a file that no instance .* has written; so are 1 more$"):
            merge(request, more, more.__getitem__)
    cut = files | {rows: files[rows][:-1]}
    with pytest.raises(DataError, match=rf"^{rows}: has [\d,]+ bytes, and the instance has written [\d,]+$"):
        merge(request, cut, cut.__getitem__)


def test_rows_that_were_not_read_are_refused(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a bucket beyond the number that the counts have, and fewer rows than were counted."""
    monkeypatch.setattr(bucket_files, "_BUCKET_BYTES", 30_000)
    request = replace(captured_window.requested(bucket), instances=1)
    files = counted(request, tmp_path)
    document = json.loads(files[f"algo-1/{COUNTS}"])
    last = document["buckets"] - 1
    for change, message in (
        (
            {"buckets": last},
            rf"^algo-1/{bucket_files.name('rows', last)}: is in none of {last} buckets and was not read$",
        ),
        ({"scored": document["scored"] + 1}, r"counted [\d,]+ scored rows, and their files have [\d,]+$"),
    ):
        changed = files | {f"algo-1/{COUNTS}": json.dumps(document | change).encode()}
        with pytest.raises(IncompleteFiles, match=message):
            merge(request, changed, changed.__getitem__)


def test_thousand_instances_take_the_memory_of_fifty(bucket: str, tmp_path: Path) -> None:
    """The counts are those of one process; an instance's counts are in memory only until they are added."""
    request = replace(captured_window.requested(bucket), instances=len(captured_window.requested(bucket).objects) + 1)
    files = counted(request, tmp_path)
    filling = {"filling": "0" * 80_000}  # 80 kB in memory; as numbers, parsing them would take most of the time
    nothing = json.dumps(json.loads(files[f"algo-{request.instances}/{COUNTS}"]) | filling).encode()
    expected, peaks = single(bucket), []
    for instances in (50, 1_000):
        idle = range(request.instances, instances + 1)
        every = files | {f"algo-{number}/{COUNTS}": nothing for number in idle}
        tracemalloc.start()
        found = merge(replace(request, instances=instances), every, every.__getitem__)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert plain(found) == expected
    assert peaks[1] < peaks[0] + 100 * 80_000
