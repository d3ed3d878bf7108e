"""GitHub Actions: starts workflow runs on events, dispatches and schedules, and publishes their results.

A re-run of the failed jobs runs all jobs again.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from local_github.actions import (
    check_publisher,
    contexts,
    cron,
    dispatch_inputs,
    pre_run_expressions,
    serializers,
    triggers,
)
from local_github.actions.act_runner import Attempt
from local_github.actions.deployment_gate import DeploymentGate
from local_github.actions.job_host import AttemptHost
from local_github.actions.oidc_issuer import Issuer
from local_github.actions.run_queue import QueuedRun, RunQueue
from local_github.actions.run_records import Run
from local_github.actions.run_tokens import App, RunTokens
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.actions.workflow_index import FOLDER, find_workflows, schedules
from local_github.domain.backend import Backend
from local_github.domain.events import Event
from local_github.domain.records import Repository

_log = logging.getLogger(__name__)
_FIRST_RUN = 9_000_001
_MAX_CHAIN = 3  # GitHub's limit for workflow_run that follows on workflow_run


class Actions:
    """Runs the workflows of an emulator's repositories; `LocalGitHub.attach` connects it.

    Args:
        folder: for runs, caches, files of workspaces and logs.
        backend: of the emulator.
        variables, secrets: defaults for every repository; its own take precedence. A fork's pull request gets these
            variables only, as GitHub passes it nothing of the repository.
        environment: for act and every step, such as AWS_ENDPOINT_URL; a function is called for each attempt. Static
            AWS keys are removed.
        tool_cache: RUNNER_TOOL_CACHE, which outlives runs.
        concurrent_runs: how many runs are executed at a time.
        cleanup_seconds: how long `if: always()` steps may take after a cancellation.
        with_ids: OIDC subjects contain the ids of owner and repository, as for new repositories.
    """

    def __init__(
        self,
        folder: Path,
        backend: Backend,
        *,
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        tool_cache: Path | None = None,
        concurrent_runs: int = 2,
        cleanup_seconds: float = 300.0,
        with_ids: bool = False,
    ) -> None:
        self.folder, self._backend, self._state = folder.resolve(), backend, backend.state
        self.variables, self.secrets = dict(variables or {}), dict(secrets or {})
        self._environment = environment if callable(environment) else lambda: environment or {}
        self.tool_cache = (tool_cache or self.folder / "tool_cache").resolve()
        self.cleanup_seconds = cleanup_seconds
        self.issuer = Issuer(with_ids=with_ids)
        self._state.immutable_subjects = self._state.immutable_subjects or with_ids
        for record in self._state.repositories.values():
            record.settings["use_immutable_subject"] = record.settings["use_immutable_subject"] or with_ids
        self.tokens = RunTokens(backend, self.issuer)
        self.gate = DeploymentGate(backend)
        self.queue = RunQueue(self, concurrent_runs=concurrent_runs, now=self._state.now)
        self._numbers: dict[tuple[str, str], int] = {}
        self._ids, self._job_ids = itertools.count(_FIRST_RUN), itertools.count(_FIRST_RUN * 10)
        self._disabled: set[tuple[str, str]] = set()

    # --- runs and workflows

    def runs(self, repository: str | None = None) -> list[Run]:
        """All runs, or those of a repository; newest first."""
        runs = [entry.run for entry in list(self.queue.entries.values())]
        return [run for run in reversed(runs) if repository is None or run.repository.lower() == repository.lower()]

    def runs_of(self, repository: str) -> Sequence[Run]:
        """The runs of a repository, newest first; see `RunSource`."""
        return self.runs(repository)

    def run(self, run_id: int) -> Run:
        """The run with that id; KeyError if there is none."""
        return self.queue.entries[run_id].run

    def is_enabled(self, repository: str, path: str) -> bool:
        """Whether events may start a workflow."""
        return (repository.lower(), path) not in self._disabled

    def set_enabled(self, repository: str, path: str, *, enabled: bool) -> None:
        """Enables or disables a workflow."""
        (self._disabled.discard if enabled else self._disabled.add)((repository.lower(), path))

    # --- starting runs

    def on_event(self, event: Event) -> None:
        """Starts the workflows that `event` triggers."""
        with self.queue.busy():
            self._start_triggered(event)

    def dispatch(self, repository: str, file: str, ref: str, given: Mapping[str, Any], *, actor: str) -> Run:
        """Starts a workflow manually, as `gh workflow run` does.

        Raises:
            DispatchRefused: GitHub would refuse it with 422.
            WorkflowInvalid: the file is invalid.
        """
        record = self._state.named(repository)
        full_ref = next((r for r in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if record.git.ref(r)), None)
        commit = record.git.resolve(full_ref) if full_ref else None
        if full_ref is None or commit is None:
            raise dispatch_inputs.DispatchRefused(f"No ref found for: {ref}")
        path = file if file.startswith(FOLDER) else f"{FOLDER}/{file}"
        workflow = find_workflows(record, commit).get(path)
        if workflow is None:
            raise dispatch_inputs.DispatchRefused(f"Workflow {path} does not exist at {ref}")
        if isinstance(workflow, WorkflowInvalid):
            raise workflow
        if not record.settings["actions_enabled"]:
            raise dispatch_inputs.DispatchRefused("Actions has been disabled for this repository.")
        if not self.is_enabled(repository, path):
            raise dispatch_inputs.DispatchRefused("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
        payload = {"inputs": dispatch_inputs.resolve(workflow, given), "ref": full_ref, "workflow": path}
        event = self._event("workflow_dispatch", record, actor, payload=payload, ref=full_ref, sha=commit)
        return self._start(record, path, workflow, event)

    def fire_schedule(self, expression: str, repository: str | None = None) -> list[Run]:
        """Starts every workflow with that cron expression on its default branch, regardless of the time."""
        records = [r for r in list(self._state.repositories.values()) if repository in (None, r.full_name)]
        return [run for record in records for run in self._fire(record, expression)]

    def fire_due_schedules(self, after: datetime, until: datetime) -> list[Run]:
        """Starts every schedule once for each due minute after `after` and up to `until`, in order of time."""
        with self._backend.lock():
            pass  # merge queues look at the time whenever the records were locked
        due: list[tuple[datetime, str, Repository]] = []
        for record in list(self._state.repositories.values()):
            for expression in schedules(record):
                try:
                    moments = list(cron.due_times(expression, after, until))
                except WorkflowInvalid as error:
                    _log.warning("%s: %s", record.full_name, error)
                    continue
                due += [(moment, expression, record) for moment in moments]
        due.sort(key=lambda entry: entry[0])
        return [run for _, expression, record in due for run in self._fire(record, expression)]

    def _fire(self, record: Repository, expression: str) -> list[Run]:
        return self._start_triggered(self._event("schedule", record, record.owner, payload={"schedule": expression}))

    def _event(
        self,
        name: str,
        record: Repository,
        actor: str,
        *,
        payload: Mapping[str, Any],
        action: str | None = None,
        ref: str | None = None,
        sha: str | None = None,
    ) -> Event:
        """An event of Actions itself, by default on the default branch."""
        serializer, branch = self._backend.serializer(), record.default_branch
        return Event(
            name=name,
            action=action,
            repository=record.full_name,
            ref=ref or f"refs/heads/{branch}",
            sha=sha or record.git.branch(branch) or "",
            payload={**payload, "repository": serializer.repository(record), "sender": serializer.user(actor)},
            actor=actor,
        )

    def _start_triggered(self, event: Event, *, depth: int = 0) -> list[Run]:
        record = self._state.named(event.repository)
        enabled = record.settings["actions_enabled"]
        reason = triggers.reason_to_ignore(event) if enabled else "Actions is disabled in the repository"
        if reason is None and triggers.has_skip_marker(contexts.message_of(event, record)):
            reason = "the commit message skips workflows"
        if reason or not event.sha:
            _log.info("%s of %s starts nothing: %s", event.name, event.repository, reason or "there is no commit")
            return []
        started = []
        for path, workflow in find_workflows(record, event.sha).items():
            if not self.is_enabled(event.repository, path):
                continue
            try:
                if isinstance(workflow, WorkflowInvalid):
                    raise workflow
                if triggers.starts(workflow, event):
                    started.append(self._start(record, path, workflow, event, depth=depth))
            except WorkflowInvalid as error:
                if event.name == "push":  # GitHub shows invalid files of a push as failed runs
                    started.append(self._start(record, path, error, event))
        return started

    def _start(
        self, record: Repository, path: str, workflow: Workflow | WorkflowInvalid, event: Event, *, depth: int = 0
    ) -> Run:
        valid = workflow if isinstance(workflow, Workflow) else None
        sha, branch = contexts.head_of(event)
        with self.queue.lock:
            number = self._numbers[record.full_name, path] = self._numbers.get((record.full_name, path), 0) + 1
            run_id = next(self._ids)
        moment = self._state.now()
        run = Run(
            id=run_id,
            number=number,
            repository=record.full_name,
            file=path,
            workflow=valid.name if valid else path,
            title=contexts.title_of(valid, event) or path,
            event=event.name,
            ref=event.ref,
            commit=event.sha,
            sha=sha,
            branch=branch,
            actor=event.actor,
            payload=event.payload,
            folder=self.folder / "runs" / str(run_id),
            created=moment,
            started=moment,
            updated=moment,
            fork=contexts.from_fork(event),
        )
        entry = QueuedRun(run=run, workflow=valid, depth=depth)
        problem = None if valid else str(workflow)
        if valid:
            try:
                context = contexts.contexts(run, valid, self._backend, self._variables(record, run))
                if valid.run_name:
                    title = pre_run_expressions.interpolate(valid.run_name, context)
                    run.title = title if title.strip() else run.title  # GitHub's default if it is blank
                entry.groups = contexts.groups(valid, context)
            except WorkflowInvalid as error:
                problem = f"{path}: {error}"
        self.queue.enter(entry, problem)
        return run

    # --- RunLifecycle

    def prepare(self, entry: QueuedRun, on_change: Callable[[], None]) -> tuple[Attempt, AttemptHost]:
        """The input of an attempt and what provides its jobs."""
        run, workflow = entry.run, entry.workflow
        assert workflow is not None  # noqa: S101 - a run without a workflow never starts
        record = self._state.named(run.repository)
        own = contexts.without_static_keys(self._environment())
        attempt = Attempt(
            run=run,
            workflow=workflow,
            repository=record.git.path,
            process_environment=own,
            tool_cache=self.tool_cache,
            caches=self.folder / "caches" / run.repository,
            cache_refs=contexts.cache_refs(run, record),
            tools=self.folder / "bin",
            workspaces=self.folder / "workspaces" / run.repository,
            cleanup_seconds=self.cleanup_seconds,
            cancel=entry.cancel,
            kill=entry.kill,
        )
        host = AttemptHost(
            run,
            workflow,
            self._backend,
            tokens=self.tokens,
            gate=self.gate,
            variables=self._variables(record, run),
            secrets={} if run.fork else {**self.secrets, **record.secrets},
            environment=own,
            on_change=on_change,
        )
        return attempt, host

    def new_job_id(self) -> int:
        """An id for a job, which is also the id of its check run."""
        return next(self._job_ids)

    def started(self, entry: QueuedRun) -> None:
        """Publishes the jobs as check runs."""
        check_publisher.publish(self._backend, entry.run)

    def ended(self, entry: QueuedRun) -> None:
        """Publishes the conclusions of the jobs, and emits workflow_run."""
        run = entry.run
        if run.message:
            _log.warning("%s #%d of %s: %s: %s", run.workflow, run.number, run.repository, run.conclusion, run.message)
        check_publisher.publish(self._backend, run)
        if entry.depth >= _MAX_CHAIN:
            return
        record = self._state.named(run.repository)
        payload = {"action": "completed", "workflow_run": serializers.run(self._backend.serializer(), record, run)}
        event = self._event("workflow_run", record, run.actor, action="completed", payload=payload)
        self._start_triggered(event, depth=entry.depth + 1)

    def _variables(self, record: Repository, run: Run) -> dict[str, str]:
        return dict(self.variables) if run.fork else {**self.variables, **record.variables}

    # --- changing runs

    def cancel(self, run_id: int, *, force: bool = False) -> bool:
        """Cancels a run; returns False if it has ended. A second call, or `force`, kills its processes."""
        return self.queue.cancel(run_id, force=force)

    def rerun(self, run_id: int, *, actor: str | None = None) -> Run:
        """Starts an ended run again as its next attempt; DispatchRefused if it cannot be."""
        return self.queue.rerun(run_id, actor=actor or self.run(run_id).actor)

    def install_app(self, app_id: str, *, slug: str, private_key: str) -> None:
        """Installs an App for actions/create-github-app-token; its tokens act as `slug`[bot]."""
        self.tokens.apps[app_id] = App(id=app_id, slug=slug, private_key=private_key)
        with self._backend.lock():
            if app_id.isdigit():
                self._state.app_ids[slug] = int(app_id)
            else:  # a client id
                self._state.app_id(f"{slug}[bot]")

    def wait(self, timeout: float, until: Callable[[], bool] | None = None) -> None:
        """Waits until all events are delivered and all runs have ended or wait for a review of their environment.

        Args:
            until: returns earlier if it is true, for example because a job waits for a review while other runs go on;
                it is called whenever the status of a job or a run has changed.

        Raises:
            TimeoutError: after `timeout` seconds; the message names the open runs.
        """
        self.queue.wait(timeout, lambda: self._backend.events.delivering, until)

    def close(self) -> None:
        """Kills all runs; starts no more."""
        self.queue.close()
