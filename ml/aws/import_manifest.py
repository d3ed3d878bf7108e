"""Defines the manifest of an import in the lake: its objects, digests, counts and time span."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml.errors import DataError

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file that an import came from: its name without its folder, its size and its digest."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One Parquet file of an import."""

    key: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class ImportManifest:
    """The files and counts of one import. `start` and `end` are the times of its first and last event."""

    name: str
    content_sha256: str
    source: Source
    columns: tuple[str, ...]
    rows: int
    frauds: int
    duplicates: int
    quarantined: int
    start: datetime
    end: datetime
    files: tuple[StoredFile, ...]

    @property
    def key(self) -> str:
        """The key of the manifest itself."""
        return f"raw/{self.name}/manifest.json"

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        """Whether an event of the import may lie in the window from `start` (included) to `end` (not included)."""
        return (start is None or self.end >= start) and (end is None or self.start < end)

    def meets(self, other: ImportManifest) -> bool:
        """Whether the time spans of both imports overlap, as those of a file and its correction do."""
        return self.name != other.name and self.start <= other.end and self.end >= other.start

    def to_json(self) -> str:
        """The manifest as it is stored."""
        document = {"format": FORMAT, **dataclasses.asdict(self)}
        document |= {"start": stamp(self.start), "end": stamp(self.end)}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> ImportManifest:
        """The inverse of `to_json`. Raises DataError, naming `where`, on anything else."""
        try:
            document: dict[str, Any] = json.loads(text)
            known = document.pop("format") == FORMAT
            manifest = cls(
                **document
                | {
                    "source": Source(**document["source"]),
                    "columns": tuple(document["columns"]),
                    "start": datetime.fromisoformat(document["start"]),
                    "end": datetime.fromisoformat(document["end"]),
                    "files": tuple(StoredFile(**file) for file in document["files"]),
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{where}: is not the manifest of an import ({error}); import its file again") from error
        if not known:
            raise DataError(f"{where}: has another format than {FORMAT}; read it with the version that wrote it")
        return manifest


def stamp(moment: datetime) -> str:
    """`moment` in UTC with a Z, with microseconds if there are any; unlike `ml.clock.stamp`, for event times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
