"""Resolves calls of reusable workflows: inputs, secrets, permissions and outputs. Runs nothing.

https://docs.github.com/actions/reference/workflows-and-actions/reusing-workflow-configurations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_github.actions import pre_run_expressions
from local_github.actions.workflow_file import Job, Level, Workflow, WorkflowInvalid

LEVELS_LIMIT = 10
_LOCAL = "./.github/workflows/"
_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "number": (int, float)}
_DEFAULTS: Mapping[str, Any] = {"string": "", "boolean": False, "number": 0}


def path_of(job: Job, where: str) -> str:
    """The path of the workflow file that a job calls.

    Raises:
        WorkflowInvalid: it is in another repository, which the emulator does not read.
    """
    uses = str(job.uses)
    if not uses.startswith(_LOCAL):
        raise WorkflowInvalid(
            f"{where}: uses {uses!r}: the GitHub emulator runs reusable workflows of the same repository only"
            f" ({_LOCAL}FILE)"
        )
    return uses.removeprefix("./")


def check(called: Workflow, where: str) -> Mapping[str, Any]:
    """The `workflow_call` block of a called file.

    Raises:
        WorkflowInvalid: it has none, or uses what the emulator does not apply to called workflows.
    """
    if "workflow_call" not in called.on:
        raise WorkflowInvalid(f"{where}: {called.path} has no on.workflow_call")
    if called.concurrency is not None or any(job.concurrency is not None for job in called.jobs):
        raise WorkflowInvalid(
            f"{where}: {called.path}: the GitHub emulator applies no concurrency inside reusable workflows"
        )
    return called.on["workflow_call"] or {}


def inputs(block: Mapping[str, Any], given: Any, contexts: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The `inputs` context of a called workflow, with defaults.

    Raises:
        WorkflowInvalid: an input is unknown, missing or of the wrong type.
    """
    declared = block.get("inputs") or {}
    values = pre_run_expressions.resolve(given or {}, contexts)
    for name in values:
        if name not in declared:
            raise WorkflowInvalid(f"{where}: with.{name}: the called workflow has no such input")
    found = {}
    for name, specification in declared.items():
        kind = str((specification or {}).get("type"))
        if kind not in _TYPES:
            raise WorkflowInvalid(f"{where}: the input {name} must have the type string, boolean or number")
        if name not in values and specification.get("required") is True:
            raise WorkflowInvalid(f"{where}: with.{name} is required")
        default = pre_run_expressions.resolve(specification.get("default", _DEFAULTS[kind]), contexts)
        value = values.get(name, default)
        if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
            value = pre_run_expressions.as_text(value)
        if not isinstance(value, _TYPES[kind]) or (kind == "number" and isinstance(value, bool)):
            raise WorkflowInvalid(f"{where}: with.{name} must be a {kind} (got {value!r})")
        found[str(name)] = value
    return found


def secrets(
    block: Mapping[str, Any], given: Any, available: Mapping[str, str], contexts: Mapping[str, Any], where: str
) -> dict[str, str]:
    """The secrets that a called workflow gets: all with `inherit`, else those that the caller names.

    Raises:
        WorkflowInvalid: a secret is unknown or a required one is missing.
    """
    if given == "inherit":
        return dict(available)
    declared = block.get("secrets") or {}
    scope = {**contexts, "secrets": dict(available)}
    passed = {
        str(name).upper(): pre_run_expressions.as_text(value)
        for name, value in pre_run_expressions.resolve(given or {}, scope).items()
    }
    for name in passed:
        if name not in {str(known).upper() for known in declared}:
            raise WorkflowInvalid(f"{where}: secrets.{name}: the called workflow has no such secret")
    for name, specification in declared.items():
        if (specification or {}).get("required") is True and not passed.get(str(name).upper()):
            raise WorkflowInvalid(f"{where}: secrets.{name} is required")
    return passed


def outputs(block: Mapping[str, Any], jobs: Mapping[str, Any], contexts: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a call; `jobs` maps the called jobs to their `result` and `outputs`."""
    scope = {**contexts, "jobs": dict(jobs)}
    return {
        str(name): pre_run_expressions.as_text(pre_run_expressions.resolve((entry or {}).get("value"), scope))
        for name, entry in (block.get("outputs") or {}).items()
    }


def capped(permissions: Mapping[str, Level], limit: Mapping[str, Level] | None) -> dict[str, Level]:
    """The permissions of a called job: at most those of the job that calls; None is no limit."""
    if limit is None:
        return dict(permissions)
    kept: dict[str, Level] = {}
    for scope, level in permissions.items():
        if scope in limit:
            kept[scope] = "write" if level == limit[scope] == "write" else "read"
    return kept
