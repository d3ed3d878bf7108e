"""GitHub Actions on a laptop: from an event to runs, with everything that GitHub does around the steps that act runs.

Re-running only the failed jobs of a run is re-running it all, because act cannot take the results of other jobs from
outside.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_github.actions import contexts, cron, dispatch_inputs, expressions, routes, shapes, triggers
from local_github.actions.act_runner import Task
from local_github.actions.job_tokens import App, RunTokens
from local_github.actions.oidc_issuer import Issuer
from local_github.actions.run_queue import Entry, Queue
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse
from local_github.domain.events import Event
from local_github.domain.state import CheckRun, Repository

if TYPE_CHECKING:
    from local_github.server import LocalGitHub

_log = logging.getLogger(__name__)
FOLDER = ".github/workflows"
_FIRST_RUN = 9_000_001
_DEEPEST_CHAIN = 3  # how far workflow_run may follow on workflow_run, as on GitHub


class Actions:
    """Runs the workflows of `github`'s repositories.

    Args:
        folder: runs, caches and logs go there.
        variables, secrets: for every repository, under those that it has itself. A fork's pull request gets these
            variables and none of the repository's, as GitHub passes it none.
        environment: for every step, such as AWS_ENDPOINT_URL. Static AWS keys are left out.
        tool_cache: RUNNER_TOOL_CACHE, which outlives runs.
        concurrent_runs: how many runs go at a time; others wait their turn.
        cleanup_seconds: what `if: always()` steps get after a cancellation.
        with_ids: OIDC tokens name owner and repository with their ids, as for new repositories.
    """

    def __init__(
        self,
        folder: Path,
        github: LocalGitHub,
        *,
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        tool_cache: Path | None = None,
        concurrent_runs: int = 2,
        cleanup_seconds: float = 300.0,
        with_ids: bool = False,
    ) -> None:
        self.folder, self.github = folder.resolve(), github
        self.variables, self.secrets = dict(variables or {}), dict(secrets or {})
        self.environment = dict(environment or {})
        self.tool_cache = (tool_cache or self.folder / "tool_cache").resolve()
        self.cleanup_seconds = cleanup_seconds
        self.issuer = Issuer(with_ids=with_ids)
        self.tokens = RunTokens(github, self.issuer)
        self.queue = Queue(self, concurrent_runs=concurrent_runs)
        self._numbers: dict[tuple[str, str], int] = {}
        self._ids, self._job_ids = itertools.count(_FIRST_RUN), itertools.count(_FIRST_RUN * 10)
        self._disabled: set[tuple[str, str]] = set()
        routes.register(self)
        github.on_event, github.run_source = self.on_event, self

    # --- what is there

    def runs(self, repository: str | None = None) -> list[Run]:
        """Runs, newest first."""
        runs = [entry.run for entry in list(self.queue.entries.values())]
        return [run for run in reversed(runs) if repository is None or run.repository.lower() == repository.lower()]

    def runs_of(self, repository: str) -> Sequence[Run]:
        """The same, as the pages ask for it."""
        return self.runs(repository)

    def run(self, run_id: int) -> Run:
        """The run of that id; KeyError where there is none."""
        return self.queue.entries[run_id].run

    def workflows(self, repository: Repository, revision: str | None = None) -> dict[str, Workflow | WorkflowInvalid]:
        """The workflow files of a commit (of the default branch where none is given), by path."""
        git = repository.git
        commit = revision or git.branch(repository.default_branch)
        found: dict[str, Workflow | WorkflowInvalid] = {}
        for entry in git.folder(commit, FOLDER) if commit else ():
            if entry.kind == "blob" and entry.path.endswith((".yml", ".yaml")):
                text = (git.show(str(commit), entry.path) or b"").decode("utf-8", "replace")
                try:
                    found[entry.path] = parse(text, entry.path)
                except WorkflowInvalid as error:
                    found[entry.path] = error
        return found

    def enabled(self, repository: str, path: str) -> bool:
        """Whether events may start this workflow."""
        return (repository.lower(), path) not in self._disabled

    def enable(self, repository: str, path: str, *, on: bool) -> None:
        """Lets events start a workflow, or no longer."""
        (self._disabled.discard if on else self._disabled.add)((repository.lower(), path))

    # --- what starts runs

    def on_event(self, event: Event) -> None:
        """Starts what `event` starts."""
        with self.queue.busy():
            self._take(event)

    def dispatch(self, repository: str, file: str, ref: str, given: Mapping[str, Any], *, actor: str) -> Run:
        """Starts one workflow by hand, as `gh workflow run`.

        Raises:
            DispatchRefused: GitHub's 422, with its words.
            WorkflowInvalid: the file cannot be read.
        """
        record = self.github.state.named(repository)
        full = next((r for r in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if record.git.ref(r)), None)
        commit = record.git.resolve(full) if full else None
        if full is None or commit is None:
            raise dispatch_inputs.DispatchRefused(f"No ref found for: {ref}")
        path = file if file.startswith(FOLDER) else f"{FOLDER}/{file}"
        workflow = self.workflows(record, commit).get(path)
        if workflow is None:
            raise dispatch_inputs.DispatchRefused(f"Workflow {path} does not exist at {ref}")
        if isinstance(workflow, WorkflowInvalid):
            raise workflow
        if not self.enabled(repository, path):
            raise dispatch_inputs.DispatchRefused("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
        github = self.github.shapes()
        payload = {
            "inputs": dispatch_inputs.resolve(workflow, given),
            "ref": full,
            "repository": github.repository(record),
            "sender": github.user(actor),
            "workflow": path,
        }
        event = Event(
            name="workflow_dispatch", repository=record.full_name, ref=full, sha=commit, payload=payload, actor=actor
        )
        return self._start(record, path, workflow, event)

    def fire_schedule(self, expression: str, repository: str | None = None) -> list[Run]:
        """Starts every workflow of the default branch with that cron line, as if its time had come."""
        records = [r for r in list(self.github.state.repositories.values()) if repository in (None, r.full_name)]
        return [run for record in records for run in self._fire(record, expression)]

    def tick(self, moment: datetime) -> list[Run]:
        """Starts every schedule that is due in the minute of `moment`."""
        started = []
        for record in list(self.github.state.repositories.values()):
            found = [w for w in self.workflows(record).values() if isinstance(w, Workflow)]
            lines = {entry["cron"] for workflow in found for entry in workflow.on.get("schedule") or ()}
            for line in sorted(line for line in lines if cron.due(line, moment)):
                started += self._fire(record, line)
        return started

    def _fire(self, record: Repository, expression: str) -> list[Run]:
        github = self.github.shapes()
        payload = {"schedule": expression, "repository": github.repository(record), "sender": github.user(record.owner)}
        return self._take(self._of_default_branch(record, "schedule", None, payload, record.owner))

    @staticmethod
    def _of_default_branch(
        record: Repository, name: str, action: str | None, payload: Mapping[str, Any], actor: str
    ) -> Event:
        branch = record.default_branch
        sha = record.git.branch(branch) or ""
        ref = f"refs/heads/{branch}"
        return Event(
            name=name, action=action, repository=record.full_name, ref=ref, sha=sha, payload=payload, actor=actor
        )

    def _take(self, event: Event, *, depth: int = 0) -> list[Run]:
        record = self.github.state.named(event.repository)
        reason = triggers.starts_nothing(event)
        if reason is None and triggers.skips(contexts.message_of(event, record)):
            reason = "its commit says so"
        if reason or not event.sha:
            _log.info("%s of %s starts nothing: %s", event.name, event.repository, reason or "there is no commit")
            return []
        started = []
        for path, workflow in self.workflows(record, event.sha).items():
            if not self.enabled(event.repository, path):
                continue
            try:
                if isinstance(workflow, WorkflowInvalid):
                    raise workflow
                if triggers.fires(workflow, event):
                    started.append(self._start(record, path, workflow, event, depth=depth))
            except WorkflowInvalid as error:
                if event.name == "push":  # GitHub shows a push's broken files as failed runs
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
            fork=contexts.from_fork(event),
        )
        entry = Entry(run=run, workflow=valid, depth=depth, cancel=threading.Event(), kill=threading.Event())
        problem = None if valid else str(workflow)
        if valid:
            try:
                context = contexts.contexts(run, valid, self.github, self._variables(record, run))
                if valid.run_name:
                    run.title = expressions.interpolate(valid.run_name, context)
                entry.groups = contexts.groups(valid, context)
            except WorkflowInvalid as error:
                problem = f"{path}: {error}"
        self.queue.enter(entry, problem)
        return run

    # --- what the queue asks

    def prepare(self, entry: Entry) -> Task:
        """What an attempt needs, with tokens of its own."""
        run, workflow = entry.run, entry.workflow
        assert workflow is not None  # noqa: S101 - a run without one never begins
        record = self.github.state.named(run.repository)
        variables = self._variables(record, run)
        issued = self.tokens.issue(run, workflow, record, variables)
        secrets = {} if run.fork else {**self.secrets, **record.secrets}
        return Task(
            run=run,
            workflow=workflow,
            repository=record.git.path,
            environment=contexts.environment(run, record, self.github, self.environment, oidc=bool(issued.oidc)),
            secrets={**secrets, **issued.secrets()},
            variables=variables,
            tool_cache=self.tool_cache,
            caches=self.folder / "caches" / run.repository,
            tools=self.folder / "bin",
            cleanup_seconds=self.cleanup_seconds,
            cancel=entry.cancel,
            kill=entry.kill,
        )

    def new_job_id(self) -> int:
        """An id for a job, which is also its check run's."""
        return next(self._job_ids)

    def progress(self, entry: Entry) -> None:
        """Shows the jobs among the commit's checks."""
        self._mirror(entry.run)

    def ended(self, entry: Entry) -> None:
        """Ends the run's tokens, shows how its jobs ended, and lets workflow_run follow."""
        run = entry.run
        self.tokens.revoke(run)
        if run.message:
            _log.warning("%s #%d of %s: %s: %s", run.workflow, run.number, run.repository, run.conclusion, run.message)
        self._mirror(run)
        if entry.depth >= _DEEPEST_CHAIN:
            return
        record, github = self.github.state.named(run.repository), self.github.shapes()
        payload = {
            "action": "completed",
            "workflow_run": shapes.run(github, record, run),
            "repository": github.repository(record),
            "sender": github.user(run.actor),
        }
        event = self._of_default_branch(record, "workflow_run", "completed", payload, run.actor)
        self._take(event, depth=entry.depth + 1)

    def _mirror(self, run: Run) -> None:
        """Shows a run's jobs as check runs of its commit."""
        with self.github.lock():
            record = self.github.state.named(run.repository)
            mine = {job.id for job in run.jobs}
            record.checks[:] = [check for check in record.checks if check.id not in mine]
            for job in run.jobs:
                record.checks.append(
                    CheckRun(
                        id=job.id,
                        sha=run.sha,
                        name=job.name,
                        status=job.status,
                        conclusion=job.conclusion,
                        details_url=f"{self.github.url}/{run.repository}/actions/runs/{run.id}/job/{job.id}",
                        output={"annotations_count": len(job.annotations)},
                        started=job.started,
                        completed=job.completed,
                        app="github-actions[bot]",
                    )
                )

    def _variables(self, record: Repository, run: Run) -> dict[str, str]:
        return dict(self.variables) if run.fork else {**self.variables, **record.variables}

    # --- what people do to runs

    def cancel(self, run_id: int, *, force: bool = False) -> bool:
        """Cancels a run; False where it has ended already. Once more, or with `force`, kills it."""
        return self.queue.cancel(run_id, force=force)

    def rerun(self, run_id: int, *, actor: str | None = None) -> Run:
        """Starts a run that has ended again as its next attempt; DispatchRefused where it cannot."""
        return self.queue.rerun(run_id, actor=actor or self.run(run_id).actor)

    def install_app(self, app_id: str, *, slug: str, private_key: str) -> None:
        """Makes an App known, for actions/create-github-app-token; its tokens act as `slug`[bot]."""
        self.tokens.apps[app_id] = App(id=app_id, slug=slug, private_key=private_key)

    def wait(self, timeout: float) -> None:
        """Returns once no event is being delivered and no run waits or goes; TimeoutError names what still goes."""
        self.queue.wait(timeout, lambda: self.github.delivering)

    def close(self) -> None:
        """Kills what goes, and starts nothing any more."""
        self.queue.close()
