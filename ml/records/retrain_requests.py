"""Determines what raised a retrain request, and which record resolves it. It is open until a record names its id.

The records are approvals and gate failures. They are read from a source: the work tree or a Git commit. Nothing here
writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from ml import config
from ml.gitops.repository import Repository

_File = TypeVar("_File", bound=config.File)
RaisedBy = Literal["alarm", "end", "schedule", "windows"]
_RAISED_BY: Mapping[str, RaisedBy] = MappingProxyType(
    {
        "daily_fraud_rate": "alarm",
        "daily_new_pattern_frauds": "end",
        "days_since_onset": "schedule",
    }
)
"""The statistic of a finding, and what it says raised the request."""


def raised_by(evidence: Mapping[str, Any]) -> RaisedBy:
    """What raised the request with that evidence.

    The daily test of fraud rates (`alarm`), its test of a pattern that has ended (`end`), the time since an adaptation
    (`schedule`), or the drift of whole windows, or a person (`windows`).
    """
    findings = evidence.get("findings")
    for finding in findings if isinstance(findings, list | tuple) else ():
        if isinstance(finding, Mapping) and finding.get("statistic") in _RAISED_BY:
            return _RAISED_BY[finding["statistic"]]
    return "windows"


class RecordSource(Protocol):
    """Where approvals and gate failures are read from.

    Raises:
        ConfigError: a record is invalid; `fraudops validate` reports it too.
    """

    def approvals(self) -> Iterator[tuple[Path, config.ApprovalRecord]]:
        """Every approval with its path below the root of the repository."""

    def gate_failures(self) -> Iterator[tuple[Path, config.GateFailureRecord]]:
        """Every gate failure with its path below the root of the repository."""


class WorkTree:
    """The records in the files below `root`, committed or not. A record must agree with its file's name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def approvals(self) -> Iterator[tuple[Path, config.ApprovalRecord]]:
        """See `RecordSource`."""
        stems = (file.stem for file in (self._root / config.APPROVALS).glob("*.yaml"))
        for number in sorted({int(stem) for stem in stems if stem.isdecimal()}):
            yield config.approval_path(number), config.load_approval(self._root, number)

    def gate_failures(self) -> Iterator[tuple[Path, config.GateFailureRecord]]:
        """See `RecordSource`."""
        for name, record in config.load_gate_failures(self._root).items():
            yield config.GATE_FAILURES / f"{name}.yaml", record


class GitCommit:
    """The records and requests at `revision` of a repository. Uncommitted files do not count."""

    def __init__(self, repository: Repository, revision: str) -> None:
        self._repository = repository
        self.commit = repository.commit_of(revision)

    def requests(self) -> tuple[str, ...]:
        """The ids of every request, oldest first."""
        return tuple(path.stem for path in self._paths(config.REQUESTS))

    def request(self, name: str) -> config.RetrainRequest:
        """The request with that id. Raises ConfigError if it is invalid or does not exist."""
        path = config.REQUESTS / f"{name}.yaml"
        content = self._repository.show(self.commit, path) or b""
        return config.parse(content.decode("utf-8", "replace"), path, config.RetrainRequest)

    def approvals(self) -> Iterator[tuple[Path, config.ApprovalRecord]]:
        """See `RecordSource`."""
        return self._records(config.APPROVALS, config.ApprovalRecord)

    def gate_failures(self) -> Iterator[tuple[Path, config.GateFailureRecord]]:
        """See `RecordSource`."""
        return self._records(config.GATE_FAILURES, config.GateFailureRecord)

    def _records(self, folder: Path, kind: type[_File]) -> Iterator[tuple[Path, _File]]:
        parse: Callable[[str, Path, type[_File]], _File] = config.parse
        for path in self._paths(folder):
            content = self._repository.show(self.commit, path) or b""
            yield path, parse(content.decode("utf-8", "replace"), path, kind)

    def _paths(self, folder: Path) -> list[Path]:
        names = map(Path, self._repository.files(self.commit, folder))
        return sorted(path for path in names if path.suffix == ".yaml" and path.parent == folder)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """A record that names a request, the kind of its run, its creation time, and whether the gate failed."""

    request: str
    record: Path
    kind: config.RunKind
    """The kind of the run that resolved it."""
    created: datetime
    gate_failed: bool
    budget_exceeded: bool
    """Whether the record says that the alert budget is too small for any model."""


@dataclass(frozen=True)
class Resolutions:
    """Every pair of a request and a record that names it, oldest first.

    Two records can name one request, for example if two runs started before either ended. The oldest one resolves the
    request: no later record can change that it is no longer open. Later ones still count in the history of a cause.
    """

    history: tuple[Resolution, ...]

    def of(self, request: str) -> Resolution | None:
        """The record that resolved a request; None if the request is open."""
        return next((item for item in self.history if item.request == request), None)

    def open(self, requests: Iterable[str]) -> list[str]:
        """Those of `requests` that no record names, in their order."""
        resolved = {item.request for item in self.history}
        return [name for name in requests if name not in resolved]


def resolutions(source: RecordSource) -> Resolutions:
    """The resolutions of all requests that the records of `source` name; ConfigError if a record is invalid."""
    records: list[tuple[Path, config.ApprovalRecord | config.GateFailureRecord]]
    records = [*source.approvals(), *source.gate_failures()]
    found = [_resolution(name, path, record) for path, record in records for name in record.requests]
    return Resolutions(tuple(sorted(found, key=lambda item: (item.created, item.record))))


def _resolution(name: str, path: Path, record: config.ApprovalRecord | config.GateFailureRecord) -> Resolution:
    return Resolution(
        request=name,
        record=path,
        kind=record.kind,
        created=record.created,
        gate_failed=isinstance(record, config.GateFailureRecord),
        budget_exceeded=isinstance(record, config.GateFailureRecord) and record.budget_exceeded,
    )
