"""The deploy function acts on what Git approved, once, and refuses everything else without touching the endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deploy_model import documents, logic
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.fake_access import ARN, FakeAccess, desired, event

ENVIRONMENT = documents.Environment(
    bucket="lake", package_group="fraudops-model", endpoint_role_arn="arn:role", topic_arn="arn:topic"
)
OTHER = ARN.replace("/7", "/6")
NAME = documents.Desired.parse(json.dumps(desired())).name


def deploy(access: FakeAccess, about: dict[str, Any] | None = None) -> documents.Outcome:
    """One delivery of an event."""
    return logic.deploy(about or event(), access, ENVIRONMENT)


def test_first_deployment_creates_everything() -> None:
    """Model, configuration and endpoint of one name, from the copy that was verified, under the approval's number."""
    access = FakeAccess()
    outcome = deploy(access)
    assert (outcome.outcome, outcome.endpoint_config, outcome.desired) == ("created", NAME, "order-1")
    assert access.changes == ["create_model", "create_endpoint_config", "create_endpoint"]
    model, configuration, endpoint = access.requests
    assert model["PrimaryContainer"] == {
        "Image": "image:1.9-0",
        "ModelDataUrl": f"s3://lake/deploy/artifacts/{desired()['artifact_sha256']}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "FRAUDOPS_MODEL_VERSION": "0007"},
    }
    assert model["EnableNetworkIsolation"] is True
    capture = configuration["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 100)
    assert capture["DestinationS3Uri"] == "s3://lake/capture"
    assert endpoint == {"EndpointName": "fraudops-production", "EndpointConfigName": NAME}


def test_next_deployment_updates_blue_green() -> None:
    """What served goes on serving until the new fleet does, and is kept as long as Git says."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    access.document = desired(instance={"type": "ml.m5.xlarge", "count": 2})
    outcome = deploy(access, event(identifier="event-2"))
    assert outcome.outcome == "updated"
    request = access.requests[-1]
    assert request["EndpointConfigName"] == outcome.endpoint_config != NAME
    policy = request["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TerminationWaitInSeconds"] == 120
    assert policy["MaximumExecutionTimeoutInSeconds"] == 1800


@pytest.mark.parametrize("settled", [False, True])
def test_second_delivery_changes_nothing(settled: bool) -> None:
    """While the first is being carried out, and after it: events come at least once."""
    access = FakeAccess()
    deploy(access)
    if settled:
        access.settle()
    before = list(access.changes)
    assert deploy(access).outcome == "unchanged"
    assert deploy(access, event(identifier="another-event")).outcome == "unchanged"
    assert access.changes == before


def test_second_delivery_during_an_update_changes_nothing() -> None:
    """The update under way is to the same configuration."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    access.document = desired(capture={"sampling_percentage": 10})
    deploy(access)
    before = list(access.changes)
    assert deploy(access).outcome == "unchanged"
    assert access.changes == before


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"])
def test_endpoint_on_its_way_elsewhere_is_waited_for(status: str) -> None:
    """The event comes again later; nothing is created meanwhile."""
    access = FakeAccess(endpoints={"fraudops-production": {"EndpointStatus": status, "EndpointConfigName": "another"}})
    with pytest.raises(logic.Busy, match=status):
        deploy(access)
    assert access.changes == []


def test_endpoint_that_failed_to_be_created_is_made_anew() -> None:
    """SageMaker only lets it be deleted; the next delivery creates it."""
    access = FakeAccess(endpoints={"fraudops-production": {"EndpointStatus": "Failed", "EndpointConfigName": NAME}})
    with pytest.raises(logic.Busy, match="created again"):
        deploy(access)
    assert access.changes == ["delete_endpoint"]
    assert deploy(access).outcome == "created"


def test_update_that_failed_is_tried_again() -> None:
    """The endpoint is back on the old configuration, so the new one is asked for once more, with what is there."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    access.document = desired(capture={"sampling_percentage": 10})
    deploy(access)
    access.endpoints["fraudops-production"] = {"EndpointStatus": "InService", "EndpointConfigName": NAME}
    before = len(access.changes)
    assert deploy(access).outcome == "updated"
    assert access.changes[before:] == ["update_endpoint"]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing-desired": ({"document": None}, event()),
    "desired-unreadable": ({"document": '{"schema": 2}'}, event()),
    "not-desired": ({}, event(OTHER)),
    "not-approved": ({"status": "PendingManualApproval"}, event()),
    "other-group": ({"group": "someone-elses"}, event()),
    "containers": ({"containers": []}, event()),
    "container": (
        {"containers": [{"Image": "evil:1", "Environment": {}, "ModelDataUrl": "s3://lake/x"}]},
        event(),
    ),
    "digest": ({"objects": {"s3://lake/executions/7/model.tar.gz": b"another model"}}, event()),
    "model-differs": ({"models": {NAME: {"PrimaryContainer": {"Image": "evil:1"}}}}, event()),
    "config-differs": ({"configurations": {NAME: {"ProductionVariants": [{"ModelName": "evil"}]}}}, event()),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_git_did_not_approve_is_refused(code: str) -> None:
    """Each with a code of its own and a reason for people; the endpoint that serves is not touched."""
    state, about = REFUSED[code]
    serving = {"EndpointStatus": "InService", "EndpointConfigName": "former"}
    access = FakeAccess(**state, endpoints={"fraudops-production": dict(serving)})
    outcome = deploy(access, about)
    assert (outcome.outcome, outcome.code, outcome.alarming) == ("refused", code, True)
    assert len(outcome.reason) > 40
    assert access.endpoints["fraudops-production"] == serving
    assert "update_endpoint" not in access.changes


def test_object_that_is_gone_is_refused() -> None:
    """As one with another digest."""
    assert deploy(FakeAccess(objects={})).code == "digest"


def test_edited_environment_is_refused_by_name() -> None:
    """UpdateModelPackage can make the container run other code; the refusal says which variable was changed."""
    edited = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://elsewhere/code.tar.gz"}
    container = {"Image": "image:1.9-0", "Environment": edited, "ModelDataUrl": "s3://lake/executions/7/model.tar.gz"}
    outcome = deploy(FakeAccess(containers=[container]))
    assert outcome.code == "container"
    assert "SAGEMAKER_SUBMIT_DIRECTORY" in outcome.reason


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "e"},
        {"id": "e", "detail": []},
        {"id": "e", "detail": {"ModelPackageArn": 7}},
        {"id": "e", "detail": {"ModelPackageArn": "arn:aws:s3:::bucket"}},
        event(identifier="../../deploy/desired"),
        event(identifier=""),
    ],
)
def test_event_of_another_shape_is_an_error(broken: dict[str, Any]) -> None:
    """It goes to the dead-letter queue, and no key is made of what it says."""
    access = FakeAccess()
    with pytest.raises(ValueError, match="event"):
        deploy(access, broken)
    assert access.changes == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from(sorted(desired())))
def test_order_that_does_not_hold_is_refused_whatever_it_says(value: Any, key: str) -> None:
    """A broken desired.json never raises and never deploys something half-read."""
    for document in (value, desired(**{key: value})):
        access = FakeAccess(document=json.dumps(document))
        outcome = deploy(access)
        assert outcome.outcome in ("refused", "created")


def test_capture_can_be_switched_off() -> None:
    """0 % in Git is no capture on the endpoint."""
    access = FakeAccess(document=desired(capture={"sampling_percentage": 0}))
    deploy(access)
    assert access.requests[1]["DataCaptureConfig"]["EnableCapture"] is False
