"""A relay in front of AWS or its emulator that verifies each request's signature, version 4; not a test itself.

The emulator accepts any signature. This recomputes it with botocore's own signer from the headers that the request says
are signed, and forwards the request only if both are equal.
"""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass
class SignatureCheck:
    """The relay: its URL, and what it has seen."""

    url: str = ""
    accepted: list[str] = field(default_factory=list)
    """User agents of requests that were forwarded."""
    refused: list[str] = field(default_factory=list)


def expected(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, secret: str, service: str
) -> tuple[str, str]:
    """The signature in the request's headers, and the one that `secret` gives.

    Raises:
        ValueError: the request is not signed for `service`, or lacks a header that it signs.
    """
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise ValueError(f"not signed with version 4: {headers.get('authorization')!r}")
    if found["service"] != service:
        raise ValueError(f"the signature is for {found['service']}, expected {service}")
    names = found["signed"].split(";")
    if missing := [name for name in names if name not in headers]:
        raise ValueError(f"signed, but not sent: {', '.join(missing)}")
    signed = {name: headers[name] for name in names}
    if not {"host", "x-amz-date"} <= set(signed):
        raise ValueError(f"host and x-amz-date must be signed (signed: {found['signed']})")
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(found["key"], secret), found["service"], found["region"])
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return found["signature"], signer.signature(text, request)


@contextmanager
def before(target: str, *, secret: str, service: str) -> Iterator[SignatureCheck]:
    """Relays to the URL `target` on a free port, for the length of the block.

    Args:
        secret: the callers' secret key.
        service: the name of the service in signatures.
    """
    state, pool = SignatureCheck(), urllib3.PoolManager()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                url = f"http://{headers['host']}{self.path}"
                given, right = expected("POST", url, headers, body, secret=secret, service=service)
            except ValueError as error:
                return self._refuse(str(error))
            if not hmac.compare_digest(given, right):
                return self._refuse(f"the signature is {given}, expected {right}")
            state.accepted.append(headers.get("user-agent", ""))
            passed = {name: value for name, value in headers.items() if name not in ("host", "expect", "connection")}
            answer = pool.request("POST", f"{target}{self.path}", body=body, headers=passed, retries=False)
            return self._answer(answer.status, dict(answer.headers), answer.data)

        def _refuse(self, reason: str) -> None:
            state.refused.append(reason)
            self._answer(403, {"x-amzn-ErrorType": "InvalidSignatureException"}, f'{{"message": "{reason}"}}'.encode())

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """No log: what was seen is in `state`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        pool.clear()
