"""Renders statuses and check runs of a commit as GraphQL nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from local_github.api.graphql.connections import Node, connection_field
from local_github.api.router import Call
from local_github.domain import branch_protection
from local_github.domain.branch_rules import HEADS, rules_of
from local_github.domain.check_runs import check_runs_of
from local_github.domain.events import RunView
from local_github.domain.records import CheckRun, Repository, Status
from local_github.serializers.base import node_id

_ROLLUP_STATE = {
    "success": "SUCCESS", "neutral": "SUCCESS", "skipped": "SUCCESS", "failure": "FAILURE", "error": "ERROR",
    "timed_out": "FAILURE", "cancelled": "FAILURE", "action_required": "FAILURE", "startup_failure": "FAILURE",
}  # fmt: skip


def status_check_rollup(call: Call, repository: Repository, sha: str) -> Node | None:
    """The statuses and check runs of a commit with their combined state; None if there are none."""
    statuses = branch_protection.latest_statuses(repository, sha)

    def run_page(run_id: int) -> str:
        return call.serializer.page_url(repository, f"/actions/runs/{run_id}")

    run_source = call.backend.run_source
    checks = check_runs_of(repository, run_source, sha, run_page)
    if not statuses and not checks:
        return None
    states = {status.state.upper() for status in statuses}
    states |= {_ROLLUP_STATE.get(check.conclusion or "", "PENDING") for check in checks}
    state = next(known for known in ("ERROR", "FAILURE", "PENDING", "SUCCESS") if known in states)
    heads = [name for name in repository.git.refs() if name.startswith(HEADS)]
    rules = [rule for name in heads for rule in rules_of(call.state, repository, name)]
    required = {context for rule in rules for context in rule.contexts}
    runs = {job.id: run for run in run_source.runs_of(repository.full_name) for job in run.jobs}
    nodes = [_check(check, required, runs.get(check.id)) for check in checks] + [
        _status(item, required) for item in statuses
    ]
    by_check = Counter((check.conclusion or check.status).upper() for check in checks)
    by_status = Counter(status.state.upper() for status in statuses)

    def context_connection(_: Any, **page: Any) -> Node:
        return connection_field(nodes, lambda item: item)(_, **page) | {
            "checkRunCount": len(checks),
            "checkRunCountsByState": [{"state": name, "count": count} for name, count in by_check.items()],
            "statusContextCount": len(statuses),
            "statusContextCountsByState": [{"state": name, "count": count} for name, count in by_status.items()],
        }

    return {"id": f"SCR_{sha}", "state": state, "contexts": context_connection}


def _status(status: Status, required: set[str]) -> Node:
    return {
        "__typename": "StatusContext",
        "id": node_id("SC", status.id),
        "context": status.context,
        "state": status.state.upper(),
        "targetUrl": status.target_url,
        "createdAt": status.created,
        "description": status.description,
        "isRequired": lambda _, **__: status.context in required,
    }


def _check(check: CheckRun, required: set[str], run: RunView | None) -> Node:
    workflow = {"id": f"WFR_{run.id}", "databaseId": run.id, "event": run.event, "runNumber": run.number,
                "workflow": {"id": f"W_{run.workflow}", "name": run.workflow}} if run else None  # fmt: skip
    return {
        "__typename": "CheckRun",
        "id": node_id("CR", check.id),
        "databaseId": check.id,
        "name": check.name,
        "status": check.status.upper(),
        "conclusion": check.conclusion.upper() if check.conclusion else None,
        "startedAt": check.started,
        "completedAt": check.completed,
        "detailsUrl": check.details_url,
        "title": check.output.get("title"),
        "summary": check.output.get("summary"),
        "checkSuite": {
            "id": f"CS_{check.id}",
            "workflowRun": workflow,
            "app": {"name": check.app, "slug": check.app},
        },
        "isRequired": lambda _, **__: check.name in required,
    }
