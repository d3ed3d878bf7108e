"""Counts one instance's share of a window's captured traffic and labels for the drift check.

Runs as a SageMaker processing job, on each of its instances, which know nothing of each other. The inputs `capture` and
`labels` are divided among them (ShardedByS3Key); `request` is complete on each. An instance writes below
summary/HOST, where HOST is its name: SageMaker uploads the outputs of all instances to one place, and files with the
same key would overwrite each other. `ml.shards.merge` adds the counts and joins rows with labels. An instance that was
given no object writes counts of nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ml.aws.capture.captured_batches import CaptureCounts
from ml.aws.capture.captured_lines import CapturedObject
from ml.aws.capture.dead_letter_writer import DEAD_LETTER_PREFIX, MAX_URIS, DeadLetterWriter
from ml.aws.capture.decoder import UnreadableLine
from ml.aws.capture.summary_request import PART_BYTES, UNREADABLE, SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts
from ml.errors import DataError
from ml.shards import file_version, label_buckets
from ml.shards.bucket_files import BucketFiles, buckets
from ml.shards.instance_files import COUNTS
from ml.spark import raw_rows, traffic
from ml.spark.traffic import Counted, Part
from ml.steps import job_runner
from ml.steps.job_runner import StepFailed, log


def main(arguments: list[str]) -> int:
    """Runs the step; returns the exit code."""
    parser = argparse.ArgumentParser(prog="count", description="Count a share of captured traffic and labels.")
    parser.add_argument("--base-dir", type=Path, required=True)
    parser.add_argument("--request-sha256", required=True, help="digest of request.json")
    options = parser.parse_args(arguments)
    base: Path = options.base_dir

    def step() -> None:
        config = json.loads((base.parent / "config/resourceconfig.json").read_text("utf-8"))
        request = traffic.read_request(base / "request", options.request_sha256)
        count(request, base, host=str(config["current_host"]), processes=os.cpu_count() or 1)

    return job_runner.run(step, base.parent / "output" / "message")


def count(request: SummaryRequest, base: Path, *, host: str, processes: int) -> None:
    """Reads the shares below `base`, writes `base`/summary/`host`.

    Args:
        processes: the most that count at the same time.

    Raises:
        StepFailed: a captured object was replaced, a label file has another schema or bad values, or a process died.
    """
    capture, target = base / "capture", base / "summary" / host
    shares = share(request, capture)
    target.mkdir(parents=True)
    files = BucketFiles(target, traffic.ROWS, buckets(request))
    summed, counts, scored, without_id = TrafficCounts.none(request.model), CaptureCounts(), 0, 0
    aside = _Unreadable(request, target / UNREADABLE)
    for counted in _each(partial(_count, replace(request, objects=(), labels=()), capture), shares, processes):
        for each in counted:
            totals = each.totals
            summed.merge(totals.summary, totals.others)
            counts.merge(totals.counts)
            scored, without_id = scored + totals.scored, without_id + totals.without_id
            aside.add(each.unreadable)
            if each.rows:
                files.add(raw_rows.unpacked(each.rows))
    files.flush()
    aside.writer.flush()
    counts.unreadable_lines, counts.reasons, counts.kept_aside = aside.writer.lines, dict(aside.writer.reasons), []
    log.info("%s: %d rows, %d of them scored and with an id", host, counts.rows, scored)
    labels = _labels(request, base / "labels", target)
    document = {
        "version": file_version.of(request),
        "buckets": buckets(request),
        "objects": [place for part in shares for each in part for place in _places(each)],
        "labels": labels,
        "summary": summed.summary.to_dict(),
        "others": dict(summed.others),
        "counts": counts.to_dict(),
        "scored": scored,
        "without_id": without_id,
        "unreadable": aside.written,
        "files": dict(sorted(_sizes(target).items())),
    }
    (target / COUNTS).write_text(json.dumps(document, allow_nan=False), "utf-8")


def share(request: SummaryRequest, capture: Path) -> list[list[Part]]:
    """The objects of this instance, as parts of objects that follow each other in the window, and these in groups.

    A part's number is the place of its first object in the window, so that rows have the order they have in one process
    whichever objects an instance is given. A group is what one process counts at a time.

    Raises:
        StepFailed: an object was replaced.
    """
    parts: list[Part] = []
    held = 0
    for place, item in enumerate(request.objects):
        file = capture / item.key
        if not file.exists():
            continue
        if file.stat().st_size != item.bytes:
            raise StepFailed(f"s3://{request.bucket}/{item.key}: was replaced while the window was read; check again")
        last = parts[-1] if parts else None
        if last is not None and place == _places(last).stop and held + item.bytes <= PART_BYTES:
            parts[-1] = replace(last, objects=(*last.objects, item))
            held += item.bytes
        else:
            parts.append(Part(number=place, objects=(item,)))
            held = item.bytes
    return _grouped(parts)


def _grouped(parts: Iterable[Part]) -> list[list[Part]]:
    made: list[list[Part]] = []
    held = PART_BYTES
    for part in parts:
        size = sum(item.bytes for item in part.objects)
        if held + size > PART_BYTES:
            made.append([])
            held = 0
        made[-1].append(part)
        held += size
    return made


def _places(part: Part) -> range:
    return range(part.number, part.number + len(part.objects))


def _count(request: SummaryRequest, capture: Path, parts: list[Part]) -> list[Counted]:
    return [traffic.count_part(request, capture, part) for part in parts]


def _each(call: Any, shares: Sequence[list[Part]], processes: int) -> Iterator[list[Counted]]:
    """The function of each group of parts, in order.

    Raises:
        StepFailed: a process died.
    """
    workers = min(processes, len(shares))
    if workers < 2:
        yield from map(call, shares)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(call, shares)
    except BrokenProcessPool as error:
        raise StepFailed(
            "a process that counted was killed, probably for lack of memory; set compute.instance_type of "
            "drift.yaml to one with more memory for each core"
        ) from error


def _labels(request: SummaryRequest, folder: Path, target: Path) -> list[int]:
    """Writes the labels of this instance's files by bucket; the places of the files among those of the request."""
    given = [place for place, key in enumerate(request.labels) if (folder / key).exists()]
    files = ((f"s3://{request.bucket}/{request.labels[place]}", folder / request.labels[place]) for place in given)
    try:
        label_buckets.write(target, files, count=buckets(request), as_of=request.as_of)
    except DataError as error:
        raise StepFailed(str(error)) from error
    return given


def _sizes(target: Path) -> dict[str, int]:
    """The bytes of each file below a folder, so that the merge knows which there must be."""
    return {path.relative_to(target).as_posix(): path.stat().st_size for path in target.rglob("*") if path.is_file()}


class _Unreadable:
    """Writes unreadable lines below `folder`, under the names of their dead letters.

    `written` has the first hundred files: the place of the object in the window, and the file's URI.
    """

    def __init__(self, request: SummaryRequest, folder: Path) -> None:
        self._root, self._folder = f"s3://{request.bucket}/{DEAD_LETTER_PREFIX}/", folder
        self._places = {item.key: place for place, item in enumerate(request.objects)}
        self._source: CapturedObject | None = None
        self.writer = DeadLetterWriter(request.bucket, self._write)
        self.written: list[tuple[int, str]] = []

    def add(self, lines: Iterable[UnreadableLine]) -> None:
        """Adds the lines of a part."""
        for unread in lines:
            if unread.block.source != self._source:
                self.writer.flush()
                self._source = unread.block.source
            self.writer.add(unread)

    def _write(self, uri: str, content: bytes, _: str) -> None:
        file = self._folder / uri.removeprefix(self._root)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if self._source is not None and len(self.writer.uris) < MAX_URIS:
            self.written.append((self._places[self._source.key], uri))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
