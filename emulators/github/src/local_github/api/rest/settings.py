"""Routes of `repository_dispatch` and of the settings of Actions: permissions and the form of OIDC subjects."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.errors import ApiError, invalid

_REPOSITORY = "/repos/<owner>/<name>"
_ACTIONS = f"{_REPOSITORY}/actions"
_SUBJECT_KEYS = {
    *("repo", "context", "environment", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    *("repository_visibility", "event_name", "ref", "ref_type", "ref_protected", "head_ref", "base_ref", "sha"),
    *("actor", "actor_id", "workflow", "workflow_ref", "workflow_sha", "job_workflow_ref", "job_workflow_sha"),
    *("run_id", "run_number", "run_attempt", "runner_environment"),
}
"""What the emulator's tokens have; a subject template may name these."""


def _repository_dispatch(call: Call) -> None:
    repository = call.need("contents")
    kind = request_fields.text(call, "RepositoryDispatch", "event_type")
    payload = call.body.get("client_payload", {})
    if len(kind) > 100:
        raise invalid("RepositoryDispatch", "event_type")
    if not isinstance(payload, dict) or len(payload) > 10:
        raise ApiError(422, "Invalid request.\n\nNo more than 10 properties are allowed in client_payload.")
    call.emitter.emit_on_default_branch(
        "repository_dispatch",
        repository,
        call.caller,
        action=kind,
        payload={"branch": repository.default_branch, "client_payload": payload},
    )


def _permissions(call: Call) -> dict[str, Any]:
    settings = call.need("administration", "read").settings
    body = {"enabled": settings["actions_enabled"], "allowed_actions": settings["allowed_actions"]}
    return body | {"sha_pinning_required": settings["sha_pinning_required"]}


def _set_permissions(call: Call) -> None:
    settings = call.need("administration").settings
    enabled, allowed = call.body.get("enabled"), call.body.get("allowed_actions", "all")
    pinned = call.body.get("sha_pinning_required", settings["sha_pinning_required"])
    if not isinstance(enabled, bool):
        raise invalid("ActionsPermissions", "enabled", "missing_field")
    if allowed not in ("all", "local_only", "selected"):
        raise invalid("ActionsPermissions", "allowed_actions")
    if allowed != "all" or pinned:
        raise ApiError(
            422, "The GitHub emulator restricts no actions: allowed_actions must be all, without SHA pinning"
        )
    settings["actions_enabled"] = enabled


def _workflow_permissions(call: Call) -> dict[str, Any]:
    settings = call.need("administration", "read").settings
    return {
        "default_workflow_permissions": settings["default_workflow_permissions"],
        "can_approve_pull_request_reviews": settings["can_approve_pull_request_reviews"],
    }


def _set_workflow_permissions(call: Call) -> None:
    settings = call.need("administration").settings
    if call.body.get("default_workflow_permissions", "read") not in ("read", "write"):
        raise invalid("WorkflowPermissions", "default_workflow_permissions")
    if not isinstance(call.body.get("can_approve_pull_request_reviews", False), bool):
        raise invalid("WorkflowPermissions", "can_approve_pull_request_reviews")
    for name in ("default_workflow_permissions", "can_approve_pull_request_reviews"):
        if name in call.body:
            settings[name] = call.body[name]


def _subject(call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    immutable = repository.settings["use_immutable_subject"]
    ids = f"{repository.owner}@{repository.owner_id}/{repository.name}@{repository.id}"
    claims = repository.settings["subject_claims"]
    return {
        "use_default": not claims,
        **({"include_claim_keys": list(claims)} if claims else {}),
        "use_immutable_subject": immutable,
        "sub_claim_prefix": f"repo:{ids if immutable else repository.full_name}",
    }


def _set_subject(call: Call) -> ApiResponse:
    settings = call.need("actions").settings
    default, claims = call.body.get("use_default"), call.body.get("include_claim_keys") or []
    if not isinstance(default, bool):
        raise invalid("OidcSubject", "use_default")
    if not isinstance(claims, list) or not set(map(str, claims)) <= _SUBJECT_KEYS:
        raise invalid("OidcSubject", "include_claim_keys")
    if not default and not claims:
        raise ApiError(422, "The GitHub emulator needs include_claim_keys where use_default is false")
    settings["subject_claims"] = () if default else tuple(claims)  # GitHub ignores the keys of the default template
    settings["use_immutable_subject"] = call.body.get("use_immutable_subject") is True
    return ApiResponse(status=201, body={})


ROUTES = [
    ("POST", f"{_REPOSITORY}/dispatches", _repository_dispatch),
    ("GET", f"{_ACTIONS}/permissions", _permissions),
    ("PUT", f"{_ACTIONS}/permissions", _set_permissions),
    ("GET", f"{_ACTIONS}/oidc/customization/sub", _subject),
    ("PUT", f"{_ACTIONS}/oidc/customization/sub", _set_subject),
    ("GET", f"{_ACTIONS}/permissions/workflow", _workflow_permissions),
    ("PUT", f"{_ACTIONS}/permissions/workflow", _set_workflow_permissions),
]
