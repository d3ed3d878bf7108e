"""The ASGI application: paths, methods, body limits, timeouts and defects, without a socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from serving.app import App

from ml.model.scoring_responses import MAX_BODY
from ml.steps import inference
from tests.infra.serving.test_one_row import MODEL, ROW

LINE = ",".join(map(repr, ROW)).encode()


def send(
    app: App, method: str, path: str, *parts: bytes, headers: dict[str, str] | None = None, hang: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request, whose body comes in `parts`; with `hang` the rest never comes."""
    waiting = [
        {"type": "http.request", "body": part, "more_body": hang or at < len(parts) - 1}
        for at, part in enumerate(parts or (b"",))
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def keep(message: Any) -> None:
        sent.append(message)

    pairs = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    asyncio.run(app({"path": path, "method": method, "headers": pairs}, receive, keep))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message["body"] for message in sent[1:])


def invoke(
    app: App, *parts: bytes, headers: dict[str, str] | None = None, hang: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """POST /invocations, CSV."""
    return send(app, "POST", "/invocations", *parts, headers={"content-type": "text/csv"} | (headers or {}), hang=hang)


def test_ping_is_answered() -> None:
    """SageMaker asks every five seconds."""
    assert send(App(MODEL), "GET", "/ping")[::2] == (200, b"")


def test_execution_parameters_are_those_of_one_process() -> None:
    """Batch transform sends as many requests at once as this says, each of at most so many megabytes."""
    status, headers, body = send(App(MODEL), "GET", "/execution-parameters")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("POST", "/execution-parameters", 405), ("GET", "/", 404)],
)
def test_other_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    """The answer is JSON with the reason."""
    got, _, body = send(App(MODEL), method, path)
    assert got == json.loads(body)["error"]["status"] == status


@pytest.mark.parametrize("count", [1, 2, 5_000])
@pytest.mark.parametrize("accept", [{}, {"accept": "*/*"}, {"accept": "text/csv; header=present"}])
def test_answer_is_that_of_the_managed_container(count: int, accept: dict[str, str]) -> None:
    """Of any size and type; the body may come in parts."""
    body = b"\n".join([LINE] * count)
    expected = inference.score_request(MODEL, body, "text/csv", accept.get("accept"))
    for parts in ((body,), (body[:7], body[7:])):
        status, headers, answer = invoke(App(MODEL), *parts, headers=accept)
        assert (status, answer, headers["content-type"]) == (200, *expected)
        assert headers["content-length"] == str(len(answer))


def test_headers_of_one_name_are_joined() -> None:
    """Two Accept headers are one list."""
    app = App(MODEL)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": LINE, "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"text/csv"), (b"accept", b"image/png"), (b"accept", b"text/csv")]
    asyncio.run(app({"path": "/invocations", "method": "POST", "headers": headers}, receive, keep))
    assert (b"content-type", b"text/csv") in sent[0]["headers"]


def test_invalid_row_is_a_400() -> None:
    """The body names the row and the column."""
    status, _, body = invoke(App(MODEL), b"1,2,nan,4")
    assert (status, json.loads(body)["error"]["column"]) == (400, "V2")


def test_large_body_is_refused_while_it_is_read() -> None:
    """By its declared length, or once more has come; the sender is read on for a while, and the connection closed."""
    for parts, headers in (((b"1",), {"content-length": str(MAX_BODY + 1)}), ((b"1" * MAX_BODY, b"1", b"1"), {})):
        status, found, body = invoke(App(MODEL), *parts, headers=headers)
        assert (status, found["connection"]) == (413, "close")
        assert json.loads(body)["error"]["status"] == 413


def test_body_that_does_not_come_is_a_timeout() -> None:
    """A sender that stops halfway holds a connection for a bounded time."""
    app = App(MODEL, read_seconds=0.01)
    assert invoke(app, b"1,2", hang=True)[0] == 408
    assert invoke(app, b"1", headers={"content-length": str(MAX_BODY + 1)}, hang=True)[0] == 413


def test_defect_is_a_500_and_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that is no error of the request does not end the server."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(inference, "score_request", fail)
    status, _, body = invoke(App(MODEL), b"1,2,nan,4")
    assert (status, json.loads(body)["error"]["message"]) == (500, "ZeroDivisionError: a defect")
    assert "a request failed" in caplog.text


def test_sender_that_disconnects_gets_no_answer() -> None:
    """Before its body, or within it."""
    for first in ([], [{"type": "http.request", "body": b"1", "more_body": True}]):
        messages: list[Any] = [*first, {"type": "http.disconnect"}]
        sent: list[Any] = []

        async def receive(messages: list[Any] = messages) -> Any:
            return messages.pop(0)

        async def keep(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = {"path": "/invocations", "method": "POST", "headers": []}
        asyncio.run(App(MODEL)(scope, receive, keep))
        assert not sent
