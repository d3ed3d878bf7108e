"""Provides the jobs of one attempt with their contexts, tokens, secrets and environments. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local_github.actions import contexts
from local_github.actions.deployment_gate import DeploymentGate
from local_github.actions.job_contract import JobRequest, JobSettings
from local_github.actions.run_records import Job, Run
from local_github.actions.run_tokens import RunTokens
from local_github.actions.workflow_file import SCOPES, Level, Workflow, WorkflowInvalid
from local_github.actions.workflow_index import find_workflows
from local_github.domain import environments
from local_github.domain.backend import Backend


class AttemptHost:
    """The `JobHost` of one attempt.

    Args:
        run: the run.
        workflow: its file.
        backend: of the emulator.
        tokens: creates the tokens of jobs.
        gate: holds back jobs for their environments.
        variables, secrets: of the repository, without those of environments.
        environment: for every step.
        on_change: called when the status of a job has changed.
    """

    def __init__(
        self,
        run: Run,
        workflow: Workflow,
        backend: Backend,
        *,
        tokens: RunTokens,
        gate: DeploymentGate,
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
        environment: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        self._run, self._backend, self._tokens, self._gate = run, backend, tokens, gate
        self._variables, self._secrets, self._environment = variables, secrets, environment
        self._on_change = on_change
        self._repository = backend.state.named(run.repository)
        self._workflows = find_workflows(self._repository, run.commit)
        self.contexts: Mapping[str, Any] = contexts.contexts(run, workflow, backend, variables)
        """The contexts github, runner, inputs and vars."""

    def called_workflow(self, path: str) -> Workflow:
        """The workflow file at `path` of the run's commit; WorkflowInvalid if there is none."""
        found = self._workflows.get(path)
        if found is None:
            raise WorkflowInvalid(f"{self._run.file}: the called workflow {path} does not exist")
        if isinstance(found, WorkflowInvalid):
            raise found
        return found

    def secrets(self) -> Mapping[str, str]:
        """The repository's secrets."""
        return self._secrets

    def enter_environment(self, name: str, record: Job, cancelled: Callable[[], bool]) -> None:
        """Waits until the environment admits the job; DeploymentRefused if it does not."""
        self._gate.enter(self._run, record, name, cancelled, self._on_change)

    def open_job(self, request: JobRequest) -> JobSettings:
        """Creates the tokens of a job and adds the variables and secrets of its environment."""
        run, repository, key = self._run, self._repository, _token_key(request)
        subject = contexts.subject(
            run,
            environment=request.environment,
            file=request.workflow.path,
            repository=repository,
            backend=self._backend,
        )
        permissions: Mapping[str, Level] = request.permissions
        if request.job.default_permissions and repository.settings["default_workflow_permissions"] == "write":
            permissions = {scope: "write" for scope in SCOPES if scope != "id-token"}
        tokens = self._tokens.issue(run, key, permissions, subject)
        variables = dict(self._variables)
        secrets = dict(self._secrets if request.secrets is None else request.secrets)
        environment = environments.find(repository, request.environment) if request.environment else None
        if environment is not None and not run.fork:
            variables |= environment.variables
            secrets |= environment.secrets
        oidc = key if tokens.oidc else None
        return JobSettings(
            environment=contexts.environment(run, repository, self._backend, self._environment, oidc=oidc),
            secrets={**secrets, **tokens.secrets()},
            variables=variables,
        )

    def close_job(self, request: JobRequest) -> None:
        """Revokes the tokens of a job."""
        self._tokens.revoke(self._run, _token_key(request))

    def changed(self) -> None:
        """Called when the status of a job has changed."""
        self._on_change()


def _token_key(request: JobRequest) -> str:
    """The name of a job in OIDC addresses: its id, and the number of its record if there are several such jobs."""
    single = not request.record.matrix and "/" not in request.record.key
    return request.record.key if single else f"{request.job.id}.{request.record.id}"
