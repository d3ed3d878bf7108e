"""Calls of the REST API."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from github import GithubException


def request(emulator: Any, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any, Any]:
    """Sends a request below /api/v3/repos/acme/fraud; returns status, JSON and headers."""
    address = urlsplit(emulator.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, f"/api/v3/repos/acme/fraud{path}", data, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text else None, response.headers


def refusal(call: Any, status: int) -> str:
    """Asserts that a PyGithub call fails with a status; returns the message and the errors."""
    with pytest.raises(GithubException) as caught:
        call()
    assert caught.value.status == status, caught.value
    return f"{caught.value.data.get('message')} {caught.value.data.get('errors', '')}"
