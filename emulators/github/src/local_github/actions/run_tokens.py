"""Creates the tokens of a job: GITHUB_TOKEN, an OIDC request token if the job may have one, and App tokens."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from local_github.actions.oidc_issuer import Issuer, Subject
from local_github.actions.run_records import Run
from local_github.domain.backend import Backend
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
class JobTokens:
    """The tokens of one job; `subject` is set if it may have OIDC tokens."""

    repository: str
    github_token: str
    oidc: str | None = None
    subject: Subject | None = None
    app_tokens: list[str] = field(default_factory=list)

    def secrets(self) -> dict[str, str]:
        """The secrets that pass the tokens to act, which masks them in logs."""
        return {"GITHUB_TOKEN": self.github_token} | ({"LOCAL_OIDC": self.oidc} if self.oidc else {})


class RunTokens:
    """Creates the tokens of jobs, issues OIDC and App tokens to them, and revokes all of them with the job."""

    def __init__(self, backend: Backend, issuer: Issuer) -> None:
        self._backend, self._issuer = backend, issuer
        self._issued: dict[tuple[int, int, str], JobTokens] = {}
        self._lock = threading.Lock()
        self.apps: dict[str, App] = {}

    def issue(self, run: Run, key: str, permissions: Mapping[str, Level], subject: Subject) -> JobTokens:
        """Creates the tokens of a job, known by `key` in its attempt. A fork's job may only read and gets no OIDC."""
        granted: dict[str, Level] = {k: v for k, v in permissions.items() if k != "id-token"}
        if run.fork:
            granted = dict.fromkeys(granted, "read")
        issued = JobTokens(
            repository=run.repository,
            github_token=self._mint(WORKFLOW_LOGIN, permissions=granted, repository=run.repository),
        )
        if permissions.get("id-token") == "write" and not run.fork:
            issued.oidc = self._mint(WORKFLOW_LOGIN, permissions={}, repository=run.repository)
            issued.subject = subject
        with self._lock:
            self._issued[run.id, run.attempt, key] = issued
        return issued

    def oidc_token(self, run_id: int, attempt: int, job: str, presented: str, audience: str | None) -> str:
        """The OIDC token of a job that presents its request token; 401 if it may not have one."""
        issued = self._issued.get((run_id, attempt, job))
        if issued is None or issued.oidc is None or issued.subject is None:
            raise ApiError(401, f"The job {job} has ended, does not exist or has no id-token: write")
        if not hmac.compare_digest(presented, issued.oidc):
            raise ApiError(401, "Not the request token of this job")
        return self._issuer.token(issued.subject, audience=audience)

    def app_token(self, presented: str, app_id: str, private_key: str, wanted: Mapping[str, Level]) -> tuple[App, str]:
        """An App token for the job that presents its GITHUB_TOKEN; 401 if the App or its key is unknown."""
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

    def revoke(self, run: Run, key: str) -> None:
        """Revokes the tokens of a job."""
        with self._lock:
            issued = self._issued.pop((run.id, run.attempt, key), None)
        if issued is not None:
            for token in [issued.github_token, *([issued.oidc] if issued.oidc else []), *issued.app_tokens]:
                self._backend.tokens.revoke(token)

    def _mint(self, login: str, *, permissions: Mapping[str, Level], repository: str) -> str:
        with self._backend.lock():
            self._backend.state.user(login)
        return self._backend.tokens.mint(login, permissions=permissions, repository=repository)
