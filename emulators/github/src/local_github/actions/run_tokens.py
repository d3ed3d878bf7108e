"""Creates the tokens of a run: GITHUB_TOKEN, an OIDC request token for each job that may have one, and App tokens.

act uses one GITHUB_TOKEN for all jobs of a run, so it has the union of the jobs' permissions, which is more than a job
gets on GitHub. OIDC request tokens are per job.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from local_github.actions import contexts
from local_github.actions.oidc_issuer import Issuer, Subject
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow
from local_github.domain.backend import Backend
from local_github.domain.records import Repository
from local_github.domain.tokens import WORKFLOW_LOGIN, Level
from local_github.errors import ApiError

_APP_PERMISSIONS = ("actions", "checks", "contents", "deployments", "issues", "pull-requests", "statuses", "workflows")


@dataclass(frozen=True, kw_only=True)
class App:
    """An installed GitHub App; its tokens may have at most `_APP_PERMISSIONS`."""

    id: str
    slug: str
    private_key: str


@dataclass(kw_only=True)
class AttemptTokens:
    """The tokens of one attempt of a run; `oidc` and `subjects` are by job id."""

    repository: str
    github_token: str
    oidc: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    app_tokens: list[str] = field(default_factory=list)

    def secrets(self) -> dict[str, str]:
        """The secrets that pass the tokens to act, which masks them in logs."""
        return {"GITHUB_TOKEN": self.github_token, **{f"LOCAL_OIDC_{job}": token for job, token in self.oidc.items()}}


class RunTokens:
    """Creates the tokens of runs, issues OIDC and App tokens to jobs, and revokes all of them with the run."""

    def __init__(self, backend: Backend, issuer: Issuer) -> None:
        self._backend, self._issuer = backend, issuer
        self._issued: dict[tuple[int, int], AttemptTokens] = {}
        self._lock = threading.Lock()
        self.apps: dict[str, App] = {}

    def issue(
        self, run: Run, workflow: Workflow, repository: Repository, variables: Mapping[str, str]
    ) -> AttemptTokens:
        """Creates the tokens of an attempt. A fork's run may only read and gets no OIDC token.

        Raises:
            WorkflowInvalid: the name of a job's environment cannot be evaluated.
        """
        granted: dict[str, Level] = {k: v for k, v in workflow.permissions().items() if k != "id-token"}
        if run.fork:
            granted = dict.fromkeys(granted, "read")
        issued = AttemptTokens(
            repository=run.repository,
            github_token=self._mint(WORKFLOW_LOGIN, permissions=granted, repository=run.repository),
        )
        for job in workflow.jobs:
            if job.permissions.get("id-token") == "write" and not run.fork:
                issued.oidc[job.id] = self._mint(WORKFLOW_LOGIN, permissions={}, repository=run.repository)
                issued.subjects[job.id] = contexts.subject(
                    run, job, workflow=workflow, repository=repository, backend=self._backend, variables=variables
                )
        with self._lock:
            self._issued[run.id, run.attempt] = issued
        return issued

    def oidc_token(self, run_id: int, attempt: int, job: str, presented: str, audience: str | None) -> str:
        """The OIDC token of a job that presents its request token; 401 or 403 if it may not have one."""
        issued = self._issued.get((run_id, attempt))
        if issued is None:
            raise ApiError(401, "The run has ended or does not exist")
        expected = issued.oidc.get(job)
        if expected is None:
            raise ApiError(403, f"The job {job} has no id-token: write")
        if not hmac.compare_digest(presented, expected):
            raise ApiError(401, "Not the request token of this job")
        return self._issuer.token(issued.subjects[job], audience=audience)

    def app_token(self, presented: str, app_id: str, private_key: str, wanted: Mapping[str, Level]) -> tuple[App, str]:
        """An App token for the run that presents its GITHUB_TOKEN; 401 if the App or its key is unknown."""
        app = self.apps.get(app_id)
        with self._lock:
            issued = next((i for i in self._issued.values() if hmac.compare_digest(i.github_token, presented)), None)
        if issued is None or app is None or not hmac.compare_digest(app.private_key.strip(), private_key.strip()):
            raise ApiError(401, "A JSON web token could not be decoded")
        granted: dict[str, Level] = {k: v for k, v in wanted.items() if k in _APP_PERMISSIONS}
        if not wanted:
            granted = dict.fromkeys(_APP_PERMISSIONS, "write")
        token = self._mint(f"{app.slug}[bot]", permissions=granted, repository=issued.repository)
        issued.app_tokens.append(token)
        return app, token

    def revoke(self, run: Run) -> None:
        """Revokes the tokens of a run's attempt."""
        with self._lock:
            issued = self._issued.pop((run.id, run.attempt), None)
        if issued is not None:
            for token in [issued.github_token, *issued.oidc.values(), *issued.app_tokens]:
                self._backend.tokens.revoke(token)

    def _mint(self, login: str, *, permissions: Mapping[str, Level], repository: str) -> str:
        with self._backend.lock():
            self._backend.state.user(login)
        return self._backend.tokens.mint(login, permissions=permissions, repository=repository)
