"""Routes of commit statuses and check runs."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.rest.contents import revision
from local_github.api.router import ApiResponse, Call
from local_github.domain import branch_protection
from local_github.domain.check_runs import check_runs_of
from local_github.domain.records import CheckRun, Status
from local_github.domain.tokens import Level
from local_github.errors import ApiError, invalid, not_found
from local_github.serializers import commit_checks

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>"
_STATES = {"error", "failure", "pending", "success"}
_DESCRIPTION_CHARACTERS = 140


def _status_create(call: Call) -> ApiResponse:
    repository, sha = call.need("statuses"), call.params["sha"]
    if repository.git.kind(sha) != "commit":
        raise ApiError(422, f"No commit found for SHA: {sha}")
    state = request_fields.text(call, "Status", "state")
    if state not in _STATES:
        raise invalid("Status", "state")
    status = Status(
        id=call.state.new_id(),
        sha=sha,
        context=request_fields.optional(call, "Status", "context") or "default",
        state=state,
        description=request_fields.limited(
            request_fields.optional(call, "Status", "description"), "Status", "description", _DESCRIPTION_CHARACTERS
        ),
        target_url=request_fields.optional(call, "Status", "target_url"),
        creator=call.login,
        created=call.state.now(),
    )
    repository.statuses.append(status)
    return ApiResponse(status=201, body=commit_checks.status(call.serializer, repository, status))


def _statuses(call: Call) -> list[Json]:
    repository, sha = call.need("statuses", "read"), revision(call, call.params["ref"])
    serializer = call.serializer
    found = [status for status in reversed(repository.statuses) if status.sha == sha]
    return [commit_checks.status(serializer, repository, status) for status in call.page(found)]


def _combined(call: Call) -> Json:
    repository, sha = call.need("statuses", "read"), revision(call, call.params["ref"])
    serializer, found = call.serializer, branch_protection.latest_statuses(repository, sha)
    states = {status.state for status in found}
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return {
        "state": state,
        "sha": sha,
        "total_count": len(found),
        "statuses": [commit_checks.status(serializer, repository, status) for status in call.page(found)],
        "repository": serializer.repository(repository),
        "commit_url": serializer.api_url(repository, f"/commits/{sha}"),
        "url": serializer.api_url(repository, f"/commits/{sha}/status"),
    }


# -- check runs


def _check_create(call: Call) -> ApiResponse:
    repository, sha = call.need("checks"), request_fields.text(call, "CheckRun", "head_sha")
    if call.principal is None or not call.principal.is_bot:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    if repository.git.kind(sha) != "commit":
        raise ApiError(422, f"No commit found for SHA: {sha}")
    check = CheckRun(
        id=call.state.new_id(),
        sha=sha,
        name=request_fields.text(call, "CheckRun", "name"),
        status="queued",
        conclusion=None,
        details_url=None,
        output={},
        started=call.state.now(),
        completed=None,
        app=call.login,
    )
    _apply_fields(call, check)
    repository.checks.append(check)
    return ApiResponse(status=201, body=commit_checks.check_run(call.serializer, repository, check))


def _apply_fields(call: Call, check: CheckRun) -> None:
    check.name = request_fields.optional(call, "CheckRun", "name") or check.name
    check.status = request_fields.optional(call, "CheckRun", "status") or check.status
    check.details_url = request_fields.optional(call, "CheckRun", "details_url") or check.details_url
    conclusion = request_fields.optional(call, "CheckRun", "conclusion")
    if conclusion:
        check.status, check.conclusion, check.completed = "completed", conclusion, call.state.now()
    if isinstance(call.body.get("output"), dict):
        check.output = call.body["output"]


def _find_check(call: Call, level: Level) -> CheckRun:
    repository = call.need("checks", level)
    for check in repository.checks:
        if check.id == call.params["check"]:
            return check
    raise not_found()


def _check_get(call: Call) -> Json:
    return commit_checks.check_run(call.serializer, call.repository, _find_check(call, "read"))


def _check_edit(call: Call) -> Json:
    check = _find_check(call, "write")
    _apply_fields(call, check)
    return commit_checks.check_run(call.serializer, call.repository, check)


def _checks(call: Call) -> Json:
    repository, sha = call.need("checks", "read"), revision(call, call.params["ref"])
    serializer = call.serializer

    def run_page(run_id: int) -> str:
        return call.serializer.page_url(repository, f"/actions/runs/{run_id}")

    found = check_runs_of(repository, call.backend.run_source, sha, run_page)
    if call.query.get("check_name"):
        found = [check for check in found if check.name == call.query["check_name"]]
    return {
        "total_count": len(found),
        "check_runs": [commit_checks.check_run(serializer, repository, check) for check in call.page(found)],
    }


ROUTES = [
    ("POST", f"{_AT}/statuses/<sha>", _status_create),
    ("GET", f"{_AT}/commits/<path:ref>/statuses", _statuses),
    ("GET", f"{_AT}/statuses/<path:ref>", _statuses),
    ("GET", f"{_AT}/commits/<path:ref>/status", _combined),
    ("POST", f"{_AT}/check-runs", _check_create),
    ("GET", f"{_AT}/check-runs/<int:check>", _check_get),
    ("PATCH", f"{_AT}/check-runs/<int:check>", _check_edit),
    ("GET", f"{_AT}/commits/<path:ref>/check-runs", _checks),
]
