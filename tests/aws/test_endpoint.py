"""Waiting for an endpoint's state, and strict parsing of its answers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml.aws import endpoint, session
from ml.errors import CloudError
from tests.harness.aws import moto_server

NAME = "fraudops-production"


@pytest.fixture
def cloud(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty moto."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)


def states(monkeypatch: pytest.MonkeyPatch, *shown: tuple[str, str, str] | None) -> None:
    """Makes successive calls of `describe` return these (status, configuration, reason); the last one repeats."""
    left = list(shown)

    def describe(name: str) -> endpoint.State | None:
        now = left.pop(0) if len(left) > 1 else left[0]
        return now and endpoint.State(name=name, status=now[0], configuration=now[1], reason=now[2])

    monkeypatch.setattr(endpoint, "describe", describe)


def test_endpoint_is_described(cloud: None) -> None:
    """Its status and configuration; None where there is none."""
    assert endpoint.describe(NAME) is None
    assert "nothing serves" in endpoint.serving(NAME)
    sagemaker = session.client("sagemaker")
    sagemaker.create_model(ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/r", PrimaryContainer={})
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName="c")
    state = endpoint.describe(NAME)
    assert state is not None
    assert (state.status, state.configuration, state.moving) == ("InService", "c", False)
    assert endpoint.serving(NAME) == f"endpoint {NAME} is InService on c"


@pytest.mark.parametrize(
    ("configuration", "approval"),
    [
        (f"{NAME}-0007-0123456789ab", 7),
        (f"{NAME}-12345-0123456789ab", 12345),
        ("fraudops-0007-0123456789ab-0008-ba9876543210", 8),
        ("by-hand", None),
        ("", None),
    ],
)
def test_configuration_names_its_approval(configuration: str, approval: int | None) -> None:
    """As the deploy function names it; None for another's configuration."""
    state = endpoint.State(name=NAME, status="InService", configuration=configuration, reason="")
    assert state.approval == approval


def test_wait_ends_in_a_settled_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait passes through all states on the way."""
    states(monkeypatch, ("Creating", "c", ""), ("Updating", "c", ""), ("InService", "d", ""))
    state = endpoint.settled(NAME, timeout_seconds=5, configuration="d")
    assert state is not None
    assert (state.status, state.configuration) == ("InService", "d")


def test_failure_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rolled-back update ends on the old configuration with SageMaker's reason."""
    states(monkeypatch, ("Updating", "c", ""), ("RollingBack", "c", ""), ("InService", "c", "unhealthy"))
    state = endpoint.settled(NAME, timeout_seconds=5, configuration="d")
    assert state is not None
    assert (state.configuration, state.reason) == ("c", "unhealthy")


def test_stale_reads_after_a_change_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directly after a change the endpoint may seem missing or unchanged."""
    states(monkeypatch, None, ("InService", "c", ""), ("Updating", "c", ""), ("InService", "d", ""))
    state = endpoint.settled(NAME, timeout_seconds=5, configuration="d")
    assert state is not None
    assert state.configuration == "d"


def test_wait_for_a_change_to_begin_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `lag_seconds` the unchanged state is returned."""
    states(monkeypatch, ("InService", "c", ""))
    state = endpoint.settled(NAME, timeout_seconds=5, configuration="d", lag_seconds=0.2)
    assert state is not None
    assert state.configuration == "c"


def test_wait_ends_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is returned as it is, still changing."""
    states(monkeypatch, ("Updating", "c", ""))
    state = endpoint.settled(NAME, timeout_seconds=0.3)
    assert state is not None
    assert state.moving


class Runtime:
    """A runtime client whose endpoint answers with `body`."""

    def __init__(self, body: bytes) -> None:
        self.body, self.request = body, dict[str, Any]()

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        """Stores the request."""
        self.request = request
        return {"Body": io.BytesIO(self.body)}


def test_rows_are_sent_by_name_under_one_inference_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are named, so their order does not matter; drift checks identify the request by its id."""
    predictions = [{"score": 0.25, "decision": 0, "model_version": "0007"}]
    runtime = Runtime(json.dumps({"predictions": predictions}).encode())
    monkeypatch.setattr(session, "client", lambda service: runtime)
    answers = endpoint.score(NAME, ["a", "b"], [[1.0, 2.0]], inference_id="smoke-1")
    assert answers == [endpoint.Answer(score=0.25, decision=0, model_version="0007")]
    assert json.loads(runtime.request["Body"]) == {"instances": [{"a": 1.0, "b": 2.0}]}
    assert runtime.request["InferenceId"] == "smoke-1"


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"{}", b'{"predictions": [{"score": 1}]}', b'{"predictions": []}', b'{"predictions": [null]}'],
)
def test_invalid_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """An answer without one prediction per row in our format is a CloudError."""
    monkeypatch.setattr(session, "client", lambda service: Runtime(body))
    with pytest.raises(CloudError, match=f"endpoint {NAME} answered"):
        endpoint.score(NAME, ["a"], [[1.0]], inference_id="smoke-1")


def test_caller_looks_while_the_endpoint_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each look at an update, and neither while it rolls back nor once it has settled."""
    states(
        monkeypatch,
        ("Updating", "c", ""),
        ("Updating", "c", ""),
        ("RollingBack", "c", "an alarm"),
        ("InService", "c", "an alarm"),
    )
    looks = []
    state = endpoint.settled(NAME, timeout_seconds=5, configuration="d", while_moving=lambda: looks.append(1))
    assert state is not None
    assert (state.status, len(looks)) == ("InService", 2)


def test_body_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its content type; SageMaker's own default holds where there is none."""
    runtime = Runtime(b"[]")
    monkeypatch.setattr(session, "client", lambda service: runtime)
    assert endpoint.send(NAME, "1,2\u00e9", "text/csv", inference_id="i") == endpoint.Reply(status=200, body="[]")
    assert (runtime.request["Body"], runtime.request["ContentType"]) == ("1,2\u00e9".encode(), "text/csv")
    runtime.body = b"[]"
    endpoint.send(NAME, "1,2", None, inference_id="i")
    assert "ContentType" not in runtime.request


def test_status_of_the_model_is_returned_and_other_refusals_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ModelError is the container's answer; throttling is not."""
    errors: list[Any] = [
        {"Error": {"Code": "ModelError"}, "OriginalStatusCode": 400, "OriginalMessage": "no such column"},
        {"Error": {"Code": "ThrottlingException", "Message": "slow down"}},
    ]

    class Refusing:
        def invoke_endpoint(self, **_: Any) -> None:
            """Raises the next error."""
            raise ClientError(errors.pop(0), "InvokeEndpoint")

    monkeypatch.setattr(session, "client", lambda service: Refusing())
    assert endpoint.send(NAME, "1", None, inference_id="i") == endpoint.Reply(status=400, body="no such column")
    with pytest.raises(CloudError, match="ThrottlingException"):
        endpoint.send(NAME, "1", None, inference_id="i")
