"""Git over HTTP: clone, fetch and push through `git http-backend`, after the token is checked.

Request bodies are spooled to disk and responses are streamed, so memory does not depend on the size of a repository.
Pushes to a repository run one at a time; git's post-receive hook reports the refs that moved.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import IO

from local_github.api.router import ApiResponse, Call, Router
from local_github.domain import branch_protection, pushes
from local_github.domain.records import Repository
from local_github.errors import ApiError
from local_github.git.bare_repository import environment

_CHUNK_BYTES = 64 << 10
_SERVICES = {"git-upload-pack": "read", "git-receive-pack": "write"}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitHub"'}


def register(router: Router) -> None:
    """Adds the routes of the smart protocol."""
    router.register("GET", "/<owner>/<name>/info/refs", _advertise)
    for service in _SERVICES:
        router.register("POST", f"/<owner>/<name>/{service}", _serve)


def _advertise(call: Call) -> ApiResponse:
    service = call.query.get("service", "")
    if service not in _SERVICES:
        return _plain_text(403, "Please upgrade your git client: the dumb protocol is not served.")
    return _check_permission(call, service) or _run_backend(call, "/info/refs")


def _serve(call: Call) -> ApiResponse:
    service = call.request.path.rpartition("/")[2]
    return _check_permission(call, service) or _run_backend(call, f"/{service}")


def _plain_text(status: int, message: str, **headers: str) -> ApiResponse:
    return ApiResponse(
        status=status, body=message.encode() + b"\n", headers=headers, content_type="text/plain; charset=utf-8"
    )


def _check_permission(call: Call, service: str) -> ApiResponse | None:
    """GitHub's error response if the caller may not, as plain text that git shows as `remote: …`; None otherwise."""
    try:
        repository = call.repository
    except ApiError:
        if call.principal is None:
            return ApiResponse(
                status=401, body=b"Repository not found.\n", headers=_CHALLENGE, content_type="text/plain"
            )
        return _plain_text(404, "Repository not found.")
    if call.may("contents", "write" if service == "git-receive-pack" else "read"):
        return None
    if call.principal is None:
        return ApiResponse(
            status=401, body=b"No anonymous write access.\n", headers=_CHALLENGE, content_type="text/plain"
        )
    if service == "git-upload-pack":
        return _plain_text(403, f"Permission to {repository.full_name} denied.")
    return _plain_text(403, f"Permission to {repository.full_name}.git denied to {call.principal.login}.")


def _cgi(call: Call, repository: Repository, route: str) -> dict[str, str]:
    request = call.request
    variables = {
        "REQUEST_METHOD": request.method,
        "GIT_PROJECT_ROOT": str(repository.git.path),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": route,
        "QUERY_STRING": request.query_string.decode("ascii", "replace"),
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "REMOTE_USER": call.principal.login if call.principal else "",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    return environment({name: value for name, value in variables.items() if value})


def _run_backend(call: Call, route: str) -> ApiResponse:
    variables = _cgi(call, call.repository, route)
    body = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the callers below
    if call.request.method == "POST":
        while chunk := call.request.stream.read(_CHUNK_BYTES):
            body.write(chunk)
    body.seek(0)
    if route == "/git-receive-pack":
        return _receive(call, variables, body)
    with body:
        process = _start(call.repository, variables, body)
    return _response(process, _stream(process))


def _start(repository: Repository, variables: dict[str, str], body: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["git", "http-backend"],
        cwd=repository.git.path,
        env=variables,
        stdin=body.fileno(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _response(process: subprocess.Popen[bytes], body: Iterator[bytes] | bytes) -> ApiResponse:
    """Parses the head of the CGI response and adds `body`."""
    assert process.stdout is not None  # noqa: S101 - stdout is a pipe
    lines = []
    while (line := process.stdout.readline()).strip():
        lines.append(line)
    headers = dict(BytesHeaderParser().parsebytes(b"".join(lines)).items())
    status = int(headers.pop("Status", "200").split()[0])
    content_type = headers.pop("Content-Type", "text/plain")
    return ApiResponse(status=status, body=body, headers=headers, content_type=content_type)


def _stream(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Streams git's output; git is killed when the client disconnects."""
    assert process.stdout is not None  # noqa: S101 - stdout is a pipe
    try:
        while chunk := process.stdout.read(_CHUNK_BYTES):
            yield chunk
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def _receive(call: Call, variables: dict[str, str], body: IO[bytes]) -> ApiResponse:
    """Runs a push to its end, then records every ref that moved."""
    backend, repository, principal = call.backend, call.repository, call.caller
    with tempfile.TemporaryDirectory(prefix="local-github-push-") as folder, body, backend.push_lock(repository):
        received = Path(folder) / "received"
        with backend.lock():
            shas = {status.sha for status in repository.statuses} | {check.sha for check in repository.checks}
            variables |= branch_protection.hook_environment(backend.state, repository, principal, sorted(shas))
        process = _start(repository, variables | {"LOCAL_GITHUB_RECEIVED": str(received)}, body)
        response = _response(process, b"")
        response.body = b"".join(_stream(process))
        lines = received.read_text().splitlines() if received.exists() else []
        with backend.lock():
            for before, after, ref in (line.split(" ", 2) for line in lines):
                pushes.record(backend.emitter, repository, pushes.RefUpdate(ref, before, after), principal)
    return response
