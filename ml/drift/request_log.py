"""Reads from Git which retrain requests exist at a commit, and what resolved them and when.

Reads the commit, not the work tree: a drift check that runs while others push must not repeat a request of main.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ml import config
from ml.gitops.repository import Repository

_File = TypeVar("_File", bound=config.File)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """How a request was resolved: the record that names it, its creation time, and whether the gate failed."""

    request: str
    record: Path
    created: datetime
    gate_failed: bool


class RequestLog:
    """The requests and their resolutions at `revision`.

    Raises (on first access of a property):
        ConfigError: a record is invalid; `fraudops validate` reports it too.
    """

    def __init__(self, repository: Repository, revision: str) -> None:
        self._repository = repository
        self.revision = repository.commit_of(revision)

    @cached_property
    def requests(self) -> tuple[str, ...]:
        """The ids of every request, oldest first."""
        return tuple(path.stem for path in self._paths(config.REQUESTS))

    @cached_property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The resolutions of all requests, oldest first."""
        found = []
        for path, approval in self._records(config.APPROVALS, config.ApprovalRecord):
            found += [_resolution(name, path, approval.created, gate_failed=False) for name in approval.requests]
        for path, failure in self._records(config.GATE_FAILURES, config.GateFailureRecord):
            found += [_resolution(name, path, failure.created, gate_failed=True) for name in failure.requests]
        return tuple(sorted(found, key=lambda item: (item.created, item.record)))

    def open(self, cause: str) -> list[str]:
        """The open requests of a cause, oldest first."""
        resolved = {item.request for item in self.resolutions}
        return [name for name in self.requests if cause_of(name) == cause and name not in resolved]

    def resolved(self, cause: str) -> list[Resolution]:
        """The resolutions of a cause's requests, oldest first."""
        return [item for item in self.resolutions if cause_of(item.request) == cause]

    def consecutive_gate_failures(self, cause: str) -> list[str]:
        """The names of the gate failures that resolved a cause's requests since its last approval, oldest first."""
        failures: list[str] = []
        for item in self.resolved(cause):
            if not item.gate_failed:
                failures = []
            elif item.record.stem not in failures:
                failures.append(item.record.stem)
        return failures

    def created_in_month(self, moment: datetime, causes: Collection[str]) -> list[str]:
        """The requests of `causes` whose commit time is in the month of `moment` (UTC)."""
        month = moment.astimezone(UTC).strftime("%Y%m")
        return [
            name
            for name in self.requests
            if cause_of(name) in causes and self._commit_time(name).strftime("%Y%m") == month
        ]

    def commit_of(self, name: str) -> str | None:
        """The commit that added a request; None if there is no such request."""
        commits = self._repository.log(self.revision, _path(name))
        return commits[-1].sha if commits else None

    def _commit_time(self, name: str) -> datetime:
        return self._repository.log(self.revision, _path(name))[-1].time.astimezone(UTC)

    def _records(self, folder: Path, kind: type[_File]) -> Iterator[tuple[Path, _File]]:
        parse: Callable[[str, Path, type[_File]], _File] = config.parse
        for path in self._paths(folder):
            content = self._repository.show(self.revision, path) or b""
            yield path, parse(content.decode("utf-8", "replace"), path, kind)

    def _paths(self, folder: Path) -> list[Path]:
        names = map(Path, self._repository.files(self.revision, folder))
        return sorted(path for path in names if path.suffix == ".yaml" and path.parent == folder)


def cause_of(name: str) -> str:
    """The cause in a request's id."""
    return name.partition("Z-")[2]


def _path(name: str) -> Path:
    return config.REQUESTS / f"{name}.yaml"


def _resolution(name: str, path: Path, created: datetime, *, gate_failed: bool) -> Resolution:
    return Resolution(request=name, record=path, created=created, gate_failed=gate_failed)
