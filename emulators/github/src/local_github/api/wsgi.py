"""The WSGI application: authenticates requests, calls the route's handler, writes the response.

Host names: `api.github.localhost` serves the API and `github.localhost` the site, as gh requests them through
http_proxy. 127.0.0.1 and localhost serve the site with the API below /api/v3 and /api/graphql, as on GitHub Enterprise.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_github.api.router import ApiResponse, Call, Router
from local_github.domain.backend import Backend
from local_github.errors import ApiError
from local_github.serializers.base import Links

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = logging.getLogger(__name__)
_API_HOST, _SITE_HOST = "api.github.localhost", "github.localhost"
# Other names are refused: a foreign site may point its name at loopback (DNS rebinding).
_HOSTS = {_API_HOST, _SITE_HOST, "127.0.0.1", "localhost"}
_SCOPES = "repo, read:org, gist, workflow"


class Application:
    """Serves all requests. `failures` are responses to send instead of the next API calls."""

    def __init__(self, backend: Backend, router: Router, failures: deque[ApiResponse]) -> None:
        self._backend, self._router, self._failures = backend, router, failures

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
        if host not in _HOSTS:
            response = Response(f"Not served under the name {host!r}.\n", status=421, content_type="text/plain")
            return response(environ, start_response)
        if host == _API_HOST:
            path = environ["PATH_INFO"]
            environ["PATH_INFO"] = "/api/graphql" if path == "/graphql" else f"/api/v3{path}"
            links = Links(html=f"http://{_SITE_HOST}", api=f"http://{_API_HOST}")
        elif host == _SITE_HOST:
            links = Links(html=f"http://{_SITE_HOST}", api=f"http://{_API_HOST}")
        else:
            links = Links(html=self._backend.url, api=self._backend.api_url)
        request = Request(environ)
        response = self._respond(request, links)
        if request.method == "HEAD":
            response.response = []
        return response(environ, start_response)

    def _respond(self, request: Request, links: Links) -> Response:
        api = request.path.startswith("/api/")
        call = None
        try:
            if api and self._failures:
                return _response(self._failures.popleft(), {}, api)
            handler, params = self._router.match(request.method, request.path)
            principal = self._backend.tokens.of_header(request.headers.get("Authorization"))
            call = Call(self._backend, request, params, principal, links)
            result = handler(call)
        except ApiError as error:
            result = ApiResponse(status=error.status, body=error.body)
            if not api:
                challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else {}
                result = ApiResponse(
                    status=error.status,
                    body=f"{error.message}\n".encode(),
                    headers=challenge,
                    content_type="text/plain",
                )
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.path)
            result = ApiResponse(status=500, body={"message": f"Server Error: {type(error).__name__}: {error}"})
        return _response(result, call.headers if call else {}, api)


def _response(result: Any, headers: dict[str, str], api: bool) -> Response:
    if not isinstance(result, ApiResponse):
        result = ApiResponse(status=204 if result is None else 200, body=result)
    body = result.body
    if isinstance(body, dict | list):
        body = json.dumps(body, separators=(",", ":")).encode()
    elif isinstance(body, str):
        body = body.encode()
    response = Response(body if body is not None else b"", status=result.status)
    if result.status == 204:
        response.headers.pop("Content-Type", None)
    else:
        response.headers["Content-Type"] = result.content_type
    response.headers.update({**headers, **result.headers})
    response.headers["X-Content-Type-Options"] = "nosniff"
    if api:
        response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        response.headers["X-OAuth-Scopes"] = _SCOPES
        response.headers["X-RateLimit-Limit"] = "5000"
        response.headers["X-RateLimit-Remaining"] = "4999"
        response.headers["X-RateLimit-Reset"] = "4102444800"
    return response
