"""Reads what main says about models: approvals, retrain requests, gate failures, the schedule. Reads only Git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ml import config
from ml.gitops import serving_pointer
from ml.gitops.repository import Commit, Repository
from ml.records import retrain_requests
from ml.site.values import GateFailure, Request

DRIFT_WORKFLOW = Path(".github/workflows/drift.yml")
_CRON = re.compile(r"""^\s*-\s*cron:\s*["']([^"']+)["']""", re.M)
_DAILY = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")


@dataclass(frozen=True, kw_only=True)
class GitState:
    """The state of a branch at `commit`."""

    commit: str
    endpoint: str
    records: dict[int, config.ApprovalRecord]
    requests: tuple[Request, ...]
    gate_failures: tuple[GateFailure, ...]
    drift_rules: config.DriftFile
    gate: config.GateFile
    cron: str | None
    """The first cron line of drift.yml."""


def read(repository: Repository, revision: str) -> GitState:
    """The state at `revision`.

    Raises:
        GitError: there is no such revision.
        ConfigError: a record or a request is invalid; `fraudops validate` reports it too.
    """
    source = retrain_requests.GitCommit(repository, revision)
    resolutions = retrain_requests.resolutions(source)
    return GitState(
        commit=source.commit,
        endpoint=serving_pointer.read(repository, source.commit).endpoint,
        records={record.approval: record for _, record in source.approvals()},
        requests=tuple(
            Request(
                name=name,
                request=source.request(name),
                landed=_landed(repository, source.commit, config.REQUESTS / f"{name}.yaml"),
                resolution=resolutions.of(name),
            )
            for name in source.requests()
        ),
        gate_failures=tuple(
            GateFailure(record=record, landed=_landed(repository, source.commit, path))
            for path, record in source.gate_failures()
        ),
        drift_rules=config.parse(_text(repository, source.commit, config.DRIFT), config.DRIFT, config.DriftFile),
        gate=config.parse(_text(repository, source.commit, config.GATE), config.GATE, config.GateFile),
        cron=_cron(repository, source.commit),
    )


def next_run(cron: str | None, now: datetime) -> datetime | None:
    """When a daily cron line (`M H * * *`, UTC) fires next after `now`; None if there is none, or it is not daily."""
    found = _DAILY.fullmatch(cron or "")
    if found is None or int(found[1]) > 59 or int(found[2]) > 23:
        return None
    today = now.replace(hour=int(found[2]), minute=int(found[1]), second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _landed(repository: Repository, revision: str, path: Path) -> Commit:
    return repository.log(revision, path, first_parent=True)[-1]


def _cron(repository: Repository, revision: str) -> str | None:
    found = _CRON.search(_text(repository, revision, DRIFT_WORKFLOW))
    return found[1] if found else None


def _text(repository: Repository, revision: str, path: Path) -> str:
    return (repository.show(revision, path) or b"").decode("utf-8", "replace")
