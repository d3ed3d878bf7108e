"""Validates repository rulesets: accepts the rules that the emulator enforces and refuses all others by name.

https://docs.github.com/rest/repos/rules
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_github.domain.branch_rules import MERGE_METHODS, is_administrator
from local_github.domain.in_memory_store import State
from local_github.errors import ApiError

_REVIEW_DEFAULTS: Mapping[str, Any] = {
    "required_approving_review_count": 0,
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_review_thread_resolution": False,
    "allowed_merge_methods": list(MERGE_METHODS),
}
_CHECK_DEFAULTS: Mapping[str, Any] = {
    "strict_required_status_checks_policy": False,
    "do_not_enforce_on_create": False,
    "required_status_checks": [],
}
_QUEUE_DEFAULTS: Mapping[str, Any] = {
    "check_response_timeout_minutes": 60,
    "grouping_strategy": "ALLGREEN",
    "max_entries_to_build": 5,
    "max_entries_to_merge": 5,
    "merge_method": "MERGE",
    "min_entries_to_merge": 1,
    "min_entries_to_merge_wait_minutes": 5,
}
_QUEUE_RANGES: Mapping[str, tuple[int, int]] = {
    "check_response_timeout_minutes": (1, 360),
    "max_entries_to_build": (1, 100),
    "max_entries_to_merge": (1, 100),
    "min_entries_to_merge_wait_minutes": (0, 360),
}
_PLAIN = ("deletion", "non_fast_forward")
_MODES = ("always", "pull_request")


def _refuse(message: str) -> ApiError:
    return ApiError(422, "Validation Failed", [message])


def normalise(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of a ruleset's settings: name, target, enforcement, bypass actors, conditions, rules.

    Raises:
        ApiError: 422 that names the member which is wrong or not enforced.
    """
    name, enforcement, target = body.get("name"), body.get("enforcement"), body.get("target", "branch")
    if not isinstance(name, str) or not name:
        raise _refuse("name is required")
    if enforcement not in ("active", "disabled"):
        raise _refuse(f"enforcement must be active or disabled; the GitHub emulator has no {enforcement!r}")
    if target != "branch":
        raise _refuse(f"target: the GitHub emulator enforces rulesets of branches only (got {target!r})")
    return {
        "name": name,
        "target": target,
        "enforcement": enforcement,
        "bypass_actors": [_actor(state, actor) for actor in _items(body, "bypass_actors")],
        "conditions": _conditions(body.get("conditions")),
        "rules": [_rule(state, rule) for rule in _items(body, "rules")],
    }


def _items(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise _refuse(f"{name} must be a list of objects (got {value!r})")
    return value


def _actor(state: State, actor: Mapping[str, Any]) -> dict[str, Any]:
    kind, number, mode = actor.get("actor_type"), actor.get("actor_id"), actor.get("bypass_mode", "always")
    if mode not in _MODES:
        raise _refuse(f"bypass_actors: bypass_mode must be one of {', '.join(_MODES)} (got {mode!r})")
    if kind == "Integration":
        if number not in state.app_ids.values():
            raise _refuse(f"bypass_actors: no App with the id {number!r} is installed")
    elif not is_administrator(str(kind), number):
        raise _refuse(
            f"bypass_actors: the GitHub emulator knows Integration, OrganizationAdmin 1 and RepositoryRole 5 (got "
            f"{kind} {number!r})"
        )
    return {"actor_id": number, "actor_type": kind, "bypass_mode": mode}


def _conditions(value: Any) -> dict[str, Any]:
    names = (value or {}).get("ref_name") if isinstance(value, Mapping) or value is None else None
    names = names or {}
    found = {key: names.get(key) or [] for key in ("include", "exclude")} if isinstance(names, Mapping) else {}
    lists = bool(found) and all(isinstance(items, list) for items in found.values())
    if not lists or not all(isinstance(item, str) for items in found.values() for item in items):
        raise _refuse(f"conditions.ref_name must have the lists include and exclude (got {value!r})")
    return {"ref_name": found}


def _rule(state: State, rule: Mapping[str, Any]) -> dict[str, Any]:
    kind, given = rule.get("type"), rule.get("parameters") or {}
    if kind in _PLAIN:
        return {"type": kind}
    if kind == "pull_request":
        parameters = _parameters(kind, given, _REVIEW_DEFAULTS)
        if parameters["required_review_thread_resolution"]:
            raise _refuse("pull_request.required_review_thread_resolution: the GitHub emulator has no review threads")
        methods = parameters["allowed_merge_methods"]
        if not methods or any(method not in MERGE_METHODS for method in methods):
            raise _refuse(
                f"pull_request.allowed_merge_methods must name one or more of {', '.join(MERGE_METHODS)} "
                f"(got {methods!r})"
            )
        return {"type": kind, "parameters": parameters}
    if kind == "required_status_checks":
        parameters = _parameters(kind, given, _CHECK_DEFAULTS)
        for check in parameters["required_status_checks"]:
            known = isinstance(check, Mapping) and isinstance(check.get("context"), str)
            if not known or not isinstance(check.get("integration_id", 0), int):
                raise _refuse(f"required_status_checks: must have context and perhaps integration_id (got {check!r})")
            if "integration_id" in check and check["integration_id"] not in state.app_ids.values():
                raise _refuse(f"required_status_checks: no App with the id {check['integration_id']!r} is installed")
        return {"type": kind, "parameters": parameters}
    if kind == "merge_queue":
        return {"type": kind, "parameters": _queue(_parameters(kind, given, _QUEUE_DEFAULTS))}
    raise _refuse(f"rules: the GitHub emulator does not enforce {kind!r}")


def _queue(parameters: dict[str, Any]) -> dict[str, Any]:
    for name, (low, high) in _QUEUE_RANGES.items():
        if not low <= parameters[name] <= high:
            raise _refuse(f"merge_queue.{name} must be from {low} to {high} (got {parameters[name]})")
    if parameters["merge_method"] not in ("MERGE", "SQUASH"):
        raise _refuse(
            f"merge_queue.merge_method: the GitHub emulator has MERGE and SQUASH (got {parameters['merge_method']!r})"
        )
    if parameters["grouping_strategy"] != "ALLGREEN" or parameters["min_entries_to_merge"] != 1:
        raise _refuse(
            "merge_queue: the GitHub emulator checks and merges each entry by itself: grouping_strategy must be "
            "ALLGREEN and min_entries_to_merge 1"
        )
    return parameters


def _parameters(kind: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in defaults:
            raise _refuse(f"{kind}.{name}: the GitHub emulator does not enforce it")
        if type(value) is not type(defaults[name]):
            raise _refuse(f"{kind}.{name} must be a {type(defaults[name]).__name__} (got {value!r})")
    return {**defaults, **given}
