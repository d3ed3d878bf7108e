"""Defines the manifest of an import in the lake: its source files, their objects, digests, counts and time spans."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml.errors import DataError

FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that was imported: its name without its folder, its size, its digest, and the unit of its time column.

    `time_unit` is that of data.yaml at the import; None without a time column.
    """

    name: str
    bytes: int
    sha256: str
    time_unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One Parquet file of an import."""

    key: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class StoredSource:
    """What the lake holds of one source file. `start` and `end` are the times of its first and last event.

    `columns` are the id, the event's time and the model's inputs; `kept` the columns that are stored as text.
    `time_unit` is the unit of the values in the time column; None without one, or if an older version stored them.
    """

    name: str
    bytes: int
    sha256: str
    time_unit: str | None
    content_sha256: str
    columns: tuple[str, ...]
    kept: tuple[str, ...]
    rows: int
    frauds: int
    duplicates: int
    quarantined: int
    start: datetime
    end: datetime
    files: tuple[StoredFile, ...]

    @property
    def folder(self) -> str:
        """The folder of its objects below raw/ and labels/."""
        return f"{self.start:%Y%m%d}-{self.content_sha256[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"start": stamp(self.start), "end": stamp(self.end)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> StoredSource:
        """The inverse of `to_dict`, after JSON. Raises TypeError, KeyError or ValueError on another document."""
        return cls(
            **{"time_unit": None}
            | document
            | {
                "columns": tuple(document["columns"]),
                "kept": tuple(document["kept"]),
                "start": datetime.fromisoformat(document["start"]),
                "end": datetime.fromisoformat(document["end"]),
                "files": tuple(StoredFile(**file) for file in document["files"]),
            }
        )


@dataclass(frozen=True, kw_only=True)
class ImportManifest:
    """The source files of one import, in the order in which they were read."""

    name: str
    sources: tuple[StoredSource, ...]

    @classmethod
    def of(cls, sources: Sequence[StoredSource]) -> ImportManifest:
        """The manifest of an import of `sources`, which are not empty: it is named after its first day and content."""
        first = min(source.start for source in sources)
        return cls(name=f"{first:%Y%m%d}-{content_sha256(sources)[:12]}", sources=tuple(sources))

    @property
    def key(self) -> str:
        """The key of the manifest itself."""
        return f"raw/{self.name}/manifest.json"

    @property
    def columns(self) -> tuple[str, ...]:
        """The id, the event's time and the model's inputs: the same of all sources."""
        return self.sources[0].columns

    @property
    def time_units(self) -> frozenset[str]:
        """The units of the time column that are known, of all sources."""
        return frozenset(source.time_unit for source in self.sources if source.time_unit is not None)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The objects of all sources."""
        return tuple(file for source in self.sources for file in source.files)

    @property
    def rows(self) -> int:
        """The transactions."""
        return sum(source.rows for source in self.sources)

    @property
    def frauds(self) -> int:
        """The transactions whose label in the file is 1."""
        return sum(source.frauds for source in self.sources)

    @property
    def duplicates(self) -> int:
        """The rows that repeat an earlier one of their file."""
        return sum(source.duplicates for source in self.sources)

    @property
    def quarantined(self) -> int:
        """The rows that were left out."""
        return sum(source.quarantined for source in self.sources)

    @property
    def start(self) -> datetime:
        """The time of the first event."""
        return min(source.start for source in self.sources)

    @property
    def end(self) -> datetime:
        """The time of the last event."""
        return max(source.end for source in self.sources)

    @property
    def source_names(self) -> str:
        """The source's name, or the first and the last and how many there are."""
        names = [source.name for source in self.sources]
        return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)} files)"

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        """Whether an event of the import may lie in the window from `start` (included) to `end` (not included)."""
        return (start is None or self.end >= start) and (end is None or self.start < end)

    def meets(self, other: ImportManifest) -> bool:
        """Whether a file of the one and a file of the other overlap in time, as a file and its correction do."""
        if self.name == other.name or self.start > other.end or self.end < other.start:
            return False
        return any(
            mine.start <= theirs.end and mine.end >= theirs.start for mine in self.sources for theirs in other.sources
        )

    def to_json(self) -> str:
        """The manifest as it is stored."""
        document = {"format": FORMAT, "name": self.name, "sources": [source.to_dict() for source in self.sources]}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> ImportManifest:
        """The inverse of `to_json`; also reads format 1, of one source. Raises DataError, naming `where`, else."""
        try:
            document: dict[str, Any] = json.loads(text)
            found = document.pop("format")
            if found == 1:
                document = {"name": document.pop("name"), "sources": [document.pop("source") | document | {"kept": []}]}
            sources = tuple(StoredSource.from_dict(source) for source in document.pop("sources"))
            manifest = cls(**document, sources=sources)
            manifest.sources[0]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise DataError(f"{where}: is not the manifest of an import ({error}); import its file again") from error
        if found not in (1, FORMAT):
            raise DataError(f"{where}: has another format than {FORMAT}; read it with the version that wrote it")
        return manifest


def content_sha256(sources: Sequence[StoredSource]) -> str:
    """The digest of the sources' content, which does not depend on their formats; that of the only one if it is one."""
    digests = [source.content_sha256 for source in sources]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """`moment` in UTC with a Z, with microseconds if there are any; unlike `ml.clock.stamp`, for event times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
