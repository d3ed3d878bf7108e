"""Computes the title, contexts, environment variables and OIDC subject of a run, before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_github.actions import pre_run_expressions
from local_github.actions.oidc_issuer import Subject
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow
from local_github.domain import branch_protection
from local_github.domain.backend import Backend
from local_github.domain.events import Event
from local_github.domain.records import Repository

PULL_REQUESTS = ("pull_request", "pull_request_target")
_STATIC_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
"""Never passed to jobs: on GitHub a job gets AWS credentials by OIDC."""


def head_of(event: Event) -> tuple[str, str]:
    """The (commit, branch) of a run for `event`; for a pull request its head, not the checked out test merge."""
    if event.name in PULL_REQUESTS:
        head = event.payload["pull_request"]["head"]
        return head["sha"], head["ref"]
    return event.sha, event.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def from_fork(event: Event) -> bool:
    """Whether `event` belongs to a fork's pull request: no secrets, no write access, no OIDC."""
    if event.name != "pull_request":
        return False
    head = event.payload["pull_request"]["head"]["repo"]
    return head is None or head["full_name"].lower() != event.repository.lower()


def message_of(event: Event, repository: Repository) -> str:
    """The message of the head commit of a push or pull request; '' for other events."""
    if event.name == "push":
        return str((event.payload.get("head_commit") or {}).get("message", ""))
    if event.name == "pull_request":
        commit = repository.git.commit(event.payload["pull_request"]["head"]["sha"])
        return commit.message if commit else ""
    return ""


def title_of(workflow: Workflow | None, event: Event) -> str:
    """GitHub's default title of a run, if its workflow has no run-name."""
    if event.name in PULL_REQUESTS:
        return str(event.payload["pull_request"]["title"])
    if event.name == "push" and event.payload.get("head_commit"):
        return str(event.payload["head_commit"]["message"]).partition("\n")[0]
    if event.name == "merge_group":
        return str(event.payload["merge_group"]["head_commit"]["message"]).partition("\n")[0]
    if event.name == "repository_dispatch" and event.action:
        return event.action
    return workflow.name if workflow is not None else event.name


def contexts(run: Run, workflow: Workflow, backend: Backend, variables: Mapping[str, str]) -> dict[str, Any]:
    """The contexts `github`, `runner`, `inputs` and `vars` before a run starts; inputs have their declared types."""
    record = backend.state.named(run.repository)
    owner = run.repository.partition("/")[0]
    pull = run.payload.get("pull_request") or {}
    return {
        "github": {
            "actor": run.actor,
            "actor_id": str(backend.state.user(run.actor).id),
            "api_url": backend.api_url,
            "base_ref": pull.get("base", {}).get("ref", ""),
            "event": run.payload,
            "event_name": run.event,
            "head_ref": pull.get("head", {}).get("ref", ""),
            "ref": run.ref,
            "ref_name": _ref_name(run.ref),
            "ref_protected": branch_protection.is_protected(backend.state, record, run.ref),
            "ref_type": "tag" if run.ref.startswith("refs/tags/") else "branch",
            "repository": run.repository,
            "repository_id": str(record.id),
            "repository_owner": owner,
            "repository_owner_id": str(record.owner_id),
            "run_attempt": str(run.attempt),
            "run_id": str(run.id),
            "run_number": str(run.number),
            "server_url": backend.url,
            "sha": run.commit,
            "triggering_actor": run.triggered_by or run.actor,
            "workflow": run.workflow,
            "workflow_ref": f"{run.repository}/{run.file}@{run.ref}",
            "workflow_sha": run.commit,
        },
        "runner": {"environment": "github-hosted"},
        "inputs": _typed_inputs(workflow, run.payload.get("inputs") or {}),
        "vars": variables,
    }


def without_static_keys(variables: Mapping[str, str]) -> dict[str, str]:
    """`variables` without static AWS keys."""
    return {name: value for name, value in variables.items() if name not in _STATIC_AWS_KEYS}


def environment(
    run: Run, repository: Repository, backend: Backend, extra: Mapping[str, str], *, oidc: str | None
) -> dict[str, str]:
    """The environment of the steps of a job; `oidc` is the part of its OIDC address if it may have a token."""
    variables = {
        **extra,
        "GITHUB_SERVER_URL": backend.url,
        "GITHUB_API_URL": backend.api_url,
        "GITHUB_GRAPHQL_URL": backend.graphql_url,
        "GITHUB_REPOSITORY": run.repository,
        "GITHUB_REPOSITORY_ID": str(repository.id),
        "GITHUB_REPOSITORY_OWNER_ID": str(repository.owner_id),
        "GITHUB_REF": run.ref,
        "GITHUB_REF_NAME": _ref_name(run.ref),
        "GITHUB_REF_PROTECTED": str(branch_protection.is_protected(backend.state, repository, run.ref)).lower(),
        "GITHUB_ACTOR_ID": str(backend.state.user(run.actor).id),
        "GITHUB_REF_TYPE": "tag" if run.ref.startswith("refs/tags/") else "branch",
        "GITHUB_RUN_ID": str(run.id),
        "GITHUB_RUN_NUMBER": str(run.number),
        "GITHUB_RUN_ATTEMPT": str(run.attempt),
        "GITHUB_WORKFLOW_REF": f"{run.repository}/{run.file}@{run.ref}",
        "GITHUB_WORKFLOW_SHA": run.commit,
        "GITHUB_TRIGGERING_ACTOR": run.triggered_by or run.actor,
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "local",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "PAGER": "cat",
        "GH_PAGER": "cat",
        "GH_PROMPT_DISABLED": "1",
        "TERM": "dumb",
        "NO_COLOR": "1",
    }
    if oidc:
        variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = (
            f"{backend.url}/_services/oidc/{run.id}/{run.attempt}/{oidc}?api-version=2.0"
        )
        reference = "secrets.LOCAL_OIDC"
        variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = f"${{{{ {reference} }}}}"
    return variables


def groups(workflow: Workflow, context: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    """The concurrency groups of a workflow and its jobs: (group, cancel in progress)."""
    found: dict[str, bool] = {}
    for block in (workflow.concurrency, *(job.concurrency for job in workflow.jobs)):
        if block is not None:
            group = pre_run_expressions.interpolate(block.group, context)
            found[group] = found.get(group, False) or pre_run_expressions.is_true(block.cancel_in_progress, context)
    return tuple(found.items())


def subject(run: Run, *, environment: str | None, file: str, repository: Repository, backend: Backend) -> Subject:
    """The subject of a job's OIDC token; `file` defines the job, which may be a called workflow."""
    pull = run.payload.get("pull_request") or {}
    return Subject(
        repository=run.repository,
        repository_id=repository.id,
        owner_id=repository.owner_id,
        private=repository.private,
        event=run.event,
        ref=run.ref,
        ref_protected=branch_protection.is_protected(backend.state, repository, run.ref),
        head_ref=pull.get("head", {}).get("ref", ""),
        base_ref=pull.get("base", {}).get("ref", ""),
        sha=run.commit,
        environment=environment,
        actor=run.actor,
        actor_id=backend.state.user(run.actor).id,
        workflow=run.workflow,
        file=run.file,
        job_file=file,
        run_id=run.id,
        run_number=run.number,
        run_attempt=run.attempt,
        with_ids=bool(repository.settings["use_immutable_subject"]),
        own_claims=tuple(repository.settings["subject_claims"]),
    )


def cache_refs(run: Run, repository: Repository) -> list[str]:
    """The refs whose caches a run may restore: its own, a pull request's base, the default branch."""
    base = (run.payload.get("pull_request") or {}).get("base", {}).get("ref")
    bases = [f"refs/heads/{base}"] if base and run.event in PULL_REQUESTS else []
    return list(dict.fromkeys([run.ref, *bases, f"refs/heads/{repository.default_branch}"]))


def _typed_inputs(workflow: Workflow, given: Mapping[str, str]) -> dict[str, Any]:
    declared = (workflow.on.get("workflow_dispatch") or {}).get("inputs") or {}
    typed: dict[str, Any] = dict(given)
    for name, specification in declared.items():
        kind = (specification or {}).get("type")
        if kind == "boolean":
            typed[name] = given.get(name) == "true"
        elif kind == "number" and given.get(name):
            typed[name] = float(given[name])
    return typed


def _ref_name(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref
