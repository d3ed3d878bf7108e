"""The tokens of a run: GITHUB_TOKEN, one for each job that may ask for an OIDC token, and those of Apps.

act gives all jobs of a run one GITHUB_TOKEN, so that it may do what all jobs together are granted, which is more than
a job gets on GitHub; the checks of the workflow files hold the grants of each job. OIDC is by job all the same: the
address and the request token that a job finds in its environment are that job's.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_github.actions import contexts
from local_github.actions.oidc_issuer import Issuer, Subject
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow
from local_github.domain.state import Repository
from local_github.domain.tokens import WORKFLOW_LOGIN, Level
from local_github.errors import ApiError

if TYPE_CHECKING:
    from local_github.server import LocalGitHub

_APP_PERMISSIONS = ("actions", "checks", "contents", "deployments", "issues", "pull-requests", "statuses", "workflows")


@dataclass(frozen=True, kw_only=True)
class App:
    """An installed GitHub App; what a token of it may do at most is what workflows of this project need."""

    id: str
    slug: str
    private_key: str


@dataclass(kw_only=True)
class Issued:
    """What one attempt of a run holds: its token, and a request token for each job that may have an identity."""

    repository: str
    github_token: str
    oidc: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    of_apps: list[str] = field(default_factory=list)

    def secrets(self) -> dict[str, str]:
        """The secrets that carry these into act, which masks them in logs."""
        return {"GITHUB_TOKEN": self.github_token, **{f"LOCAL_OIDC_{job}": token for job, token in self.oidc.items()}}


class RunTokens:
    """Mints what runs need, answers jobs that ask for an identity, and ends all of it with the run."""

    def __init__(self, github: LocalGitHub, issuer: Issuer) -> None:
        self._github, self._issuer = github, issuer
        self._issued: dict[tuple[int, int], Issued] = {}
        self._lock = threading.Lock()
        self.apps: dict[str, App] = {}

    def issue(self, run: Run, workflow: Workflow, repository: Repository, variables: Mapping[str, str]) -> Issued:
        """The tokens of an attempt. A fork's run may only read, and has no identity.

        Raises:
            WorkflowInvalid: the name of a job's environment cannot be worked out.
        """
        granted: dict[str, Level] = {k: v for k, v in workflow.permissions().items() if k != "id-token"}
        if run.fork:
            granted = dict.fromkeys(granted, "read")
        issued = Issued(
            repository=run.repository,
            github_token=self._github.token(WORKFLOW_LOGIN, permissions=granted, repository=run.repository),
        )
        for job in workflow.jobs:
            if job.permissions.get("id-token") == "write" and not run.fork:
                issued.oidc[job.id] = self._github.token(WORKFLOW_LOGIN, permissions={}, repository=run.repository)
                issued.subjects[job.id] = contexts.subject(
                    run, job, workflow=workflow, repository=repository, github=self._github, variables=variables
                )
        with self._lock:
            self._issued[run.id, run.attempt] = issued
        return issued

    def identity(self, run_id: int, attempt: int, job: str, shown: str, audience: str | None) -> str:
        """The OIDC token of a job that shows its request token; 401 and 403 where it may not have one."""
        issued = self._issued.get((run_id, attempt))
        if issued is None:
            raise ApiError(401, "The run has ended, or never was")
        expected = issued.oidc.get(job)
        if expected is None:
            raise ApiError(403, f"The job {job} has no id-token: write")
        if not hmac.compare_digest(shown, expected):
            raise ApiError(401, "Not the request token of this job")
        return self._issuer.token(issued.subjects[job], audience=audience)

    def of_app(self, shown: str, app_id: str, private_key: str, wanted: Mapping[str, Level]) -> tuple[App, str]:
        """A token of an App, for the run that shows its GITHUB_TOKEN; 401 where the App or its key is not known."""
        app = self.apps.get(app_id)
        with self._lock:
            issued = next((i for i in self._issued.values() if hmac.compare_digest(i.github_token, shown)), None)
        if issued is None or app is None or not hmac.compare_digest(app.private_key.strip(), private_key.strip()):
            raise ApiError(401, "A JSON web token could not be decoded")
        granted: dict[str, Level] = {k: v for k, v in wanted.items() if k in _APP_PERMISSIONS}
        if not wanted:
            granted = dict.fromkeys(_APP_PERMISSIONS, "write")
        token = self._github.token(f"{app.slug}[bot]", permissions=granted, repository=issued.repository)
        issued.of_apps.append(token)
        return app, token

    def revoke(self, run: Run) -> None:
        """Ends the tokens of a run's attempt."""
        with self._lock:
            issued = self._issued.pop((run.id, run.attempt), None)
        if issued is not None:
            for token in [issued.github_token, *issued.oidc.values(), *issued.of_apps]:
                self._github.revoke(token)
