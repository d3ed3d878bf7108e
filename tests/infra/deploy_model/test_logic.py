"""The deploy function's decisions: it deploys what Git approved, once, and refuses everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from deploy_model import documents, logic
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.fake_access import ARN, FakeAccess, desired, event

ENVIRONMENT = documents.Environment(
    bucket="lake",
    package_group="fraudops-model",
    endpoint_role_arn="arn:role",
    topic_arn="arn:topic",
    rollback_alarms=("errors", "latency"),
)
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/serving@sha256:{'a' * 64}"
OTHER = ARN.replace("/7", "/6")
NAME = documents.Desired.parse(json.dumps(desired())).name


def deploy(access: FakeAccess, about: dict[str, Any] | None = None) -> documents.Outcome:
    """One delivery of an event."""
    return logic.deploy(about or event(), access, ENVIRONMENT)


def test_first_deployment_creates_everything() -> None:
    """Model, configuration and endpoint have one name, the verified copy and the approval's number."""
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


def test_serving_image_replaces_the_approved_container() -> None:
    """After the package was verified; the variables for SageMaker's own server are left out."""
    access = FakeAccess(document=desired(schema=2, serving_image=IMAGE))
    outcome = deploy(access)
    assert outcome.outcome == "created"
    container = access.requests[0]["PrimaryContainer"]
    assert (container["Image"], container["Environment"]) == (IMAGE, {"FRAUDOPS_MODEL_VERSION": "0007"})
    assert outcome.endpoint_config != NAME
    other = FakeAccess(document=desired(schema=2, serving_image=IMAGE, container={"image": "x", "environment": {}}))
    assert deploy(other).code == "container"


@pytest.mark.parametrize("step", ["create_model", "create_endpoint_config", "create_endpoint"])
def test_invocation_that_another_overtakes_changes_nothing(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without reserved concurrency an event's two deliveries run at once: the second finds its change made."""
    access = FakeAccess()

    def overtaken(**request: Any) -> None:
        monkeypatch.undo()
        assert logic.deploy(event(), access, ENVIRONMENT).outcome == "created"
        raise logic.Raced(f"{step}: Cannot create already existing")

    monkeypatch.setattr(access, step, overtaken)
    outcome = logic.deploy(event(), access, ENVIRONMENT)
    assert outcome.outcome == "unchanged"
    assert access.changes == ["create_model", "create_endpoint_config", "create_endpoint"]


def test_endless_race_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is retried later."""
    access = FakeAccess()

    def lost(**request: Any) -> None:
        raise logic.Raced("Cannot create already existing model")

    monkeypatch.setattr(access, "create_model", lost)
    with pytest.raises(logic.Busy, match="another invocation"):
        logic.deploy(event(), access, ENVIRONMENT)


def test_next_deployment_updates_blue_green() -> None:
    """The former fleet serves until the new one does, and then for the time set in Git."""
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
    assert policy["TrafficRoutingConfiguration"] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert "AutoRollbackConfiguration" not in request["DeploymentConfig"]


@pytest.mark.parametrize(
    ("count", "scaling", "kept"),
    [(5, (2, 6), True), (2, (2, 6), True), (7, (2, 6), False), (1, (2, 6), False), (5, None, False)],
)
def test_update_keeps_a_count_that_scaling_may_have_chosen(
    count: int, scaling: tuple[int, int] | None, kept: bool
) -> None:
    """The number of instances between the bounds; outside of them, and without scaling, the order's counts."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    access.endpoints["fraudops-production"]["ProductionVariants"] = [{"DesiredInstanceCount": count}]
    bounds = {"schema": 4, "autoscaling": {"min": scaling[0], "max": scaling[1]}} if scaling else {}
    access.document = desired(instance={"type": "ml.m5.large", "count": 2}, **bounds)
    assert deploy(access, event(identifier="event-2")).outcome == "updated"
    assert access.requests[-1]["RetainAllVariantProperties"] is kept


def test_canary_takes_instances_and_is_rolled_back_by_the_alarms() -> None:
    """An order with a canary shifts traffic in two steps, and names the platform's alarms."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    rollout = {"termination_wait_seconds": 120, "timeout_minutes": 30, "traffic": "canary"}
    canary = {"instances": 1, "bake_minutes": 10}
    two = {"type": "ml.m5.large", "count": 2}
    access.document = desired(schema=3, instance=two, rollout=rollout | {"canary": canary})
    deploy(access, event(identifier="event-2"))
    deployment = access.requests[-1]["DeploymentConfig"]
    assert deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 600,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
    }
    assert deployment["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "latency"}]}


@pytest.mark.parametrize("settled", [False, True])
def test_second_delivery_changes_nothing(settled: bool) -> None:
    """Events are delivered at least once: a repeat during or after the deployment has no effect."""
    access = FakeAccess()
    deploy(access)
    if settled:
        access.settle()
    before = list(access.changes)
    assert deploy(access).outcome == "unchanged"
    assert deploy(access, event(identifier="another-event")).outcome == "unchanged"
    assert access.changes == before


@pytest.mark.parametrize(
    ("deleted", "made"), [("models", "create_model"), ("configurations", "create_endpoint_config")]
)
def test_deleted_part_of_a_serving_endpoint_is_made_anew(deleted: str, made: str) -> None:
    """The endpoint answers without it, and could not replace an instance; the endpoint itself is not touched."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    getattr(access, deleted).clear()
    before = list(access.changes)
    assert deploy(access).outcome == "unchanged"
    assert access.changes == [*before, made]


def test_second_delivery_during_an_update_changes_nothing() -> None:
    """The update in progress is to the same configuration."""
    access = FakeAccess()
    deploy(access)
    access.settle()
    access.document = desired(capture={"sampling_percentage": 10})
    deploy(access)
    before = list(access.changes)
    assert deploy(access).outcome == "unchanged"
    assert access.changes == before


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"])
def test_endpoint_in_another_update_is_busy(status: str) -> None:
    """The event is delivered again later; nothing is created before."""
    access = FakeAccess(endpoints={"fraudops-production": {"EndpointStatus": status, "EndpointConfigName": "another"}})
    with pytest.raises(logic.Busy, match=status):
        deploy(access)
    assert access.changes == []


def test_endpoint_whose_creation_failed_is_recreated() -> None:
    """SageMaker only allows deleting it; the next delivery creates it."""
    access = FakeAccess(endpoints={"fraudops-production": {"EndpointStatus": "Failed", "EndpointConfigName": NAME}})
    with pytest.raises(logic.Busy, match="created again"):
        deploy(access)
    assert access.changes == ["delete_endpoint"]
    assert deploy(access).outcome == "created"


def test_failed_update_is_retried() -> None:
    """The endpoint is on the old configuration, so the update is repeated with the existing resources."""
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
def test_package_that_git_did_not_approve_is_refused(code: str) -> None:
    """Each refusal has its code and a reason; the serving endpoint is unchanged."""
    state, about = REFUSED[code]
    serving = {"EndpointStatus": "InService", "EndpointConfigName": "former"}
    access = FakeAccess(**state, endpoints={"fraudops-production": dict(serving)})
    outcome = deploy(access, about)
    assert (outcome.outcome, outcome.code, outcome.alarming) == ("refused", code, True)
    assert len(outcome.reason) > 40
    assert access.endpoints["fraudops-production"] == serving
    assert "update_endpoint" not in access.changes


def test_missing_artifact_is_refused() -> None:
    """It is refused like an artifact with another digest."""
    assert deploy(FakeAccess(objects={})).code == "digest"


def test_edited_environment_is_refused_by_name() -> None:
    """UpdateModelPackage can change the container's environment; the refusal names the changed variable."""
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
    """Lambda sends it to the dead-letter queue; its content is not used in any key."""
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
def test_invalid_order_is_refused(value: Any, key: str) -> None:
    """An invalid desired.json never raises and is never deployed in part."""
    for document in (value, desired(**{key: value})):
        access = FakeAccess(document=json.dumps(document))
        outcome = deploy(access)
        assert outcome.outcome in ("refused", "created")


def test_capture_can_be_switched_off() -> None:
    """A capture rate of 0 % disables data capture on the endpoint."""
    access = FakeAccess(document=desired(capture={"sampling_percentage": 0}))
    deploy(access)
    assert access.requests[1]["DataCaptureConfig"]["EnableCapture"] is False


@pytest.mark.parametrize(("instance", "volume"), [("ml.m5.large", True), ("ml.c5d.xlarge", False)])
def test_key_encrypts_captured_traffic_and_volumes(instance: str, volume: bool) -> None:
    """Captured traffic is encrypted always, volumes unless the instance has local disks, where a key is refused."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    account = FakeAccess(document=desired(instance={"type": instance, "count": 1}))
    assert logic.deploy(event(), account, replace(ENVIRONMENT, key_arn=key)).outcome == "created"
    (configuration,) = account.configurations.values()
    assert configuration["DataCaptureConfig"]["KmsKeyId"] == key
    assert configuration.get("KmsKeyId") == (key if volume else None)
