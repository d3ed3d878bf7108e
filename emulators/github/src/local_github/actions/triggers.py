"""Decides which workflows an event starts: GitHub's `on:` filters, in full, because act applies none of them.

Decides only: it reads no repository and starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from local_github.actions import filter_patterns
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.domain.events import Event

_PULL_REQUESTS = ("pull_request", "pull_request_target")
_DEFAULT_TYPES = dict.fromkeys(_PULL_REQUESTS, ("opened", "synchronize", "reopened"))
_ALWAYS = ("workflow_dispatch", "repository_dispatch")
"""What even a workflow's own token may start."""
_NO_TOKEN_NEEDED = ("workflow_run", "schedule")
"""Events of GitHub itself, whoever caused what led to them."""
_SKIP = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_SKIP_TRAILER = re.compile(r"\n\n(?:.*\n)*?skip-checks:\s*true\s*\Z", re.IGNORECASE)
_ZERO = "0" * 40


def starts_nothing(event: Event) -> str | None:
    """Why `event` starts no workflow at all, whatever their filters say; None where it may start some."""
    if event.from_workflow_token and event.name not in (*_ALWAYS, *_NO_TOKEN_NEEDED):
        return "caused by a workflow's own token"
    if event.name == "push" and (event.payload.get("deleted") or event.sha == _ZERO):
        return "the ref was deleted"
    if event.name == "pull_request" and not event.sha:
        return "the pull request conflicts with its base"
    return None


def skips(message: str) -> bool:
    """Whether a head commit's message asks that its push or pull request start nothing."""
    return bool(_SKIP.search(message) or _SKIP_TRAILER.search(message.replace("\r\n", "\n")))


def fires(workflow: Workflow, event: Event) -> bool:
    """Whether `event` starts `workflow`, by what its `on:` says about the event.

    Raises:
        WorkflowInvalid: a filter that GitHub would not take.
    """
    if event.name not in workflow.on:
        return False
    filters = workflow.on[event.name]
    if event.name == "schedule":
        return any(entry.get("cron") == event.payload.get("schedule") for entry in filters)
    if not isinstance(filters, Mapping):
        raise WorkflowInvalid(f"{workflow.path}: on.{event.name} must be a mapping (got {filters!r})")
    _check(workflow, event.name, filters)
    if not _type_fits(event, filters):
        return False
    test = _FILTERS.get(event.name)
    return test is None or test(event, filters)


def _type_fits(event: Event, filters: Mapping[str, Any]) -> bool:
    wanted = _strings(filters.get("types")) if "types" in filters else _DEFAULT_TYPES.get(event.name, ())
    return not wanted or event.action in wanted


def _push(event: Event, filters: Mapping[str, Any]) -> bool:
    _, kind, name = event.ref.split("/", 2)
    branch, tag = (any(key in filters for key in (of, f"{of}-ignore")) for of in ("branches", "tags"))
    if kind == "tags":
        return _named(filters, "tags", name) if tag else not branch  # paths are not looked at for tags
    if tag and not branch:
        return False
    return _named(filters, "branches", name) and _changed(filters, event.changed_files)


def _pull_request(event: Event, filters: Mapping[str, Any]) -> bool:
    base = event.payload["pull_request"]["base"]["ref"]
    return _named(filters, "branches", base) and _changed(filters, event.changed_files)


def _workflow_run(event: Event, filters: Mapping[str, Any]) -> bool:
    run = event.payload["workflow_run"]
    return run["name"] in _strings(filters.get("workflows")) and _named(filters, "branches", run["head_branch"])


_FILTERS: Mapping[str, Callable[[Event, Mapping[str, Any]], bool]] = {
    "push": _push,
    "workflow_run": _workflow_run,
    **dict.fromkeys(_PULL_REQUESTS, _pull_request),
}


def _named(filters: Mapping[str, Any], key: str, name: str) -> bool:
    if key in filters:
        return filter_patterns.selected(_strings(filters[key]), name)
    return not filter_patterns.selected(_strings(filters.get(f"{key}-ignore")), name)


def _changed(filters: Mapping[str, Any], files: Iterable[str]) -> bool:
    if "paths" in filters:
        return any(filter_patterns.selected(_strings(filters["paths"]), file) for file in files)
    if "paths-ignore" in filters:
        return any(not filter_patterns.selected(_strings(filters["paths-ignore"]), file) for file in files)
    return True


def _check(workflow: Workflow, event: str, filters: Mapping[str, Any]) -> None:
    for key in ("branches", "tags", "paths"):
        if key in filters and f"{key}-ignore" in filters:
            raise WorkflowInvalid(f"{workflow.path}: on.{event}: {key} and {key}-ignore exclude each other")


def _strings(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise WorkflowInvalid(f"a filter must be text or a list of texts (got {value!r})")
    return values
