"""Decides whether an approved package may be deployed, and updates the endpoint through an Access object.

It deploys only if the event is about the package that deploy/desired.json names, the package is Approved now, runs in
the container that Git recorded, and the object at its URL has the recorded digest. Everything else is a Refusal, which
leaves the endpoint unchanged. Events may come twice, late and in any order: the decision uses the current state and
only the package's name from the event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from deploy_model.documents import Container, Desired, Environment, Outcome

DESIRED = "deploy/desired.json"
VARIANT = "AllTraffic"  # a blue/green update needs the same variant name every time
# Instance types whose local disks their own hardware encrypts; SageMaker refuses a key for them (CreateEndpointConfig's
# KmsKeyId; the types: Amazon EC2's "Instance store volumes").
_LOCAL_STORAGE = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|i\d\w*|p5e?n?|trn\d\w*)\.")
_ATTEMPTS = 5  # model, configuration and endpoint can each be created by another invocation meanwhile
_SETTLED = ("InService", "OutOfService", "UpdateRollbackFailed")


class Refusal(Exception):
    """The package must not be deployed. `code` is for programs, the message for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Busy(Exception):
    """The endpoint is changing; the event must be retried later."""


class Raced(Exception):
    """Another invocation made the same change first; the decision must be made again from the present state."""


class Access(Protocol):
    """The calls to AWS that a decision needs; `access.Aws` makes them. Those that change something may raise Raced."""

    def text(self, key: str) -> str | None:
        """The object `key` of the lake; None if there is none."""

    def package(self, arn: str) -> dict[str, Any]:
        """DescribeModelPackage."""

    def pinned(self, url: str, sha256: str) -> str | None:
        """The URL of a protected copy of the object at `url`; None if the object has another digest."""

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """DescribeEndpoint; None if there is none."""

    def model(self, name: str) -> dict[str, Any] | None:
        """DescribeModel; None if there is none."""

    def endpoint_config(self, name: str) -> dict[str, Any] | None:
        """DescribeEndpointConfig; None if there is none."""

    def create_model(self, **request: Any) -> None:
        """CreateModel."""

    def create_endpoint_config(self, **request: Any) -> None:
        """CreateEndpointConfig."""

    def create_endpoint(self, **request: Any) -> None:
        """CreateEndpoint."""

    def update_endpoint(self, **request: Any) -> None:
        """UpdateEndpoint."""

    def delete_endpoint(self, name: str) -> None:
        """DeleteEndpoint."""


def package_arn(event: Mapping[str, Any]) -> str:
    """The ARN of the package that an event is about; ValueError if it names none."""
    detail = event.get("detail") if isinstance(event, Mapping) else None  # a caller may send any JSON
    arn = detail.get("ModelPackageArn") if isinstance(detail, Mapping) else None
    if not isinstance(arn, str) or ":model-package/" not in arn:
        raise ValueError("the event names no model package: only approvals of packages belong on this function's rule")
    return arn


def event_id(event: Mapping[str, Any]) -> str:
    """The id of the event, which names its outcome in S3; ValueError if it cannot be part of a key."""
    found = event.get("id")
    if not isinstance(found, str) or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", found):
        raise ValueError("the event has no id of letters, digits and dashes")
    return found


def deploy(event: Mapping[str, Any], access: Access, environment: Environment) -> Outcome:
    """Deploys the event's package if Git approved it; returns as soon as the endpoint's update has started.

    Raises:
        Busy: the endpoint is changing; nothing was done, and the event should be retried.
    """
    arn, identifier = package_arn(event), event_id(event)
    desired: Desired | None = None
    try:
        desired = _desired(access, arn)
        container = _verified(access, arn, desired, environment)
        outcome, reason = _apply_raced(access, desired, container, environment)
    except Refusal as refusal:
        return Outcome(
            event_id=identifier,
            model_package_arn=arn,
            outcome="refused",
            code=refusal.code,
            reason=str(refusal),
            desired=desired.id if desired else None,
            endpoint=desired.endpoint if desired else None,
        )
    return Outcome(
        event_id=identifier,
        model_package_arn=arn,
        outcome=outcome,
        code=outcome,
        reason=reason,
        desired=desired.id,
        endpoint=desired.endpoint,
        endpoint_config=desired.name,
    )


def _desired(access: Access, arn: str) -> Desired:
    text = access.text(DESIRED)
    if text is None:
        raise Refusal(
            "nothing-desired",
            f"{arn} was approved outside Git: there is no {DESIRED} yet. "
            "Approve a model by merging its approval pull request",
        )
    try:
        desired = Desired.parse(text)
    except ValueError as error:
        raise Refusal("desired-unreadable", f"{DESIRED} is invalid ({error}); run `fraudops deploy`") from error
    if desired.model_package_arn != arn:
        raise Refusal(
            "not-desired",
            f"{arn} was approved outside Git: approval {desired.approval:04d} is {desired.model_package_arn}. "
            "The endpoint was not changed; approve a model by merging its approval pull request",
        )
    return desired


def _verified(access: Access, arn: str, desired: Desired, environment: Environment) -> dict[str, Any]:
    """The container definition to serve, after everything that Git recorded about it is verified."""
    package = access.package(arn)
    if package.get("ModelPackageGroupName") != environment.package_group:
        raise Refusal(
            "other-group", f"{arn} is in group {package.get('ModelPackageGroupName')}, not {environment.package_group}"
        )
    status = package.get("ModelApprovalStatus")
    if status != "Approved":
        raise Refusal("not-approved", f"{arn} is now {status}; the event of its approval came late")
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    if len(containers) != 1 or not containers[0].get("ModelDataUrl"):
        raise Refusal("containers", f"{arn} must have one container with a ModelDataUrl (got {len(containers)})")
    found = Container(image=containers[0].get("Image", ""), environment=dict(containers[0].get("Environment") or {}))
    if found != desired.container:
        raise Refusal(
            "container",
            f"the container of {arn} differs from the approved one: {_difference(desired.container, found)}",
        )
    url = containers[0]["ModelDataUrl"]
    copy = access.pinned(url, desired.artifact_sha256)
    if copy is None:
        raise Refusal("digest", f"there is no object at {url} with the approved digest {desired.artifact_sha256}")
    version = {"FRAUDOPS_MODEL_VERSION": f"{desired.approval:04d}"}
    if desired.serving_image:  # its variables are its own; those of the approved container are for SageMaker's server
        return {"Image": desired.serving_image, "ModelDataUrl": copy, "Environment": version}
    return {"Image": found.image, "ModelDataUrl": copy, "Environment": found.environment | version}


def _difference(approved: Container, found: Container) -> str:
    if approved.image != found.image:
        return f"its image is {found.image}, the approved one is {approved.image}"
    names = {*approved.environment, *found.environment}
    changed = sorted(name for name in names if approved.environment.get(name) != found.environment.get(name))
    return f"its environment differs in {', '.join(changed)}"


def _apply_raced(
    access: Access, desired: Desired, container: dict[str, Any], environment: Environment
) -> tuple[Literal["created", "updated", "unchanged"], str]:
    """`_apply`, again if another invocation makes the same changes: events come twice, and run at the same time."""
    for _ in range(_ATTEMPTS):
        try:
            return _apply(access, desired, container, environment)
        except Raced as race:
            cause = race
    raise Busy(f"another invocation keeps changing {desired.endpoint}: {cause}") from cause


def _apply(
    access: Access, desired: Desired, container: dict[str, Any], environment: Environment
) -> tuple[Literal["created", "updated", "unchanged"], str]:
    name, endpoint = desired.name, access.endpoint(desired.endpoint)
    serves = f"approval {desired.approval:04d} on {desired.endpoint}, configuration {name}"
    status = endpoint["EndpointStatus"] if endpoint else None
    if endpoint and status not in _SETTLED:
        if status != "Failed":
            coming = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
            if name == (endpoint.get("EndpointConfigName") if status == "Creating" else coming):
                return "unchanged", f"already being rolled out: {serves}"
            raise Busy(f"{desired.endpoint} is {status}; {name} must wait")
        # An endpoint that failed to be created serves no requests and cannot be updated, only deleted.
        access.delete_endpoint(desired.endpoint)
        raise Busy(f"{desired.endpoint} failed to be created; it is being deleted and will be created again")
    if endpoint and endpoint.get("EndpointConfigName") == name and status == "InService":
        # Without them the endpoint answers, and cannot replace an instance.
        if access.model(name) is None:
            _ensure_model(access, name, container, environment)
        if access.endpoint_config(name) is None:
            _ensure_endpoint_config(access, desired, environment)
        return "unchanged", f"serves already: {serves}"
    _ensure_model(access, name, container, environment)
    _ensure_endpoint_config(access, desired, environment)
    if endpoint is None:
        access.create_endpoint(EndpointName=desired.endpoint, EndpointConfigName=name)
        return "created", f"being created: {serves}"
    access.update_endpoint(
        EndpointName=desired.endpoint,
        EndpointConfigName=name,
        RetainAllVariantProperties=_keeps_count(desired, endpoint),
        DeploymentConfig=_deployment_config(desired, environment),
    )
    return "updated", f"being rolled out: {serves}"


def _keeps_count(desired: Desired, endpoint: Mapping[str, Any]) -> bool:
    """Whether the update keeps the number of instances that serve: one that automatic scaling may have chosen.

    Of the properties that an update can retain, the single variant's weight has no effect, and capture is not supported
    (SageMaker API, VariantProperty), so the new configuration's capture holds.
    """
    counts = [variant.get("DesiredInstanceCount", 0) for variant in endpoint.get("ProductionVariants") or []]
    return len(counts) == 1 and 1 <= desired.least_instances <= counts[0] <= desired.most_instances


def _deployment_config(desired: Desired, environment: Environment) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    rollback = {}
    if desired.canary_instances:
        routing = {
            "Type": "CANARY",
            "WaitIntervalInSeconds": desired.bake_seconds,
            "CanarySize": {"Type": "INSTANCE_COUNT", "Value": desired.canary_instances},
        }
        alarms = [{"AlarmName": name} for name in environment.rollback_alarms]
        rollback = {"AutoRollbackConfiguration": {"Alarms": alarms}}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": desired.termination_wait_seconds,
            # SageMaker accepts 10 minutes to 8 hours.
            "MaximumExecutionTimeoutInSeconds": min(max(desired.timeout_minutes * 60, 600), 28_800),
        },
        **rollback,
    }


def _ensure_model(access: Access, name: str, container: dict[str, Any], environment: Environment) -> None:
    found = access.model(name)
    if found is None:
        access.create_model(
            ModelName=name,
            PrimaryContainer=container,
            ExecutionRoleArn=environment.endpoint_role_arn,
            EnableNetworkIsolation=True,  # the archive contains everything that serving needs
        )
        return
    there = found.get("PrimaryContainer", {})
    for key, value in container.items():
        if there.get(key) != value:
            raise Refusal(
                "model-differs",
                f"a model {name} exists with another {key} ({there.get(key)}); "
                "this function did not create it, so delete it",
            )


def _ensure_endpoint_config(access: Access, desired: Desired, environment: Environment) -> None:
    variants = [
        {
            "VariantName": VARIANT,
            "ModelName": desired.name,
            "InstanceType": desired.instance_type,
            "InitialInstanceCount": desired.instance_count,
            "InitialVariantWeight": 1.0,
        }
    ]
    found = access.endpoint_config(desired.name)
    key = {"KmsKeyId": environment.key_arn} if environment.key_arn else {}
    if found is None:
        access.create_endpoint_config(
            EndpointConfigName=desired.name,
            ProductionVariants=variants,
            **({} if _LOCAL_STORAGE.match(desired.instance_type) else key),
            DataCaptureConfig=key
            | {
                "EnableCapture": desired.sampling_percentage > 0,
                "InitialSamplingPercentage": desired.sampling_percentage,
                "DestinationS3Uri": f"s3://{environment.bucket}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                # Bodies of these types are captured as text; all others as base64.
                "CaptureContentTypeHeader": {
                    "CsvContentTypes": ["text/csv"],
                    "JsonContentTypes": ["application/json", "application/jsonlines"],
                },
            },
        )
        return
    models = [variant.get("ModelName") for variant in found.get("ProductionVariants", [])]
    if models != [desired.name]:
        raise Refusal(
            "config-differs",
            f"an endpoint configuration {desired.name} exists for the models {models}; "
            "this function did not create it, so delete it",
        )
