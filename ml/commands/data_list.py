"""`fraudops data list`: lists the imports in the data lake. Reads their manifests only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.aws import platform_stack
from ml.aws.lake import Lake


@dataclass(frozen=True, kw_only=True)
class ListedImport:
    """One import: its name, its source files in order, its counts, and the times of its first and last event."""

    name: str
    sources: tuple[str, ...]
    rows: int
    frauds: int
    duplicates: int
    quarantined: int
    start: datetime
    end: datetime

    @property
    def files(self) -> str:
        """The source's name, or the first, the last and how many there are."""
        return self.sources[0] if len(self.sources) == 1 else f"{self.sources[0]} … {self.sources[-1]}"


def list_imports() -> list[ListedImport]:
    """The imports of the platform's lake, oldest first event first.

    Raises:
        CloudError: the platform or S3 cannot be read.
        DataError: a manifest is damaged.
    """
    return [
        ListedImport(
            name=item.name,
            sources=tuple(source.name for source in item.sources),
            rows=item.rows,
            frauds=item.frauds,
            duplicates=item.duplicates,
            quarantined=item.quarantined,
            start=item.start,
            end=item.end,
        )
        for item in Lake(platform_stack.read().bucket).imports()
    ]
