"""Routes of deployments and their statuses."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import branch_protection
from local_github.domain.records import Deployment, DeploymentStatus
from local_github.domain.tokens import Level
from local_github.errors import ApiError, invalid, not_found
from local_github.serializers import deployments

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/deployments"
_ONE = f"{_AT}/<int:deployment>"
_STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
_DESCRIPTION_CHARACTERS = 140


def _find(call: Call, level: Level = "read") -> Deployment:
    repository = call.need("deployments", level)
    for deployment in repository.deployments:
        if deployment.id == call.params["deployment"]:
            return deployment
    raise not_found()


def _create(call: Call) -> ApiResponse:
    repository = call.need("deployments")
    ref = request_fields.text(call, "Deployment", "ref")
    sha = repository.git.branch(ref) or repository.git.resolve(ref)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    wanted = call.body.get("required_contexts")
    known = {status.context: status.state for status in branch_protection.latest_statuses(repository, sha)}
    if (wanted is None and set(known.values()) - {"success"}) or any(
        known.get(name) != "success" for name in wanted or []
    ):
        raise ApiError(409, f"Conflict: Commit status checks failed for {ref}.")
    moment = call.state.now()
    deployment = Deployment(
        id=call.state.new_id(),
        sha=sha,
        ref=ref,
        task=request_fields.optional(call, "Deployment", "task") or "deploy",
        environment=request_fields.optional(call, "Deployment", "environment") or "production",
        description=request_fields.optional(call, "Deployment", "description"),
        payload=call.body.get("payload", {}),
        creator=call.login,
        created=moment,
        updated=moment,
    )
    repository.deployments.append(deployment)
    return ApiResponse(status=201, body=deployments.deployment(call.serializer, repository, deployment))


def _list(call: Call) -> list[Json]:
    repository, serializer = call.need("deployments", "read"), call.serializer
    found = list(reversed(repository.deployments))
    for field in ("sha", "ref", "task", "environment"):
        wanted = call.query.get(field)
        if wanted and wanted != "none":
            found = [item for item in found if getattr(item, field) == wanted]
    return [deployments.deployment(serializer, repository, item) for item in call.page(found)]


def _get(call: Call) -> Json:
    return deployments.deployment(call.serializer, call.repository, _find(call))


def _status_create(call: Call) -> ApiResponse:
    deployment = _find(call, "write")
    state = request_fields.text(call, "DeploymentStatus", "state")
    if state not in _STATES:
        raise invalid("DeploymentStatus", "state")
    description = request_fields.optional(call, "DeploymentStatus", "description")
    status = DeploymentStatus(
        id=call.state.new_id(),
        state=state,
        description=request_fields.limited(description, "DeploymentStatus", "description", _DESCRIPTION_CHARACTERS)
        or "",
        environment=request_fields.optional(call, "DeploymentStatus", "environment") or deployment.environment,
        environment_url=request_fields.optional(call, "DeploymentStatus", "environment_url") or "",
        log_url=request_fields.optional(call, "DeploymentStatus", "log_url") or "",
        creator=call.login,
        created=call.state.now(),
    )
    if state == "success" and call.body.get("auto_inactive", True):
        _deactivate_others(call, deployment)
    deployment.statuses.append(status)
    deployment.updated = status.created
    body = deployments.deployment_status(call.serializer, call.repository, deployment, status)
    return ApiResponse(status=201, body=body)


def _deactivate_others(call: Call, current: Deployment) -> None:
    """Marks the environment's other successful deployments inactive, as GitHub does."""
    for other in call.repository.deployments:
        earlier = other is not current and other.environment == current.environment
        if earlier and other.statuses and other.statuses[-1].state == "success":
            last = other.statuses[-1]
            values = vars(last) | {"id": call.state.new_id(), "state": "inactive", "created": call.state.now()}
            other.statuses.append(DeploymentStatus(**values))


def _statuses(call: Call) -> list[Json]:
    deployment, serializer = _find(call), call.serializer
    found = list(reversed(deployment.statuses))
    return [
        deployments.deployment_status(serializer, call.repository, deployment, status) for status in call.page(found)
    ]


def _delete(call: Call) -> None:
    deployment = _find(call, "write")
    if deployment.statuses and deployment.statuses[-1].state == "success":
        raise ApiError(
            422, "We cannot delete an active deployment unless it is the only deployment in a given environment."
        )
    call.repository.deployments.remove(deployment)


ROUTES = [
    ("POST", _AT, _create),
    ("GET", _AT, _list),
    ("GET", _ONE, _get),
    ("DELETE", _ONE, _delete),
    ("POST", f"{_ONE}/statuses", _status_create),
    ("GET", f"{_ONE}/statuses", _statuses),
]
