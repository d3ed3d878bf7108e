"""The routes of the pages. There is no login: every local user sees everything and merges as the configured user.

The only action is to merge, by a form with a token that only a page of this server contains: it is bound to the pull
request and to the head that the page shows.
"""

from __future__ import annotations

import hmac
import mimetypes
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from urllib.parse import urlsplit

from local_github.api.router import ApiResponse, Call, Router
from local_github.domain import merge_queue, merges, pull_requests
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, not_found
from local_github.web.raw_files import read_raw
from local_github.web.urls import LiveSite
from local_github.web.views import Views, content_security_policy

# Types that are served as such; all other files are served as text.
_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def _html(text: str, status: int = 200) -> ApiResponse:
    headers = {"Content-Security-Policy": content_security_policy(), "Referrer-Policy": "same-origin"}
    return ApiResponse(status=status, body=text, headers=headers, content_type="text/html; charset=utf-8")


def _page(handler: Callable[[Call, Views], Any]) -> Callable[[Call], Any]:
    """A route that renders a page with the records locked."""

    @wraps(handler)
    def run(call: Call) -> Any:
        views = Views(call.backend, LiveSite((call.backend.url, "http://github.localhost")))
        with call.backend.lock():
            result = handler(call, views)
        return _html(result) if isinstance(result, str) else result

    return run


def _repository(call: Call) -> Repository:
    repository = call.state.find(call.params["owner"], call.params["name"].removesuffix(".git"))
    if repository is None:
        raise not_found()
    return repository


def _issue(call: Call) -> tuple[Repository, Issue]:
    repository = _repository(call)
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    return repository, issue


def _form_token(form_key: bytes, repository: Repository, issue: Issue) -> str:
    """The token of the merge form."""
    text = f"{repository.id}:{issue.number}:{pull_of(issue).head_sha}"
    return hmac.digest(form_key, text.encode(), "sha256").hex()


@_page
def _home(call: Call, views: Views) -> str:  # noqa: ARG001 - pages take the call
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
        return ApiResponse(status=302, headers={"Location": f"/{repository.full_name}/pull/{issue.number}"}, body=b"")
    return views.issue(repository, issue)


def _pull_page(form_key: bytes, call: Call, views: Views) -> Any:
    repository, issue = _issue(call)
    if not issue.pull:
        return ApiResponse(status=302, headers={"Location": f"/{repository.full_name}/issues/{issue.number}"}, body=b"")
    if issue.state == "open":
        pull_requests.refresh_if_moved(call.state, repository, issue)
    return views.pull(repository, issue, _form_token(form_key, repository, issue))


def _merge(form_key: bytes, call: Call, views: Views) -> Any:
    repository, issue = _issue(call)
    origin = call.request.headers.get("Origin")
    if issue.pull is None:
        raise not_found()
    if origin and urlsplit(origin).netloc != call.request.host:
        raise ApiError(403, "The form was sent from another site.")
    sent = call.request.form.get("token", "")
    if not hmac.compare_digest(sent.encode(), _form_token(form_key, repository, issue).encode()):
        message = "Not merged: the pull request has changed since this page was loaded. Review it and try again."
        return _html(views.pull(repository, issue, _form_token(form_key, repository, issue), message), 409)
    principal = Principal(login=call.backend.page_user, permissions=None, repository=None)
    try:
        if merge_queue.rule_of(call.state, repository, issue.pull.base_ref):
            merge_queue.enqueue(call.emitter, repository, issue, principal)
        else:
            merges.merge(call.emitter, repository, issue, principal)
    except ApiError as error:
        return _html(
            views.pull(repository, issue, _form_token(form_key, repository, issue), error.message), error.status
        )
    return ApiResponse(status=303, headers={"Location": f"/{repository.full_name}/pull/{issue.number}"}, body=b"")


def _diff(call: Call) -> ApiResponse:
    with call.backend.lock():
        repository, issue = _issue(call)
        if issue.pull is None:
            raise not_found()
        return ApiResponse(body=pull_requests.unified_diff(repository, issue), content_type="text/plain; charset=utf-8")


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
    for run in call.backend.run_source.runs_of(repository.full_name):
        if run.id == call.params["run"]:
            return views.run(repository, run)
    raise not_found()


def _raw(call: Call) -> ApiResponse:
    found = read_raw(_repository(call), call.params["rest"])
    if found is None:
        raise not_found()
    path, data = found
    kind = mimetypes.guess_type(path)[0]
    content_type = kind if kind in _IMAGES else "text/plain; charset=utf-8"
    headers = {"Content-Security-Policy": _SANDBOX, "Cache-Control": "max-age=60"}
    return ApiResponse(body=data, headers=headers, content_type=content_type or "text/plain; charset=utf-8")


def register(router: Router, *, form_key: bytes) -> None:
    """Adds the routes of all pages; `form_key` signs the tokens of merge forms."""
    at = "/<owner>/<name>"
    router.register_all(
        [
            ("GET", "/", _home),
            ("GET", at, _repository_page),
            ("GET", f"{at}/pulls", _pulls),
            ("GET", f"{at}/pull/<int:number>", _page(partial(_pull_page, form_key))),
            ("GET", f"{at}/pull/<int:number>.diff", _diff),
            ("POST", f"{at}/pull/<int:number>/merge", _page(partial(_merge, form_key))),
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
