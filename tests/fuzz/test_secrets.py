"""Tokens and keys reach no message, page or log, whatever GitHub, git or AWS answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request, Response

from ml.errors import GitHubError
from ml.gitops import pull_requests, rest_reader
from ml.gitops.remote import redact_token
from tests.fuzz.untrusted import hostile_text
from tests.harness.fuzzing import examples
from tests.harness.github.scripted import RETRY_POLICY, Script, serving

TOKEN = "secret-token"
"""The token of a scripted GitHub's client."""


class Echo(Script):
    """A GitHub whose answers are not GitHub's, with the request's own headers in them."""

    status, body = 200, b""

    def __call__(self, request: Request) -> Response:
        content = self.body.replace(b"HEADER", request.headers.get("Authorization", "").encode())
        return Response(content, status=self.status, content_type="application/json")


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """One server for all examples."""
    with serving(Echo()) as script:
        assert isinstance(script, Echo)
        yield script


@given(message=hostile_text, status=st.sampled_from([400, 401, 403, 404, 409, 422]), field=st.booleans())
@examples(15)
def test_refusal_of_github_shows_no_token(echo: Echo, message: str, status: int, field: bool) -> None:
    """A proxy that shows the request's headers in its refusal: the error is bounded and has no token of them."""
    said = f"{message} HEADER"
    body = json.dumps({"message": "no", "errors": [{"message": said}]} if field else {"message": said}).encode()
    echo.status, echo.body = status, body
    github = echo.github(RETRY_POLICY)
    calls: list[Any] = [
        lambda: rest_reader.document(github, "the rules", "/rulesets"),
        lambda: pull_requests.get(github, 7),
    ]
    for call in calls:
        shown: Any = StringIO()
        try:
            with redirect_stdout(shown), redirect_stderr(shown):
                call()
        except GitHubError as error:
            assert TOKEN not in str(error)
            assert len(str(error)) < 20_000
        assert TOKEN not in shown.getvalue()


@given(
    st.lists(st.sampled_from(["TOKEN", "BASIC", "fatal: ", "\n", "a", "%0A"]), max_size=8).map("".join),
    st.text("abAB09_", min_size=20, max_size=40),
)
def test_no_output_of_git_shows_the_token(output: str, token: str) -> None:
    """Neither as it is nor as the header that git sends."""
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    shown = redact_token(output.replace("TOKEN", token).replace("BASIC", basic), {"GITHUB_TOKEN": token})
    assert token not in shown
    assert basic not in shown
