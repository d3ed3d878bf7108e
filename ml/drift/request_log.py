"""Reads from Git which retrain requests of each cause exist at a commit, when they were created and resolved.

Reads the commit, not the work tree: a drift check that runs while others push must not repeat a request of main.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ml import config
from ml.gitops.repository import Repository
from ml.model.run_kinds import DROP, RunKind
from ml.records import retrain_requests
from ml.records.retrain_requests import GitCommit, Resolution, Resolutions


class RequestLog:
    """The requests and their resolutions at `revision`.

    Raises (on first access of a property):
        ConfigError: a record is invalid; `fraudops validate` reports it too.
    """

    def __init__(self, repository: Repository, revision: str) -> None:
        self._repository = repository
        self._source = GitCommit(repository, revision)

    @cached_property
    def requests(self) -> tuple[str, ...]:
        """The ids of every request, oldest first."""
        return self._source.requests()

    @cached_property
    def resolutions(self) -> Resolutions:
        """The resolutions of all requests."""
        return retrain_requests.resolutions(self._source)

    def open(self, cause: str) -> list[str]:
        """The open requests of a cause, oldest first."""
        return self.resolutions.open(name for name in self.requests if cause_of(name) == cause)

    def resolved(self, cause: str) -> list[Resolution]:
        """The resolutions of a cause's requests, oldest first."""
        return [item for item in self.resolutions.history if cause_of(item.request) == cause]

    def failed_runs(self, kind: RunKind) -> list[Resolution]:
        """The gate failures of runs of a kind, of all causes, oldest first."""
        return [item for item in self.resolutions.history if item.gate_failed and item.kind == kind]

    def frauds_of(self, name: str) -> int | None:
        """The labelled frauds in the window of a request of the drift check; None if it does not state them."""
        data = self._source.request(name).evidence.get("data")
        frauds = data.get("frauds") if isinstance(data, dict) else None
        return frauds if isinstance(frauds, int) else None

    def consecutive_gate_failures(self, cause: str, run_kind: RunKind) -> dict[str, RunKind]:
        """The gate failures that resolved a cause's requests since its last approval, with the kind of their runs.

        By the record's name, oldest first. A run that drops a part and the other kinds do not count for each other:
        that no model learns new frauds does not show that the part for ended ones cannot be dropped.
        """
        failures: dict[str, RunKind] = {}
        for item in self.resolved(cause):
            if item.gate_failed and (item.kind == DROP) != (run_kind == DROP):
                continue
            failures = {**failures, item.record.stem: item.kind} if item.gate_failed else {}
        return failures

    def budget_exceeded(self) -> str | None:
        """The gate failure that says that the alert budget is too small for any model; None if it is not the latest.

        By the record's name. A model that passes later ends it, as does a later failure for another reason.
        """
        latest = self.resolutions.history[-1:]
        return latest[0].record.stem if latest and latest[0].budget_exceeded else None

    def created_in_month(self, moment: datetime, causes: Collection[str]) -> list[str]:
        """The requests of `causes` whose commit time is in the month of `moment` (UTC)."""
        month = moment.astimezone(UTC).strftime("%Y%m")
        return [
            name
            for name in self.requests
            if cause_of(name) in causes and self._commit_time(name).strftime("%Y%m") == month
        ]

    def kind_of(self, name: str) -> RunKind:
        """The kind of run that a request asks for. ConfigError if the request is invalid."""
        return self._source.request(name).kind

    def commit_of(self, name: str) -> str | None:
        """The commit that added a request; None if there is no such request."""
        commits = self._repository.log(self._source.commit, _path(name))
        return commits[-1].sha if commits else None

    def _commit_time(self, name: str) -> datetime:
        return self._repository.log(self._source.commit, _path(name))[-1].time.astimezone(UTC)


def cause_of(name: str) -> str:
    """The cause in a request's id."""
    return name.partition("Z-")[2]


def _path(name: str) -> Path:
    return config.REQUESTS / f"{name}.yaml"
