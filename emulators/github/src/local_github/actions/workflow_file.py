"""Parses a workflow file: triggers, permissions, concurrency, jobs. Runs nothing.

YAML booleans follow version 1.2, as on GitHub, so that `on` is a key and not `true`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

Level = Literal["read", "write"]

SCOPES = (
    "actions",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
_DEFAULT: Mapping[str, Level] = {"contents": "read", "packages": "read"}
_JOB_ID = re.compile(r"[A-Za-z_][\w-]*\Z")
DEFAULT_TIMEOUT_MINUTES = 360.0


class WorkflowInvalid(ValueError):
    """A workflow that GitHub or the emulator refuses to run; the message says why."""


class _Loader(yaml.SafeLoader):
    """Booleans of YAML 1.2's core schema, no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":bool", ":timestamp"))]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_yaml(text: str, path: str) -> dict[str, Any]:
    """Parses a YAML mapping; WorkflowInvalid names `path`."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise WorkflowInvalid(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise WorkflowInvalid(f"{path}: must be a mapping (got {type(document).__name__})")
    return document


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """A `concurrency:` block; both values may contain expressions."""

    group: str
    cancel_in_progress: bool | str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One entry of `jobs:`; `permissions` are the effective ones, inherited from the workflow if not set."""

    id: str
    name: str
    labels: tuple[str, ...]
    permissions: Mapping[str, Level]
    environment: str | None
    timeout_minutes: float
    concurrency: Concurrency | None
    raw: Mapping[str, Any]

    def steps(self) -> Iterator[Mapping[str, Any]]:
        """The steps, in order."""
        yield from self.raw.get("steps") or ()


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow file; `on` maps each event to its filters, for all three forms of `on:`."""

    path: str
    name: str
    run_name: str | None
    on: Mapping[str, Any]
    concurrency: Concurrency | None
    jobs: tuple[Job, ...]

    def permissions(self) -> dict[str, Level]:
        """The permissions of the run's token: the union of its jobs' permissions."""
        union: dict[str, Level] = {}
        for job in self.jobs:
            for scope, level in job.permissions.items():
                if union.get(scope) != "write":
                    union[scope] = level
        return union


def parse(text: str, path: str) -> Workflow:
    """The workflow in `text`.

    Raises:
        WorkflowInvalid: it is not a valid workflow, or calls a reusable workflow.
    """
    document = load_yaml(text, path)
    if "on" not in document:
        raise WorkflowInvalid(f"{path}: has no `on`")
    jobs = document.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise WorkflowInvalid(f"{path}: has no jobs")
    top = _permissions(document.get("permissions", _DEFAULT), f"{path}: permissions")
    return Workflow(
        path=path,
        name=str(document.get("name") or path),
        run_name=document.get("run-name"),
        on=_events(document["on"], path),
        concurrency=_concurrency(document.get("concurrency"), path),
        jobs=tuple(_job(key, raw, top, path) for key, raw in jobs.items()),
    )


def _events(on: Any, path: str) -> dict[str, Any]:
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list) and all(isinstance(name, str) for name in on):
        return {name: {} for name in on}
    if isinstance(on, dict):
        return {str(name): filters if filters is not None else {} for name, filters in on.items()}
    raise WorkflowInvalid(f"{path}: `on` must be an event, a list of events or a mapping (got {on!r})")


def _job(key: str, raw: Any, top: Mapping[str, Level], path: str) -> Job:
    where = f"{path}: job {key}"
    if not isinstance(raw, dict) or not _JOB_ID.match(str(key)):
        raise WorkflowInvalid(f"{where}: must be a mapping under an id of letters, digits, '-' and '_'")
    if "uses" in raw:
        raise WorkflowInvalid(f"{where}: calls a reusable workflow, which the emulator does not run")
    if not raw.get("steps"):
        raise WorkflowInvalid(f"{where}: has no steps")
    environment = raw.get("environment")
    timeout = raw.get("timeout-minutes", DEFAULT_TIMEOUT_MINUTES)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        raise WorkflowInvalid(f"{where}: timeout-minutes must be a positive number (got {timeout!r})")
    return Job(
        id=str(key),
        name=str(raw.get("name") or key),
        labels=_labels(raw.get("runs-on"), where),
        permissions=_permissions(raw["permissions"], where) if "permissions" in raw else top,
        environment=environment.get("name") if isinstance(environment, dict) else environment,
        timeout_minutes=float(timeout),
        concurrency=_concurrency(raw.get("concurrency"), where),
        raw=raw,
    )


def _labels(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("labels")
    labels = [value] if isinstance(value, str) else value
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise WorkflowInvalid(f"{where}: runs-on must name the runner (got {value!r})")
    return tuple(labels)


def _permissions(value: Any, where: str) -> dict[str, Level]:
    if value is None:
        return {}
    if value in ("read-all", "write-all"):
        level: Level = "read" if value == "read-all" else "write"
        return {scope: level for scope in SCOPES if scope != "id-token" or level == "write"}
    if not isinstance(value, Mapping):
        raise WorkflowInvalid(f"{where}: permissions must be a mapping, read-all or write-all (got {value!r})")
    for scope, access in value.items():
        if scope not in SCOPES or access not in ("read", "write", "none"):
            raise WorkflowInvalid(f"{where}: unknown permission: {scope}: {access}")
    return {scope: access for scope, access in value.items() if access != "none"}


def _concurrency(value: Any, where: str) -> Concurrency | None:
    if value is None:
        return None
    if isinstance(value, str):
        return Concurrency(group=value, cancel_in_progress=False)
    if not isinstance(value, dict) or not isinstance(value.get("group"), str):
        raise WorkflowInvalid(f"{where}: concurrency must have a group (got {value!r})")
    if unknown := set(value) - {"group", "cancel-in-progress"}:
        raise WorkflowInvalid(f"{where}: concurrency has keys that act rejects: {', '.join(sorted(unknown))}")
    return Concurrency(group=value["group"], cancel_in_progress=value.get("cancel-in-progress", False))
