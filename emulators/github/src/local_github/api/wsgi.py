"""The WSGI application: which route a request is for, who sent it, and how an answer goes back.

Hosts: `api.github.localhost` is the API's root and `github.localhost` the site's, as gh speaks to them through
http_proxy; any other name is the site with the API below /api/v3 and /api/graphql, as GitHub Enterprise has it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_github.api.router import Answer, Call, Links
from local_github.errors import ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from local_github.server import LocalGitHub

_log = logging.getLogger(__name__)
_API_HOST, _SITE_HOST = "api.github.localhost", "github.localhost"
# Any other name is a page elsewhere that has its name point here, to read or to merge in the visitor's place.
_HOSTS = {_API_HOST, _SITE_HOST, "127.0.0.1", "localhost"}
_SCOPES = "repo, read:org, gist, workflow"


class Application:
    """Answers every request of one server."""

    def __init__(self, github: LocalGitHub) -> None:
        self._github = github

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
        if host not in _HOSTS:
            refusal = Response(f"Not served under the name {host!r}.\n", status=421, content_type="text/plain")
            return refusal(environ, start_response)
        if host == _API_HOST:
            path = environ["PATH_INFO"]
            environ["PATH_INFO"] = "/api/graphql" if path == "/graphql" else f"/api/v3{path}"
            links = Links(html=f"http://{_SITE_HOST}", api=f"http://{_API_HOST}")
        elif host == _SITE_HOST:
            links = Links(html=f"http://{_SITE_HOST}", api=f"http://{_API_HOST}")
        else:
            links = Links(html=self._github.url, api=self._github.api_url)
        request = Request(environ)
        response = self._answer(request, links)
        if request.method == "HEAD":
            response.response = []
        return response(environ, start_response)

    def _answer(self, request: Request, links: Links) -> Response:
        api = request.path.startswith("/api/")
        call = None
        try:
            if api and self._github.faults:
                return _response(self._github.faults.popleft(), {}, api)
            handler, params = self._github.router.match(request.method, request.path)
            principal = self._github.tokens.of_header(request.headers.get("Authorization"))
            call = Call(self._github, request, params, principal, links)
            answer = handler(call)
        except ApiError as error:
            answer = Answer(status=error.status, body=error.body)
            if not api:
                challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else {}
                answer = Answer(
                    status=error.status,
                    body=f"{error.message}\n".encode(),
                    headers=challenge,
                    content_type="text/plain",
                )
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.path)
            answer = Answer(status=500, body={"message": f"Server Error: {type(error).__name__}: {error}"})
        return _response(answer, call.headers if call else {}, api)


def _response(answer: Any, headers: dict[str, str], api: bool) -> Response:
    if not isinstance(answer, Answer):
        answer = Answer(status=204 if answer is None else 200, body=answer)
    body = answer.body
    if isinstance(body, dict | list):
        body = json.dumps(body, separators=(",", ":")).encode()
    elif isinstance(body, str):
        body = body.encode()
    response = Response(body if body is not None else b"", status=answer.status)
    if answer.status == 204:
        response.headers.pop("Content-Type", None)
    else:
        response.headers["Content-Type"] = answer.content_type
    response.headers.update({**headers, **answer.headers})
    response.headers["X-Content-Type-Options"] = "nosniff"
    if api:
        response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        response.headers["X-OAuth-Scopes"] = _SCOPES
        response.headers["X-RateLimit-Limit"] = "5000"
        response.headers["X-RateLimit-Remaining"] = "4999"
        response.headers["X-RateLimit-Reset"] = "4102444800"
    return response
