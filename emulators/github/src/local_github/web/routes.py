"""The routes of the pages. Nobody logs in: who reaches a loopback address sees all, and merges as the server's user.

The one thing a page can do is merge, by a form whose token only a page of this server can hold: it is bound to the
pull request and to the head that the page showed.
"""

from __future__ import annotations

import hmac
import mimetypes
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from local_github.api.rest.pull_requests import diff
from local_github.api.router import Answer, Call, Router
from local_github.domain import pull_requests
from local_github.domain.pull_requests import pull_of
from local_github.domain.state import Issue, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, not_found
from local_github.web.urls import Live
from local_github.web.views import Views, content_security_policy

# What a browser may show as such; anything else is text, whatever its name says.
_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def _html(text: str, status: int = 200) -> Answer:
    headers = {"Content-Security-Policy": content_security_policy(), "Referrer-Policy": "same-origin"}
    return Answer(status=status, body=text, headers=headers, content_type="text/html; charset=utf-8")


def _page(handler: Callable[[Call, Views], Any]) -> Callable[[Call], Any]:
    """A route that answers with a page, made while the records hold still."""

    @wraps(handler)
    def run(call: Call) -> Any:
        views = Views(call.github, Live((call.github.url, "http://github.localhost")))
        with call.github.lock():
            answer = handler(call, views)
        return _html(answer) if isinstance(answer, str) else answer

    return run


def _repository(call: Call) -> Repository:
    repository = call.github.state.find(call.params["owner"], call.params["name"].removesuffix(".git"))
    if repository is None:
        raise not_found()
    return repository


def _issue(call: Call) -> tuple[Repository, Issue]:
    repository = _repository(call)
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    return repository, issue


def form_token(call: Call, repository: Repository, issue: Issue) -> str:
    """What the merge form must carry."""
    text = f"{repository.id}:{issue.number}:{pull_of(issue).head_sha}"
    return hmac.digest(call.github.form_key, text.encode(), "sha256").hex()


@_page
def _home(call: Call, views: Views) -> str:  # noqa: ARG001 - every page takes the call
    return views.home()


@_page
def _repository_page(call: Call, views: Views) -> str:
    return views.repository(_repository(call))


@_page
def _pulls(call: Call, views: Views) -> str:
    return views.pulls(_repository(call))


@_page
def _issues(call: Call, views: Views) -> str:
    return views.issues(_repository(call))


@_page
def _issue_page(call: Call, views: Views) -> Any:
    repository, issue = _issue(call)
    if issue.pull:
        return Answer(status=302, headers={"Location": f"/{repository.full_name}/pull/{issue.number}"}, body=b"")
    return views.issue(repository, issue)


@_page
def _pull_page(call: Call, views: Views) -> Any:
    repository, issue = _issue(call)
    if not issue.pull:
        return Answer(status=302, headers={"Location": f"/{repository.full_name}/issues/{issue.number}"}, body=b"")
    if issue.state == "open":
        pull_requests.refresh_if_moved(call.github, repository, issue)
    return views.pull(repository, issue, form_token(call, repository, issue))


@_page
def _merge(call: Call, views: Views) -> Any:
    repository, issue = _issue(call)
    origin = call.request.headers.get("Origin")
    if issue.pull is None:
        raise not_found()
    if origin and urlsplit(origin).netloc != call.request.host:
        raise ApiError(403, "The form was sent from another site.")
    sent = call.request.form.get("token", "")
    if not hmac.compare_digest(sent.encode(), form_token(call, repository, issue).encode()):
        said = "Nothing was merged: the pull request has changed since the page was made. Look again."
        return _html(views.pull(repository, issue, form_token(call, repository, issue), said), 409)
    principal = Principal(login=call.github.user, permissions=None, repository=None)
    try:
        pull_requests.merge(call.github, repository, issue, principal)
    except ApiError as error:
        return _html(views.pull(repository, issue, form_token(call, repository, issue), error.message), error.status)
    return Answer(status=303, headers={"Location": f"/{repository.full_name}/pull/{issue.number}"}, body=b"")


def _diff(call: Call) -> Answer:
    with call.github.lock():
        repository, issue = _issue(call)
        if issue.pull is None:
            raise not_found()
        return Answer(body=diff(repository, issue), content_type="text/plain; charset=utf-8")


@_page
def _commit(call: Call, views: Views) -> str:
    repository = _repository(call)
    commit = repository.git.commit(call.params["sha"]) if repository.git.kind(call.params["sha"]) == "commit" else None
    if commit is None:
        raise not_found()
    return views.commit(repository, commit)


@_page
def _runs(call: Call, views: Views) -> str:
    return views.runs(_repository(call))


@_page
def _run(call: Call, views: Views) -> str:
    repository = _repository(call)
    for run in call.github.run_source.runs_of(repository.full_name):
        if run.id == call.params["run"]:
            return views.run(repository, run)
    raise not_found()


def read_raw(repository: Repository, rest: str) -> tuple[str, bytes] | None:
    """The path and bytes that `<ref>/<path>` names; a ref may have slashes itself. None where there is no such file."""
    parts = rest.split("/")
    for at in range(1, len(parts)):
        ref, path = "/".join(parts[:at]), "/".join(parts[at:])
        sha = repository.git.branch(ref) or repository.git.resolve(ref)
        data = repository.git.show(sha, path) if sha else None
        if data is not None:
            return path, data
    return None


def _raw(call: Call) -> Answer:
    found = read_raw(_repository(call), call.params["rest"])
    if found is None:
        raise not_found()
    path, data = found
    kind = mimetypes.guess_type(path)[0]
    content_type = kind if kind in _PICTURES else "text/plain; charset=utf-8"
    headers = {"Content-Security-Policy": _SANDBOX, "Cache-Control": "max-age=60"}
    return Answer(body=data, headers=headers, content_type=content_type or "text/plain; charset=utf-8")


def register(router: Router) -> None:
    """Adds every page."""
    at = "/<owner>/<name>"
    router.register_all(
        [
            ("GET", "/", _home),
            ("GET", at, _repository_page),
            ("GET", f"{at}/pulls", _pulls),
            ("GET", f"{at}/pull/<int:number>", _pull_page),
            ("GET", f"{at}/pull/<int:number>.diff", _diff),
            ("POST", f"{at}/pull/<int:number>/merge", _merge),
            ("GET", f"{at}/issues", _issues),
            ("GET", f"{at}/issues/<int:number>", _issue_page),
            ("GET", f"{at}/commit/<sha>", _commit),
            ("GET", f"{at}/actions", _runs),
            ("GET", f"{at}/actions/runs/<int:run>", _run),
            ("GET", f"{at}/actions/runs/<int:run>/job/<int:job>", _run),
            ("GET", f"{at}/raw/<path:rest>", _raw),
            ("GET", f"{at}/blob/<path:rest>", _raw),
            ("GET", "/raw/<owner>/<name>/<path:rest>", _raw),
        ]
    )
