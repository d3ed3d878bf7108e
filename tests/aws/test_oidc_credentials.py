"""A workflow's credentials: taken by OIDC, taken again before they end, and refused in one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from ml.aws import oidc_credentials, session
from ml.errors import CloudError

ROLE = "arn:aws:iam::123456789012:role/github/train"


@dataclass
class Cloud:
    """GitHub's token endpoint and AWS's STS on one port: each token is new, each session ends when it is told to."""

    seconds: float = 3600
    failures: int = 0
    refuses: bool = False
    url: str = ""
    tokens: int = 0
    taken: list[dict[str, str]] = field(default_factory=list)
    signed_by: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Response:
        with self.lock:
            if request.path == "/token":
                return self._token(request)
            form = {key: values[0] for key, values in parse_qs(request.get_data(as_text=True)).items()}
            if form["Action"] == "AssumeRoleWithWebIdentity":
                return self._take(request, form)
            self.signed_by.append(request.headers["Authorization"].partition("Credential=")[2].split("/")[0])
            return _xml(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
            )

    def _token(self, request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer ask"
        assert request.args["audience"] == "sts.amazonaws.com"
        if self.failures:
            self.failures -= 1
            return Response(status=503)
        self.tokens += 1
        return Response(json.dumps({"value": f"jwt-{self.tokens}"}), content_type="application/json")

    def _take(self, request: Request, form: dict[str, str]) -> Response:
        assert "Authorization" not in request.headers  # the token is the proof; there is nothing to sign with yet
        if self.refuses:
            error = "<Error><Code>AccessDenied</Code><Message>Not authorized to perform it</Message></Error>"
            return _xml(f"<ErrorResponse>{error}</ErrorResponse>", 403)
        self.taken.append(form)
        end = (datetime.now(UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = (
            f"<AccessKeyId>KEY{len(self.taken)}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            f"<SessionToken>t</SessionToken><Expiration>{end}</Expiration>"
        )
        result = f"<AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials></AssumeRoleWithWebIdentityResult>"
        return _xml(f"<AssumeRoleWithWebIdentityResponse>{result}</AssumeRoleWithWebIdentityResponse>")


def _xml(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type="text/xml")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Both, and a job that may ask."""
    made = Cloud()
    server = make_server("127.0.0.1", 0, Request.application(made), threaded=True)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": made.url,
        "AWS_REGION": "eu-west-1",
        "FRAUDOPS_ROLE_ARN": ROLE,
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{made.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "ask",
        "GITHUB_JOB": "train",
        "GITHUB_RUN_ID": "42",
        "GITHUB_RUN_ATTEMPT": "2",
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    session.renew()


def test_job_takes_its_role_once_for_all_clients(cloud: Cloud) -> None:
    """Nothing is asked before the first call; then every service signs with the same session, named for the run."""
    sts = session.client("sts")
    assert cloud.tokens == 0
    sts.get_caller_identity()
    sts.get_caller_identity()
    assert session.client("sqs")._request_signer._credentials is sts._request_signer._credentials
    assert (cloud.tokens, len(cloud.taken), cloud.signed_by) == (1, 1, ["KEY1", "KEY1"])
    assert cloud.taken[0]["RoleArn"] == ROLE
    assert cloud.taken[0]["WebIdentityToken"] == "jwt-1"
    assert cloud.taken[0]["RoleSessionName"] == "fraudops-train-42-2"


def test_session_that_is_about_to_end_is_taken_anew_with_a_fresh_token(cloud: Cloud) -> None:
    """The same client goes on: a wait outlives an hour without knowing it."""
    cloud.seconds = 60  # less than the quarter of an hour ahead of which it is renewed
    sts = session.client("sts")
    sts.get_caller_identity()
    cloud.seconds = 3600
    sts.get_caller_identity()
    sts.get_caller_identity()
    assert cloud.signed_by == ["KEY1", "KEY2", "KEY2"]
    assert [form["WebIdentityToken"] for form in cloud.taken] == ["jwt-1", "jwt-2"]


def test_github_may_be_away_for_a_moment(cloud: Cloud) -> None:
    """A 503 is asked again."""
    cloud.failures = 1
    assert oidc_credentials.token() == "jwt-1"


def test_role_that_does_not_trust_the_workflow_is_one_line(cloud: Cloud) -> None:
    """It names the role and where its trust is written."""
    cloud.refuses = True
    with pytest.raises(
        CloudError, match=rf"does not let this workflow assume {ROLE} \(AccessDenied.*infra/github-oidc.yaml"
    ):
        session.client("sts").get_caller_identity()


def test_job_that_may_not_ask_is_told_what_it_lacks(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission by its name."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{cloud.url}/nowhere")
    monkeypatch.setattr(Cloud, "__call__", lambda self, request: Response(status=404))
    with pytest.raises(CloudError, match=r"id-token: write"):
        oidc_credentials.token()


@pytest.mark.parametrize("missing", oidc_credentials.READ)
def test_without_a_role_or_a_token_the_usual_credentials_count(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A laptop signs in as it always did."""
    monkeypatch.delenv(missing)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "MINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    session.client("sts").get_caller_identity()
    assert (cloud.signed_by, cloud.tokens) == (["MINE"], 0)


def test_sessions_name_is_one_that_aws_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 64 of its characters, whatever the job is called."""
    monkeypatch.setenv("GITHUB_JOB", "a job: with/ü " * 10)
    name = oidc_credentials.session_name()
    assert len(name) <= 64
    assert name.startswith("fraudops-a-job--with-")
