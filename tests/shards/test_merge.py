"""What the instances of a job have counted adds up to what one process counts, however the objects are divided."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.aws import s3_objects
from ml.aws.capture.summary_request import UNREADABLE
from ml.drift import traffic_aggregation
from ml.errors import DataError
from ml.shards import bucket_files
from ml.shards.bucket_files import COUNTS
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


def test_incomplete_counts_are_refused(bucket: str, tmp_path: Path) -> None:
    """An instance's counts are missing, and an object was given to two instances."""
    request = captured_window.requested(bucket)
    files = counted(request, tmp_path)
    key, objects = request.objects[1].key, len(request.objects)
    rest = {name: content for name, content in files.items() if not name.startswith("algo-2/")}
    with pytest.raises(DataError, match=rf"the instances counted \d+ of {objects} captured objects, {key} 0 times"):
        merge(request, rest, rest.__getitem__)
    document = json.loads(files[f"algo-1/{COUNTS}"])
    document["objects"].append(1)
    files[f"algo-1/{COUNTS}"] = json.dumps(document).encode()
    with pytest.raises(DataError, match=rf"{objects + 1} of {objects} captured objects, {key} 2 times"):
        merge(request, files, files.__getitem__)
