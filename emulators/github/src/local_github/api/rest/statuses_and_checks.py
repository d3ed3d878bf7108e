"""Commit statuses, check runs, deployments."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.rest.contents import revision
from local_github.api.router import Answer, Call
from local_github.domain import branch_protection
from local_github.domain.state import CheckRun, Deployment, DeploymentStatus, Status, now
from local_github.errors import ApiError, invalid, not_found

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>"
_STATES = {"error", "failure", "pending", "success"}
_DEPLOYMENT_STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
_BAD = {"failure", "timed_out", "cancelled", "action_required", "startup_failure"}
_MOST = 140  # characters of a description


def _status_create(call: Call) -> Answer:
    repository, sha = call.need("statuses"), call.params["sha"]
    if repository.git.kind(sha) != "commit":
        raise ApiError(422, f"No commit found for SHA: {sha}")
    state = request_fields.text(call, "Status", "state")
    if state not in _STATES:
        raise invalid("Status", "state")
    status = Status(
        id=call.github.state.new_id(),
        sha=sha,
        context=request_fields.optional(call, "Status", "context") or "default",
        state=state,
        description=request_fields.short(
            request_fields.optional(call, "Status", "description"), "Status", "description", _MOST
        ),
        target_url=request_fields.optional(call, "Status", "target_url"),
        creator=call.login,
        created=now(),
    )
    repository.statuses.append(status)
    return Answer(status=201, body=call.github.shapes(call.links).status(repository, status))


def _statuses(call: Call) -> list[Json]:
    repository, sha = call.need("statuses", "read"), revision(call, call.params["ref"])
    shapes = call.github.shapes(call.links)
    found = [status for status in reversed(repository.statuses) if status.sha == sha]
    return [shapes.status(repository, status) for status in call.page(found)]


def _combined(call: Call) -> Json:
    repository, sha = call.need("statuses", "read"), revision(call, call.params["ref"])
    shapes, found = call.github.shapes(call.links), branch_protection.latest(repository, sha)
    states = {status.state for status in found}
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return {
        "state": state,
        "sha": sha,
        "total_count": len(found),
        "statuses": [shapes.status(repository, status) for status in call.page(found)],
        "repository": shapes.repository(repository),
        "commit_url": shapes.at(repository, f"/commits/{sha}"),
        "url": shapes.at(repository, f"/commits/{sha}/status"),
    }


# -- check runs


def _check_create(call: Call) -> Answer:
    repository, sha = call.need("checks"), request_fields.text(call, "CheckRun", "head_sha")
    if call.principal is None or not call.principal.is_bot:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    if repository.git.kind(sha) != "commit":
        raise ApiError(422, f"No commit found for SHA: {sha}")
    check = CheckRun(
        id=call.github.state.new_id(),
        sha=sha,
        name=request_fields.text(call, "CheckRun", "name"),
        status="queued",
        conclusion=None,
        details_url=None,
        output={},
        started=now(),
        completed=None,
        app=call.login,
    )
    _change(call, check)
    repository.checks.append(check)
    return Answer(status=201, body=call.github.shapes(call.links).check(repository, check))


def _change(call: Call, check: CheckRun) -> None:
    check.name = request_fields.optional(call, "CheckRun", "name") or check.name
    check.status = request_fields.optional(call, "CheckRun", "status") or check.status
    check.details_url = request_fields.optional(call, "CheckRun", "details_url") or check.details_url
    conclusion = request_fields.optional(call, "CheckRun", "conclusion")
    if conclusion:
        check.status, check.conclusion, check.completed = "completed", conclusion, now()
    if isinstance(call.body.get("output"), dict):
        check.output = call.body["output"]


def _check(call: Call, level: str) -> CheckRun:
    repository = call.need("checks", "write" if level == "write" else "read")
    for check in repository.checks:
        if check.id == call.params["check"]:
            return check
    raise not_found()


def _check_get(call: Call) -> Json:
    return call.github.shapes(call.links).check(call.repository, _check(call, "read"))


def _check_edit(call: Call) -> Json:
    check = _check(call, "write")
    _change(call, check)
    return call.github.shapes(call.links).check(call.repository, check)


def checks_of(call: Call, sha: str) -> list[CheckRun]:
    """The check runs of a commit: those that Apps made, and the jobs of its workflow runs."""
    repository = call.repository
    known = {check.id for check in repository.checks}
    jobs = [
        CheckRun(
            id=job.id,
            sha=sha,
            name=job.name,
            status=job.status,
            conclusion=job.conclusion,
            details_url=call.github.shapes(call.links).page(repository, f"/actions/runs/{run.id}"),
            output={},
            started=run.created,
            completed=run.updated if job.conclusion else None,
            app="github-actions[bot]",
        )
        for run in call.github.run_source.runs_of(repository.full_name)
        if run.sha == sha
        for job in run.jobs
        if job.id not in known
    ]
    return [check for check in repository.checks if check.sha == sha] + jobs


def _checks(call: Call) -> Json:
    repository, sha = call.need("checks", "read"), revision(call, call.params["ref"])
    shapes = call.github.shapes(call.links)
    found = checks_of(call, sha)
    if call.query.get("check_name"):
        found = [check for check in found if check.name == call.query["check_name"]]
    return {"total_count": len(found), "check_runs": [shapes.check(repository, check) for check in call.page(found)]}


# -- deployments


def _deployment(call: Call, level: str = "read") -> Deployment:
    repository = call.need("deployments", "write" if level == "write" else "read")
    for deployment in repository.deployments:
        if deployment.id == call.params["deployment"]:
            return deployment
    raise not_found()


def _deployment_create(call: Call) -> Answer:
    repository = call.need("deployments")
    ref = request_fields.text(call, "Deployment", "ref")
    sha = repository.git.branch(ref) or repository.git.resolve(ref)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    wanted = call.body.get("required_contexts")
    known = {status.context: status.state for status in branch_protection.latest(repository, sha)}
    if (wanted is None and set(known.values()) - {"success"}) or any(
        known.get(name) != "success" for name in wanted or []
    ):
        raise ApiError(409, f"Conflict: Commit status checks failed for {ref}.")
    moment = now()
    deployment = Deployment(
        id=call.github.state.new_id(),
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
    return Answer(status=201, body=call.github.shapes(call.links).deployment(repository, deployment))


def _deployments(call: Call) -> list[Json]:
    repository, shapes = call.need("deployments", "read"), call.github.shapes(call.links)
    found = list(reversed(repository.deployments))
    for field in ("sha", "ref", "task", "environment"):
        wanted = call.query.get(field)
        if wanted and wanted != "none":
            found = [item for item in found if getattr(item, field) == wanted]
    return [shapes.deployment(repository, item) for item in call.page(found)]


def _deployment_get(call: Call) -> Json:
    return call.github.shapes(call.links).deployment(call.repository, _deployment(call))


def _deployment_status(call: Call) -> Answer:
    deployment = _deployment(call, "write")
    state = request_fields.text(call, "DeploymentStatus", "state")
    if state not in _DEPLOYMENT_STATES:
        raise invalid("DeploymentStatus", "state")
    description = request_fields.optional(call, "DeploymentStatus", "description")
    status = DeploymentStatus(
        id=call.github.state.new_id(),
        state=state,
        description=request_fields.short(description, "DeploymentStatus", "description", _MOST) or "",
        environment=request_fields.optional(call, "DeploymentStatus", "environment") or deployment.environment,
        environment_url=request_fields.optional(call, "DeploymentStatus", "environment_url") or "",
        log_url=request_fields.optional(call, "DeploymentStatus", "log_url") or "",
        creator=call.login,
        created=now(),
    )
    if state == "success" and call.body.get("auto_inactive", True):
        _retire(call, deployment)
    deployment.statuses.append(status)
    deployment.updated = status.created
    shape = call.github.shapes(call.links).deployment_status(call.repository, deployment, status)
    return Answer(status=201, body=shape)


def _retire(call: Call, current: Deployment) -> None:
    """Marks the environment's earlier successful deployments inactive, as GitHub does."""
    for other in call.repository.deployments:
        earlier = other is not current and other.environment == current.environment
        if earlier and other.statuses and other.statuses[-1].state == "success":
            last = other.statuses[-1]
            values = vars(last) | {"id": call.github.state.new_id(), "state": "inactive", "created": now()}
            other.statuses.append(DeploymentStatus(**values))


def _deployment_statuses(call: Call) -> list[Json]:
    deployment, shapes = _deployment(call), call.github.shapes(call.links)
    found = list(reversed(deployment.statuses))
    return [shapes.deployment_status(call.repository, deployment, status) for status in call.page(found)]


def _deployment_delete(call: Call) -> None:
    deployment = _deployment(call, "write")
    if deployment.statuses and deployment.statuses[-1].state == "success":
        raise ApiError(
            422, "We cannot delete an active deployment unless it is the only deployment in a given environment."
        )
    call.repository.deployments.remove(deployment)


ROUTES = [
    ("POST", f"{_AT}/statuses/<sha>", _status_create),
    ("GET", f"{_AT}/commits/<path:ref>/statuses", _statuses),
    ("GET", f"{_AT}/statuses/<path:ref>", _statuses),
    ("GET", f"{_AT}/commits/<path:ref>/status", _combined),
    ("POST", f"{_AT}/check-runs", _check_create),
    ("GET", f"{_AT}/check-runs/<int:check>", _check_get),
    ("PATCH", f"{_AT}/check-runs/<int:check>", _check_edit),
    ("GET", f"{_AT}/commits/<path:ref>/check-runs", _checks),
    ("POST", f"{_AT}/deployments", _deployment_create),
    ("GET", f"{_AT}/deployments", _deployments),
    ("GET", f"{_AT}/deployments/<int:deployment>", _deployment_get),
    ("DELETE", f"{_AT}/deployments/<int:deployment>", _deployment_delete),
    ("POST", f"{_AT}/deployments/<int:deployment>/statuses", _deployment_status),
    ("GET", f"{_AT}/deployments/<int:deployment>/statuses", _deployment_statuses),
]
