"""Decides which workflows an event starts: all `on:` filters of GitHub, because act applies none.

Decides only: reads no repository and starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from local_github.actions import filter_patterns
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.domain.events import Event
from local_github.git.output_parser import ZERO

_PULL_REQUESTS = ("pull_request", "pull_request_target")
_DEFAULT_TYPES = {
    **dict.fromkeys(_PULL_REQUESTS, ("opened", "synchronize", "reopened")),
    "merge_group": ("checks_requested",),  # `destroyed` is a webhook, and starts nothing
}
_DISPATCHES = ("workflow_dispatch", "repository_dispatch")
"""Events that start workflows even if a workflow token causes them."""
_GITHUB_EVENTS = ("workflow_run", "schedule")
"""Events that GitHub itself causes."""
_SKIP_MARKER = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_SKIP_TRAILER = re.compile(r"\n\n(?:.*\n)*?skip-checks:\s*true\s*\Z", re.IGNORECASE)


def reason_to_ignore(event: Event) -> str | None:
    """Why an event starts no workflow, regardless of filters; None if it may start some."""
    if event.from_workflow_token and event.name not in (*_DISPATCHES, *_GITHUB_EVENTS):
        return "caused by a workflow token"
    if event.name == "push" and (event.payload.get("deleted") or event.sha == ZERO):
        return "the ref was deleted"
    if event.name == "pull_request" and not event.sha:
        return "the pull request conflicts with its base"
    return None


def has_skip_marker(message: str) -> bool:
    """Whether a head commit's message skips workflows, such as with [skip ci]."""
    return bool(_SKIP_MARKER.search(message) or _SKIP_TRAILER.search(message.replace("\r\n", "\n")))


def starts(workflow: Workflow, event: Event) -> bool:
    """Whether `event` starts `workflow`, by its `on:` filters.

    Raises:
        WorkflowInvalid: GitHub would refuse a filter.
    """
    if event.name not in workflow.on:
        return False
    filters = workflow.on[event.name]
    if event.name == "schedule":
        return any(entry.get("cron") == event.payload.get("schedule") for entry in filters)
    if not isinstance(filters, Mapping):
        raise WorkflowInvalid(f"{workflow.path}: on.{event.name} must be a mapping (got {filters!r})")
    _check_exclusive_filters(workflow, event.name, filters)
    if not _type_matches(event, filters):
        return False
    matches = _FILTERS.get(event.name)
    return matches is None or matches(event, filters)


def _type_matches(event: Event, filters: Mapping[str, Any]) -> bool:
    wanted = _strings(filters.get("types")) if "types" in filters else _DEFAULT_TYPES.get(event.name, ())
    return not wanted or event.action in wanted


def _push(event: Event, filters: Mapping[str, Any]) -> bool:
    _, kind, name = event.ref.split("/", 2)
    branch, tag = (any(key in filters for key in (of, f"{of}-ignore")) for of in ("branches", "tags"))
    if kind == "tags":
        return _name_matches(filters, "tags", name) if tag else not branch  # GitHub ignores paths for tags
    if tag and not branch:
        return False
    return _name_matches(filters, "branches", name) and (
        event.diff_too_large or _paths_match(filters, event.changed_files)
    )


def _pull_request(event: Event, filters: Mapping[str, Any]) -> bool:
    base = event.payload["pull_request"]["base"]["ref"]
    return _name_matches(filters, "branches", base) and _paths_match(filters, event.changed_files)


def _merge_group(event: Event, filters: Mapping[str, Any]) -> bool:
    return _name_matches(filters, "branches", event.payload["merge_group"]["base_ref"].removeprefix("refs/heads/"))


def _workflow_run(event: Event, filters: Mapping[str, Any]) -> bool:
    run = event.payload["workflow_run"]
    return run["name"] in _strings(filters.get("workflows")) and _name_matches(filters, "branches", run["head_branch"])


_FILTERS: Mapping[str, Callable[[Event, Mapping[str, Any]], bool]] = {
    "push": _push,
    "merge_group": _merge_group,
    "workflow_run": _workflow_run,
    **dict.fromkeys(_PULL_REQUESTS, _pull_request),
}


def _name_matches(filters: Mapping[str, Any], key: str, name: str) -> bool:
    if key in filters:
        return filter_patterns.selects(_strings(filters[key]), name)
    return not filter_patterns.selects(_strings(filters.get(f"{key}-ignore")), name)


def _paths_match(filters: Mapping[str, Any], files: Iterable[str]) -> bool:
    if "paths" in filters:
        return any(filter_patterns.selects(_strings(filters["paths"]), file) for file in files)
    if "paths-ignore" in filters:
        return any(not filter_patterns.selects(_strings(filters["paths-ignore"]), file) for file in files)
    return True


def _check_exclusive_filters(workflow: Workflow, event: str, filters: Mapping[str, Any]) -> None:
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
