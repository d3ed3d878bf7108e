"""A workflow's AWS credentials by OIDC: assumed lazily, renewed before they expire, and one-line errors."""

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

from ml.aws import oidc_credentials, session, session_policies
from ml.errors import CloudError, UsageError

ROLE = "arn:aws:iam::123456789012:role/github/train"


@dataclass
class Cloud:
    """GitHub's token endpoint and AWS's STS on one port; tokens are numbered, sessions last `seconds`."""

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
        assert "Authorization" not in request.headers  # unsigned: the token authenticates the call
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
    """Both endpoints, and the environment of a job with id-token permission."""
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


def test_role_is_assumed_once_for_all_clients(cloud: Cloud) -> None:
    """No request before the first call; then all clients share one session, named after the run."""
    sts = session.client("sts")
    assert cloud.tokens == 0
    sts.get_caller_identity()
    sts.get_caller_identity()
    assert session.client("sqs")._request_signer._credentials is sts._request_signer._credentials
    assert (cloud.tokens, len(cloud.taken), cloud.signed_by) == (1, 1, ["KEY1", "KEY1"])
    assert cloud.taken[0]["RoleArn"] == ROLE
    assert cloud.taken[0]["WebIdentityToken"] == "jwt-1"
    assert cloud.taken[0]["RoleSessionName"] == "fraudops-train-42-2"


def test_session_policy_is_asked_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session of the job has it; without the variable the role alone decides."""
    session.client("sts").get_caller_identity()
    assert "Policy" not in cloud.taken[0]
    monkeypatch.setenv(session_policies.VARIABLE, "site")
    session.renew()
    session.client("sts").get_caller_identity()
    assert cloud.taken[1]["Policy"] == session_policies.document("site")


def test_unknown_session_policy_gets_no_session(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name is refused: it would not limit anything."""
    monkeypatch.setenv(session_policies.VARIABLE, "sites")
    with pytest.raises(UsageError, match=r"FRAUDOPS_SESSION_POLICY must be one of site \(got 'sites'\)"):
        session.client("sts").get_caller_identity()
    assert cloud.taken == []


def test_expiring_session_is_renewed_with_a_new_token(cloud: Cloud) -> None:
    """The same client continues, so a wait can take longer than the session."""
    cloud.seconds = 60  # less than the 15 minutes before expiry at which it is renewed
    sts = session.client("sts")
    sts.get_caller_identity()
    cloud.seconds = 3600
    sts.get_caller_identity()
    sts.get_caller_identity()
    assert cloud.signed_by == ["KEY1", "KEY2", "KEY2"]
    assert [form["WebIdentityToken"] for form in cloud.taken] == ["jwt-1", "jwt-2"]


def test_token_request_is_retried(cloud: Cloud) -> None:
    """A 503 of GitHub's token endpoint is retried."""
    cloud.failures = 1
    assert oidc_credentials.token() == "jwt-1"


def test_denied_role_is_an_error(cloud: Cloud) -> None:
    """One line names the role and the template with its trust policy."""
    cloud.refuses = True
    with pytest.raises(
        CloudError, match=rf"does not let this workflow assume {ROLE} \(AccessDenied.*infra/github-oidc.yaml"
    ):
        session.client("sts").get_caller_identity()


def test_missing_token_permission_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names `id-token: write`."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{cloud.url}/nowhere")
    monkeypatch.setattr(Cloud, "__call__", lambda self, request: Response(status=404))
    with pytest.raises(CloudError, match=r"id-token: write"):
        oidc_credentials.token()


@pytest.mark.parametrize("missing", oidc_credentials.READ)
def test_without_oidc_the_usual_credentials_are_used(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """On a laptop boto3's own credentials are used."""
    monkeypatch.delenv(missing)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "MINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    session.client("sts").get_caller_identity()
    assert (cloud.signed_by, cloud.tokens) == (["MINE"], 0)


def test_session_name_is_valid_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 64 allowed characters, whatever the job's name is."""
    monkeypatch.setenv("GITHUB_JOB", "a job: with/ü " * 10)
    name = oidc_credentials.session_name()
    assert len(name) <= 64
    assert name.startswith("fraudops-a-job--with-")
