"""The routes of Actions: workflows, runs, jobs, logs, artifacts, OIDC, and the emulator's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from local_github.actions import artifact_files, deployment_routes, serializers
from local_github.actions.dispatch_inputs import DispatchRefused
from local_github.actions.log_archive import log_archive
from local_github.actions.oidc_issuer import named_in_subject
from local_github.actions.override_program import artifact_id
from local_github.actions.run_records import Job, Run, read_log
from local_github.actions.service import Actions
from local_github.actions.workflow_file import WorkflowInvalid
from local_github.actions.workflow_index import find_workflows
from local_github.api.router import ApiResponse, Call, Router
from local_github.domain.records import Repository
from local_github.errors import ApiError, not_found

_REPOSITORY = "/api/v3/repos/<owner>/<name>"
_ACTIONS = f"{_REPOSITORY}/actions"
_RUN = f"{_ACTIONS}/runs/<int:run>"


def register(router: Router, actions: Actions) -> None:
    """Adds the routes of `actions`."""
    for method, pattern, handler in [*_ROUTES, *deployment_routes.ROUTES]:
        router.register(method, pattern, partial(handler, actions))


# --- workflows


def _workflows(actions: Actions, call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    found = [_workflow_json(actions, call, repository, path) for path in find_workflows(repository)]
    return {"total_count": len(found), "workflows": call.page(found)}


def _workflow_json(actions: Actions, call: Call, repository: Repository, path: str) -> dict[str, Any]:
    found = find_workflows(repository)[path]
    enabled = actions.is_enabled(repository.full_name, path)
    return serializers.workflow(call.serializer, repository, path, found, enabled=enabled)


def _path(call: Call, repository: Repository) -> str:
    """The workflow file with the id or file name in the path; 404 if the default branch has none."""
    wanted = call.params["workflow"]
    for path in find_workflows(repository):
        if wanted in (path, path.rpartition("/")[2], str(serializers.workflow_id(repository, path))):
            return path
    raise not_found()


def _workflow(actions: Actions, call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    return _workflow_json(actions, call, repository, _path(call, repository))


def _enable(actions: Actions, call: Call) -> None:
    repository = call.need("actions")
    enabled = call.request.path.endswith("/enable")
    actions.set_enabled(repository.full_name, _path(call, repository), enabled=enabled)


def _dispatch(actions: Actions, call: Call) -> ApiResponse:
    repository = call.need("actions")
    path, ref, given = _path(call, repository), call.body.get("ref"), call.body.get("inputs") or {}
    if not isinstance(ref, str) or not isinstance(given, dict):
        raise ApiError(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
    try:
        run = actions.dispatch(repository.full_name, path, ref, given, actor=call.login)
    except (DispatchRefused, WorkflowInvalid) as error:
        raise ApiError(422, str(error)) from error
    if call.body.get("return_run_details") is not True:
        return ApiResponse(status=204)
    serializer = call.serializer
    body = {
        "workflow_run_id": run.id,
        "run_url": serializer.api_url(repository, f"/actions/runs/{run.id}"),
        "html_url": serializer.page_url(repository, f"/actions/runs/{run.id}"),
    }
    return ApiResponse(status=200, body=body)


# --- runs


def _runs(actions: Actions, call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    path = _path(call, repository) if "workflow" in call.params else None
    query = call.query
    filters: dict[str, Callable[[Run], bool]] = {
        "branch": lambda run: run.branch == query["branch"],
        "event": lambda run: run.event == query["event"],
        "status": lambda run: query["status"] in (run.status, run.conclusion),
        "actor": lambda run: run.actor == query["actor"],
        "head_sha": lambda run: run.sha == query["head_sha"],
        "check_suite_id": lambda run: str(run.id) == query["check_suite_id"],
        "created": lambda run: _created_matches(run.created, query["created"]),
    }
    wanted = [matches for name, matches in filters.items() if query.get(name)]
    found = [run for run in actions.runs(repository.full_name) if path in (None, run.file)]
    found = [run for run in found if all(matches(run) for matches in wanted)]
    serializer = call.serializer
    return {
        "total_count": len(found),
        "workflow_runs": [serializers.run(serializer, repository, run) for run in call.page(found)],
    }


def _created_matches(created: str, wanted: str) -> bool:
    for sign, fits in ((">=", created >= wanted[2:]), ("<=", created[: len(wanted) - 2] <= wanted[2:])):
        if wanted.startswith(sign):
            return fits
    if wanted[0] in "<>":
        return created > wanted[1:] if wanted[0] == ">" else created < wanted[1:]
    first, dots, last = wanted.partition("..")
    return (
        (first == "*" or created >= first) and (last in ("", "*") or created[: len(last)] <= last)
        if dots
        else (created.startswith(wanted))
    )


def _find_run(actions: Actions, call: Call, *, write: bool = False) -> tuple[Repository, Run]:
    repository = call.need("actions", "write" if write else "read")
    for run in actions.runs(repository.full_name):
        if run.id == call.params["run"]:
            return repository, run
    raise not_found()


def _run(actions: Actions, call: Call) -> dict[str, Any]:
    repository, run = _find_run(actions, call)
    body = serializers.run(call.serializer, repository, run)
    return body | ({"run_attempt": call.params["attempt"]} if "attempt" in call.params else {})


def _jobs_of(run: Run, attempt: int) -> list[Job]:
    if attempt == run.attempt:
        return run.jobs
    if attempt not in run.earlier_jobs:
        raise not_found()
    return run.earlier_jobs[attempt]


def _jobs(actions: Actions, call: Call) -> dict[str, Any]:
    repository, run = _find_run(actions, call)
    serializer = call.serializer
    attempts = [call.params.get("attempt", run.attempt)]
    if call.query.get("filter") == "all":
        attempts = [*run.earlier_jobs, run.attempt]
    found = [(job, attempt) for attempt in attempts for job in list(_jobs_of(run, attempt))]
    page = [serializers.job(serializer, repository, run, job, attempt) for job, attempt in call.page(found)]
    return {"total_count": len(found), "jobs": page}


def _find_job(actions: Actions, call: Call) -> tuple[Repository, Run, Job, int]:
    repository = call.need("actions", "read", "checks")
    for run in actions.runs(repository.full_name):
        for attempt in (*run.earlier_jobs, run.attempt):
            for job in list(_jobs_of(run, attempt)):
                if job.id == call.params["job"]:
                    return repository, run, job, attempt
    raise not_found()


def _job(actions: Actions, call: Call) -> dict[str, Any]:
    repository, run, job, attempt = _find_job(actions, call)
    return serializers.job(call.serializer, repository, run, job, attempt)


def _annotations(actions: Actions, call: Call) -> list[dict[str, Any]]:
    _, _, job, _ = _find_job(actions, call)
    return [
        {
            "path": note.path or ".github",
            "start_line": note.line,
            "end_line": note.line,
            "start_column": None,
            "end_column": None,
            "annotation_level": note.level,
            "title": note.title,
            "message": note.message,
            "raw_details": "",
            "blob_href": "",
        }
        for note in call.page(job.annotations)
    ]


def _cancel(actions: Actions, call: Call) -> ApiResponse:
    _, run = _find_run(actions, call, write=True)
    if not actions.cancel(run.id, force=call.request.path.endswith("/force-cancel")):
        raise ApiError(409, "Cannot cancel a workflow run that is completed.")
    return ApiResponse(status=202, body={})


def _rerun(actions: Actions, call: Call) -> ApiResponse:
    _, run = _find_run(actions, call, write=True)
    try:
        actions.rerun(run.id, actor=call.login)
    except DispatchRefused as error:
        raise ApiError(403, str(error)) from error
    return ApiResponse(status=201, body={})


# --- logs and artifacts


def _run_logs(actions: Actions, call: Call) -> ApiResponse:
    _, run = _find_run(actions, call)
    attempt = call.params.get("attempt", run.attempt)
    return ApiResponse(body=log_archive(list(_jobs_of(run, attempt))), content_type="application/zip")


def _job_log(actions: Actions, call: Call) -> ApiResponse:
    _, _, job, _ = _find_job(actions, call)
    return ApiResponse(body=read_log(job.path, timestamps=True).encode(), content_type="text/plain; charset=utf-8")


def _artifacts(actions: Actions, call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    runs = [_find_run(actions, call)[1]] if "run" in call.params else actions.runs(repository.full_name)
    serializer, name = call.serializer, call.query.get("name")
    folders = [(run, folder) for run in runs if run.artifacts.is_dir() for folder in sorted(run.artifacts.iterdir())]
    wanted = [(run, folder) for run, folder in folders if name in (None, folder.name)]
    found = [serializers.artifact(serializer, repository, run, folder) for run, folder in call.page(wanted)]
    return {"total_count": len(wanted), "artifacts": found}


def _artifact(actions: Actions, call: Call) -> Any:
    repository = call.need("actions", "read")
    run, folder = _find_artifact(actions, repository, call)
    if call.request.path.endswith("/zip"):
        return artifact_files.response(folder)
    return serializers.artifact(call.serializer, repository, run, folder)


def _artifact_page(actions: Actions, call: Call) -> Any:
    """What a link to an artifact opens. As all pages, without a login."""
    repository = call.state.find(call.params["owner"], call.params["name"])
    if repository is None:
        raise not_found()
    return artifact_files.response(_find_artifact(actions, repository, call)[1])


def _find_artifact(actions: Actions, repository: Repository, call: Call) -> tuple[Run, Path]:
    for run in actions.runs(repository.full_name):
        for folder in run.artifacts.iterdir() if run.artifacts.is_dir() else ():
            if artifact_id(str(run.id), folder.name) == call.params["artifact"]:
                return run, folder
    raise not_found()


# --- routes that jobs call, and routes that GitHub does not have


def _schedule(actions: Actions, call: Call) -> dict[str, Any]:
    """Starts the schedules with a cron line; only in the emulator, for tests and simulations."""
    repository = call.need("actions")
    runs = actions.fire_schedule(str(call.body.get("cron", "")), repository.full_name)
    return {"runs": [run.id for run in runs]}


def _bearer(call: Call) -> str:
    return call.request.headers.get("Authorization", "").partition(" ")[2].strip()


def _oidc_token(actions: Actions, call: Call) -> dict[str, Any]:
    params = call.params
    audience = call.query.get("audience")
    token = actions.tokens.oidc_token(params["run"], params["attempt"], params["job"], _bearer(call), audience)
    return {"count": len(token), "value": token}


def _oidc_subject(actions: Actions, call: Call) -> dict[str, Any]:
    repository = call.need("actions", "read")
    with_ids = actions.issuer.with_ids
    named = named_in_subject(repository.full_name, repository.owner_id, repository.id, with_ids=with_ids)
    return {"use_default": True, "use_immutable_subject": with_ids, "sub_claim_prefix": f"repo:{named}"}


def _app_token(actions: Actions, call: Call) -> ApiResponse:
    body = call.body
    wanted = body.get("permissions") or {}
    app, token = actions.tokens.app_token(_bearer(call), str(body.get("app")), str(body.get("private_key")), wanted)
    return ApiResponse(status=201, body={"token": token, "installation_id": 1, "app_slug": app.slug})


def _keys(actions: Actions, call: Call) -> dict[str, Any]:
    if call.request.path.endswith("jwks"):
        return actions.issuer.jwks()
    return actions.issuer.configuration(f"{call.links.html}/_services/oidc")


_ROUTES: list[tuple[str, str, Callable[[Actions, Call], Any]]] = [
    ("GET", f"{_ACTIONS}/workflows", _workflows),
    ("GET", f"{_ACTIONS}/workflows/<path:workflow>", _workflow),
    ("PUT", f"{_ACTIONS}/workflows/<path:workflow>/enable", _enable),
    ("PUT", f"{_ACTIONS}/workflows/<path:workflow>/disable", _enable),
    ("POST", f"{_ACTIONS}/workflows/<path:workflow>/dispatches", _dispatch),
    ("GET", f"{_ACTIONS}/workflows/<path:workflow>/runs", _runs),
    ("GET", f"{_ACTIONS}/runs", _runs),
    ("GET", _RUN, _run),
    ("GET", f"{_RUN}/attempts/<int:attempt>", _run),
    ("GET", f"{_RUN}/jobs", _jobs),
    ("GET", f"{_RUN}/attempts/<int:attempt>/jobs", _jobs),
    ("GET", f"{_RUN}/logs", _run_logs),
    ("GET", f"{_RUN}/attempts/<int:attempt>/logs", _run_logs),
    ("POST", f"{_RUN}/cancel", _cancel),
    ("POST", f"{_RUN}/force-cancel", _cancel),
    ("POST", f"{_RUN}/rerun", _rerun),
    ("POST", f"{_RUN}/rerun-failed-jobs", _rerun),
    ("GET", f"{_RUN}/artifacts", _artifacts),
    ("GET", f"{_ACTIONS}/artifacts", _artifacts),
    ("GET", f"{_ACTIONS}/oidc/customization/sub", _oidc_subject),
    ("GET", f"{_ACTIONS}/artifacts/<int:artifact>", _artifact),
    ("GET", f"{_ACTIONS}/artifacts/<int:artifact>/zip", _artifact),
    ("GET", "/<owner>/<name>/actions/runs/<int:run>/artifacts/<int:artifact>", _artifact_page),
    ("GET", f"{_ACTIONS}/jobs/<int:job>", _job),
    ("GET", f"{_ACTIONS}/jobs/<int:job>/logs", _job_log),
    ("GET", f"{_REPOSITORY}/check-runs/<int:job>/annotations", _annotations),
    ("POST", f"{_REPOSITORY}/local/schedule", _schedule),
    ("POST", f"{_REPOSITORY}/local/app-token", _app_token),
    ("GET", "/_services/oidc/<int:run>/<int:attempt>/<job>", _oidc_token),
    ("GET", "/_services/oidc/.well-known/openid-configuration", _keys),
    ("GET", "/_services/oidc/.well-known/jwks", _keys),
]
