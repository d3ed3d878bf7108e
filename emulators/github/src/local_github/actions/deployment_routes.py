"""The routes by which reviewers see and review the jobs that wait for an environment.

https://docs.github.com/rest/actions/workflow-runs#review-pending-deployments-for-a-workflow-run
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_github.actions.run_records import Run
from local_github.actions.service import Actions
from local_github.api.rest import environments
from local_github.api.rest.request_fields import text
from local_github.api.router import Call
from local_github.domain.environment_records import Environment
from local_github.domain.records import Deployment, Repository
from local_github.errors import ApiError, invalid, not_found
from local_github.serializers import deployments as serialize_deployments

_RUN = "/api/v3/repos/<owner>/<name>/actions/runs/<int:run>"
_STATES = ("approved", "rejected")


def _find(actions: Actions, call: Call, *, write: bool = False) -> tuple[Repository, Run]:
    repository = call.need("deployments" if write else "actions", "write" if write else "read")
    for run in actions.runs(repository.full_name):
        if run.id == call.params["run"]:
            return repository, run
    raise not_found()


def _short(call: Call, environment: Environment) -> dict[str, Any]:
    body = environments.to_json(call, environment)
    return {key: body[key] for key in ("id", "node_id", "name", "url", "html_url")}


def _pending(actions: Actions, call: Call) -> list[dict[str, Any]]:
    _, run = _find(actions, call)
    login = call.principal.login if call.principal else ""
    return [
        {
            "environment": _short(call, environment),
            "wait_timer": 0,
            "wait_timer_started_at": None,
            "current_user_can_approve": environment.may_review(login, run.triggered_by or run.actor),
            "reviewers": environments.reviewers_json(call, environment),
        }
        for environment in actions.gate.pending(run)
    ]


def _review(actions: Actions, call: Call) -> list[dict[str, Any]]:
    repository, run = _find(actions, call, write=True)
    ids, state = call.body.get("environment_ids"), text(call, "PendingDeployment", "state")
    comment = call.body.get("comment")
    if not isinstance(ids, list) or not ids or not all(isinstance(number, int) for number in ids):
        raise invalid("PendingDeployment", "environment_ids", "missing_field")
    if state not in _STATES:
        raise invalid("PendingDeployment", "state")
    if not isinstance(comment, str):
        raise invalid("PendingDeployment", "comment", "missing_field")
    if call.caller.is_bot:
        raise ApiError(403, "Resource not accessible by integration")
    reviewed = actions.gate.review(run, ids, state=state, comment=comment, reviewer=call.login)
    return [serialize_deployments.deployment(call.serializer, repository, _deployment(run, item)) for item in reviewed]


def _deployment(run: Run, environment: Environment) -> Deployment:
    """The deployment that the answer names; the emulator keeps no record of a job's deployment."""
    return Deployment(
        id=run.id,
        sha=run.sha,
        ref=run.branch,
        task="deploy",
        environment=environment.name,
        description=None,
        payload={},
        creator=run.triggered_by or run.actor,
        created=run.started,
        updated=run.updated,
    )


def _approvals(actions: Actions, call: Call) -> list[dict[str, Any]]:
    _, run = _find(actions, call)
    return [
        {
            "environments": [
                _short(call, environment) | {"created_at": environment.created, "updated_at": environment.updated}
                for environment in review.environments
            ],
            "state": review.state,
            "user": call.serializer.user(review.reviewer),
            "comment": review.comment,
        }
        for review in actions.gate.reviews(run)
    ]


ROUTES: list[tuple[str, str, Callable[[Actions, Call], Any]]] = [
    ("GET", f"{_RUN}/pending_deployments", _pending),
    ("POST", f"{_RUN}/pending_deployments", _review),
    ("GET", f"{_RUN}/approvals", _approvals),
]
