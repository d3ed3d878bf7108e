"""Parses a workflow file: triggers, permissions, concurrency, jobs. Runs nothing.

YAML booleans follow version 1.2, as on GitHub, so that `on` is a key and not `true`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment] # the same methods

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


class _Loader(SafeLoader):
    """Booleans and numbers of YAML 1.2's core schema, no dates: `12:30` and `on` are text, `010` is ten."""


_YAML_1_1 = (":bool", ":timestamp", ":int", ":float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith(_YAML_1_1)]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_CORE = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text[2:], 8) if text.startswith("0o") else int(text[2:], 16) if text.startswith("0x") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


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
    """One entry of `jobs:`; `permissions` are the effective ones, inherited from the workflow if not set.

    `name`, `environment`, `timeout_minutes` and the values of `raw` may contain expressions.
    """

    id: str
    name: str
    needs: tuple[str, ...]
    uses: str | None
    """The reusable workflow that the job calls instead of running steps."""
    permissions: Mapping[str, Level]
    default_permissions: bool
    """Neither the job nor the workflow sets permissions, so the repository's setting applies."""
    environment: str | None
    timeout_minutes: float | str
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
    raw: Mapping[str, Any]

    def job(self, key: str) -> Job:
        """The job with that id, which must exist."""
        return next(job for job in self.jobs if job.id == key)


def parse(text: str, path: str) -> Workflow:
    """The workflow in `text`.

    Raises:
        WorkflowInvalid: it is not a valid workflow.
    """
    document = load_yaml(text, path)
    if "on" not in document:
        raise WorkflowInvalid(f"{path}: has no `on`")
    jobs = document.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise WorkflowInvalid(f"{path}: has no jobs")
    top = _permissions(document["permissions"], f"{path}: permissions") if "permissions" in document else None
    parsed = tuple(_job(key, raw, top, path) for key, raw in jobs.items())
    _check_needs(parsed, path)
    return Workflow(
        path=path,
        name=str(document.get("name") or path),
        run_name=document.get("run-name"),
        on=_events(document["on"], path),
        concurrency=_concurrency(document.get("concurrency"), path),
        jobs=parsed,
        raw=document,
    )


def _events(on: Any, path: str) -> dict[str, Any]:
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list) and all(isinstance(name, str) for name in on):
        return {name: {} for name in on}
    if isinstance(on, dict):
        return {str(name): filters if filters is not None else {} for name, filters in on.items()}
    raise WorkflowInvalid(f"{path}: `on` must be an event, a list of events or a mapping (got {on!r})")


def _check_needs(jobs: tuple[Job, ...], path: str) -> None:
    """Refuses needs of unknown jobs and circles."""
    known: set[str] = set()
    left = list(jobs)
    for job in jobs:
        for need in job.needs:
            if need not in {other.id for other in jobs}:
                raise WorkflowInvalid(f"{path}: job {job.id}: needs the job {need!r}, which does not exist")
    while ready := [job for job in left if known.issuperset(job.needs)]:
        known.update(job.id for job in ready)
        left = [job for job in left if job.id not in known]
    if left:
        raise WorkflowInvalid(f"{path}: jobs need each other in a circle: {', '.join(job.id for job in left)}")


def _job(key: str, raw: Any, top: Mapping[str, Level] | None, path: str) -> Job:
    where = f"{path}: job {key}"
    if not isinstance(raw, dict) or not _JOB_ID.match(str(key)):
        raise WorkflowInvalid(f"{where}: must be a mapping under an id of letters, digits, '-' and '_'")
    uses = raw.get("uses")
    if uses is None and not raw.get("steps"):
        raise WorkflowInvalid(f"{where}: has no steps")
    if uses is not None and ("steps" in raw or "runs-on" in raw):
        raise WorkflowInvalid(f"{where}: calls a reusable workflow and so has neither steps nor runs-on")
    if uses is None:
        labels(raw.get("runs-on"), where)
    environment = raw.get("environment")
    timeout = raw.get("timeout-minutes", DEFAULT_TIMEOUT_MINUTES)
    own = _permissions(raw["permissions"], where) if "permissions" in raw else None
    return Job(
        id=str(key),
        name=str(raw.get("name") or key),
        needs=_names(raw.get("needs"), where),
        uses=None if uses is None else str(uses),
        permissions=own if own is not None else top if top is not None else _DEFAULT,
        default_permissions=own is None and top is None,
        environment=environment.get("name") if isinstance(environment, dict) else environment,
        timeout_minutes=timeout if isinstance(timeout, str) else timeout_minutes(timeout, where),
        concurrency=_concurrency(raw.get("concurrency"), where),
        raw=raw,
    )


def timeout_minutes(value: Any, where: str) -> float:
    """A job's timeout; WorkflowInvalid if it is not a positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise WorkflowInvalid(f"{where}: timeout-minutes must be a positive number (got {value!r})")
    return float(value)


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WorkflowInvalid(f"{where}: needs must be the id of a job or a list of ids (got {value!r})")
    return tuple(names)


def labels(value: Any, where: str) -> tuple[str, ...]:
    """The labels of `runs-on`, in each of its forms."""
    if isinstance(value, dict):
        value = value.get("labels")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise WorkflowInvalid(f"{where}: runs-on must name the runner (got {value!r})")
    return tuple(names)


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
