"""Reads what the instances of a counting job have written, and refuses it unless every file is there, and no other.

A file that is missing would not fail the merge: its rows would not be counted. So each instance lists its files, with
their sizes, in the counts that it writes last, and with the version of their form and the number of buckets: what the
code of today would write says nothing about files of an earlier job. Calls no service.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from ml.aws.capture.summary_request import SummaryRequest
from ml.errors import DataError
from ml.shards import bucket_files, file_version
from ml.shards.read_ahead import read_ahead
from ml.spark import raw_rows

COUNTS = "counts.json"
"""What an instance has counted; its name says that the instance has ended."""
_COUNTS_AT_ONCE = 8

Read = Callable[[str], bytes]
"""The content of a file by its name, HOST/counts.json and so on. It is called from several threads."""


class OtherVersion(DataError):
    """The job ran code of another version, which wrote other files."""


class IncompleteFiles(DataError):
    """Files of an instance are missing, cut, too many or not read, or do not have what the instances counted."""


def hosts(request: SummaryRequest) -> list[str]:
    """The names that SageMaker gives the instances of a job."""
    return [f"algo-{number + 1}" for number in range(request.instances)]


class InstanceFiles:
    """The files of all instances of a job.

    Args:
        names: every file that the instances have left, each with the name of its instance in front.
    """

    def __init__(self, request: SummaryRequest, names: Iterable[str], read: Read) -> None:
        self._request, self._read, self._names = request, read, frozenset(names)
        self._sizes: dict[str, int] = {}
        self._was_read: set[str] = set()
        self._buckets: dict[str, int] = {}

    @property
    def buckets(self) -> int:
        """The number of buckets that the instances have written; call `counts` before, to its end."""
        return next(iter(self._buckets.values()))

    def counts(self) -> Iterator[Mapping[str, Any]]:
        """What each instance has counted, one instance after the other; at its end, all files are known to be there.

        Raises:
            OtherVersion: the files have another form than this code writes.
            IncompleteFiles: a file is missing, cut or one too many, or an object or label file was not counted exactly
                once.
        """
        counted = {"objects": Counter[int](), "labels": Counter[int]()}
        named = [f"{host}/{COUNTS}" for host in hosts(self._request)]
        for name in named:
            if name not in self._names:
                raise IncompleteFiles(f"{name}: is missing; the instance has left no counts")
        version = file_version.of(self._request)
        for name, content in zip(named, read_ahead(self._read, named, at_once=_COUNTS_AT_ONCE), strict=True):
            try:
                document = json.loads(content)
            except ValueError as error:
                raise IncompleteFiles(f"{name}: is not JSON ({error})") from error
            host = name.partition("/")[0]
            if document.get("version") != version:
                raise OtherVersion(f"{name}: code of another version has written it, in another form")
            self._buckets[name] = document["buckets"]
            if document["buckets"] != self.buckets:
                raise IncompleteFiles(
                    f"{name}: the instance wrote {document['buckets']:,} buckets, {named[0]} says {self.buckets:,}"
                )
            self._sizes |= {f"{host}/{file}": size for file, size in document["files"].items()}
            for kind, found in counted.items():
                found.update(document[kind])
            yield document
        self._check_names(named)
        _check_complete("captured objects", [item.key for item in self._request.objects], counted["objects"])
        _check_complete("label files", self._request.labels, counted["labels"])

    def tables(self, kind: str, bucket: int) -> Iterator[pa.Table]:
        """The tables of one kind in a bucket, one after the other; call `counts` before, to its end.

        Raises:
            IncompleteFiles: a file has another size than its instance has written.
        """
        below = bucket_files.name(kind, bucket)
        for host in hosts(self._request):
            size = self._sizes.get(f"{host}/{below}")
            if size is None:
                continue
            content = self._read(f"{host}/{below}")
            _check_size(f"{host}/{below}", len(content), size)
            self._was_read.add(f"{host}/{below}")
            for piece in bucket_files.pieces(content):
                yield raw_rows.unpacked(piece)

    def check_sizes(self, sizes: Mapping[str, int]) -> None:
        """Compares the bytes of all files with those that were written; call `counts` before, to its end.

        Raises:
            IncompleteFiles: a file has another size.
        """
        for name, written in self._sizes.items():
            _check_size(name, sizes[name], written)

    def check_read(self, kind: str) -> None:
        """Call it after `tables` of all buckets.

        Raises:
            IncompleteFiles: a file of the kind was never read, so that its rows are in no count.
        """
        of_kind = {name for name in self._sizes if name.partition("/")[2].startswith(f"{kind}/")}
        unread = sorted(of_kind - self._was_read)
        if unread:
            raise IncompleteFiles(
                f"{unread[0]}: is in none of {self.buckets:,} buckets and was not read{_more(unread)}"
            )

    def _check_names(self, counts: Iterable[str]) -> None:
        expected = {*self._sizes, *counts}
        missing, surplus = sorted(expected - self._names), sorted(self._names - expected)
        if missing:
            raise IncompleteFiles(f"{missing[0]}: is missing; the instance has written it{_more(missing)}")
        if surplus:
            raise IncompleteFiles(f"{surplus[0]}: is a file that no instance of the job has written{_more(surplus)}")


def _check_size(name: str, found: int, written: int) -> None:
    if found != written:
        raise IncompleteFiles(f"{name}: has {found:,} bytes, and the instance has written {written:,}")


def _more(names: list[str]) -> str:
    return f"; so are {len(names) - 1:,} more" if len(names) > 1 else ""


def _check_complete(what: str, keys: Iterable[str], counted: Counter[int]) -> None:
    every = [*keys]
    for place, key in enumerate(every):
        if counted[place] != 1:
            raise IncompleteFiles(
                f"the instances counted {counted.total():,} of {len(every):,} {what}, {key} {counted[place]} times"
            )
