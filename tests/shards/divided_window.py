"""A window that is divided among instances as under ShardedByS3Key, and counted by them here; not a test itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ml.aws import s3_objects
from ml.aws.capture.summary_request import REQUEST, SummaryRequest
from ml.shards import count

Divide = Callable[[Sequence[str], int], list[list[str]]]


def in_turn(keys: Sequence[str], hosts: int) -> list[list[str]]:
    """The objects that each instance gets on the AWS emulator."""
    return [[*keys[place::hosts]] for place in range(hosts)]


def in_rows(keys: Sequence[str], hosts: int) -> list[list[str]]:
    """Objects that follow each other; AWS does not document which an instance gets."""
    size = -(-len(keys) // hosts)
    return [[*keys[place * size : (place + 1) * size]] for place in range(hosts)]


class Hosts:
    """The instances of a job, each with a folder of its own below `folder`."""

    def __init__(self, request: SummaryRequest, folder: Path) -> None:
        self.request, self.folder = request, folder
        self.names = [f"algo-{number + 1}" for number in range(request.instances)]

    def lay(self, divide: Divide) -> None:
        """Writes every instance's inputs. One without an object of an input has no folder of it."""
        text = self.request.to_json().encode()
        for host in self.names:
            for path, content in (
                (f"processing/request/{REQUEST}", text),
                ("config/resourceconfig.json", json.dumps({"current_host": host, "hosts": self.names}).encode()),
            ):
                self._write(host, path, content)
        keys = {"capture": [item.key for item in self.request.objects], "labels": list(self.request.labels)}
        for name, every in keys.items():
            for host, share in zip(self.names, divide(sorted(every), len(self.names)), strict=True):
                for key in share:
                    content = s3_objects.read(f"s3://{self.request.bucket}/{key}")
                    self._write(host, f"processing/{name}/{key}", content)

    def count(self, host: str) -> int:
        """Runs the program of an instance; returns its exit code."""
        text = self.request.to_json().encode()
        base = str(self.folder / host / "processing")
        return count.main(["--base-dir", base, "--request-sha256", hashlib.sha256(text).hexdigest()])

    def message(self, host: str) -> str:
        """Why an instance has failed."""
        return (self.folder / host / "output/message").read_text("utf-8")

    def uploaded(self) -> dict[str, bytes]:
        """What is in S3 after all have uploaded their outputs to one place, the first instance first."""
        found: dict[str, bytes] = {}
        for host in self.names:
            summary = self.folder / host / "processing/summary"
            found |= {
                path.relative_to(summary).as_posix(): path.read_bytes()
                for path in sorted(summary.rglob("*"))
                if path.is_file()
            }
        return found

    def _write(self, host: str, path: str, content: bytes) -> None:
        file = self.folder / host / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def counted(request: SummaryRequest, folder: Path, divide: Divide = in_turn) -> dict[str, bytes]:
    """What the instances have written of a window."""
    hosts = Hosts(request, folder)
    hosts.lay(divide)
    assert [hosts.count(host) for host in hosts.names] == [0] * len(hosts.names)
    return hosts.uploaded()
