"""SageMaker hosting: endpoints that are real servers, updated blue/green.

moto keeps the records (models, configurations, the list of endpoints, their tags); what serves is kept here. A change
of fleet is one assignment: a request belongs to the fleet that it found, and a fleet ends when its last request has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from local_aws.errors import AwsError, Emit
from local_aws.sagemaker.hosting.data_capture import Capture
from local_aws.sagemaker.hosting.endpoint_config import Resolved, Resolver
from local_aws.sagemaker.hosting.fleet import Builder, Fleet
from local_aws.sagemaker.hosting.instance import Unhealthy

_EVENT_STATUS = {
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "InService": "IN_SERVICE",
    "RollingBack": "ROLLING_BACK",
    "Failed": "FAILED",
    "OutOfService": "OUT_OF_SERVICE",
    "Deleting": "DELETING",
}


class Endpoints:
    """The endpoints of one local cloud."""

    def __init__(
        self,
        *,
        backend: Callable[[], Any],
        builder: Builder,
        capture: Capture,
        emit: Emit,
    ) -> None:
        """`backend` gets moto's SageMaker backend of this cloud's account and region."""
        self._backend, self._builder, self._capture, self._emit = backend, builder, capture, emit
        self._resolver = Resolver(backend)
        self._lock = threading.RLock()
        self._fleets: dict[str, Fleet] = {}
        self._starting: set[Fleet] = set()
        self._pending: dict[str, dict[str, Any]] = {}
        """PendingDeploymentSummary of each endpoint that is being updated: clients tell by it what is on its way."""
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="endpoints")

    def create(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = parameters["EndpointName"]
        with self._lock:
            backend = self._backend()
            if name in backend.endpoints:
                arn = backend.endpoints[name].arn
                raise AwsError("ValidationException", f'Cannot create already existing endpoint "{arn}".')
            resolved = self._resolver.resolve(parameters["EndpointConfigName"])
            record = backend.create_endpoint(name, resolved.configuration, parameters.get("Tags", []))
            record.last_deployment_config = parameters.get("DeploymentConfig")
            self._set(record, "Creating")
        self._pool.submit(self._bring_up, record, resolved)
        return {"EndpointArn": record.arn}

    def update(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint: a new fleet beside the old one; the old one goes on serving if the new one is not healthy."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            self._settled(record)
            if record.endpoint_status == "Failed":
                message = f'Cannot update failed endpoint "{record.arn}". DeleteEndpoint is the only operation left.'
                raise AwsError("ValidationException", message)
            resolved = self._resolver.resolve(parameters["EndpointConfigName"])
            deployment = parameters.get("DeploymentConfig")
            fleet = self._fleets.get(record.endpoint_name)
            names = {variant.name for variant in resolved.variants}
            if deployment and fleet is not None and names != set(fleet.hosts):
                message = "For this deployment policy the new configuration must have the variant names of the old one."
                raise AwsError("ValidationException", message)
            if not parameters.get("RetainDeploymentConfig"):
                record.last_deployment_config = deployment
            record.failure_reason = None
            self._set(record, "Updating", pending=resolved)
        self._pool.submit(self._bring_up, record, resolved)
        return {"EndpointArn": record.arn}

    def delete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            self._settled(record)
            self._set(record, "Deleting")
            del self._backend().endpoints[record.endpoint_name]
            fleet = self._fleets.pop(record.endpoint_name, None)
        if fleet is not None:
            fleet.retire()
        self._capture.flush()
        return {}

    def describe(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            fleet = self._fleets.get(record.endpoint_name)
            capture = record.data_capture_config or {}
            answer = {
                "EndpointName": record.endpoint_name,
                "EndpointArn": record.arn,
                "EndpointConfigName": record.endpoint_config_name,
                "EndpointStatus": record.endpoint_status,
                "CreationTime": record.creation_time,
                "LastModifiedTime": record.last_modified_time,
                "FailureReason": record.failure_reason,
                "LastDeploymentConfig": getattr(record, "last_deployment_config", None),
                "ProductionVariants": _summaries(fleet.resolved) if fleet is not None else None,
                "PendingDeploymentSummary": self._pending.get(record.endpoint_name),
            }
        if capture.get("EnableCapture"):
            answer["DataCaptureConfig"] = {
                "EnableCapture": True,
                "CaptureStatus": "Started",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        return {key: value for key, value in answer.items() if value is not None}

    def hold(self, name: str) -> Fleet | None:
        """The fleet that serves the endpoint, entered for one request; None where nothing serves."""
        with self._lock:  # finding and holding are one, or the fleet might end in between
            fleet = self._fleets.get(name)
            if fleet is not None:
                fleet.enter()
            return fleet

    def close(self) -> None:
        """Ends every server, those that are starting too."""
        with self._lock:
            fleets, self._fleets = [*self._fleets.values(), *self._starting], {}
        for fleet in fleets:
            fleet.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for fleet in list(self._fleets.values()):  # one that came up while we were closing
            fleet.close()

    def _bring_up(self, record: Any, resolved: Resolved) -> None:
        name, fleet = record.endpoint_name, Fleet(resolved)
        with self._lock:
            self._starting.add(fleet)
        try:
            self._builder.fill(fleet, name, lambda reason: self._gave_up(name, fleet, reason))
        except Exception as error:
            fleet.close()
            reason = str(error) if isinstance(error, Unhealthy) else f"{type(error).__name__}: {error}"
            self._fall_back(record, reason, resolved)
            return
        finally:
            with self._lock:
                self._starting.discard(fleet)
        former = None
        with self._lock:
            broken = fleet.broken  # healthy once, and dead before it took over
            if not broken:
                former = self._fleets.get(name)
                self._fleets[name] = fleet  # from here on requests go to the new fleet
                record.endpoint_config_name = resolved.configuration
                record.data_capture_config = resolved.capture_document
                record.production_variants = _summaries(resolved)
        if broken:
            fleet.close()
            self._fall_back(record, broken, resolved)
            return
        if former is not None:
            former.retire()
            self._capture.flush()
        with self._lock:
            if record.endpoint_status in ("Creating", "Updating"):
                self._set(record, "InService")

    def _fall_back(self, record: Any, reason: str, resolved: Resolved) -> None:
        with self._lock:
            record.failure_reason = reason
            if record.endpoint_name not in self._fleets:
                self._set(record, "Failed")
                return
            self._set(record, "RollingBack", pending=resolved)
            self._set(record, "InService")

    def _gave_up(self, endpoint: str, fleet: Fleet, reason: str) -> None:
        with self._lock:
            record = self._backend().endpoints.get(endpoint)
            if record is None or self._fleets.get(endpoint) is not fleet:
                fleet.broken = reason
                return
            record.failure_reason = reason
            if record.endpoint_status == "InService":
                self._set(record, "OutOfService")

    def _find(self, name: str) -> Any:
        backend = self._backend()
        record = backend.endpoints.get(name)
        if record is None:
            arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:endpoint/{name}"
            raise AwsError("ValidationException", f'Could not find endpoint "{arn}".')
        return record

    @staticmethod
    def _settled(record: Any) -> None:
        if record.endpoint_status in ("Creating", "Updating", "RollingBack", "Deleting"):
            raise AwsError("ValidationException", f'Cannot update in-progress endpoint "{record.arn}".')

    def _set(self, record: Any, status: str, *, pending: Resolved | None = None) -> None:
        record.endpoint_status = status
        self._pending.pop(record.endpoint_name, None)
        record.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
        detail = {
            "EndpointName": record.endpoint_name,
            "EndpointArn": record.arn,
            "EndpointConfigName": record.endpoint_config_name,
            "ProductionVariants": record.production_variants,
            "EndpointStatus": _EVENT_STATUS[status],
            "FailureReason": record.failure_reason,
            "CreationTime": _milliseconds(record.creation_time),
            "LastModifiedTime": _milliseconds(record.last_modified_time),
            "Tags": {tag["Key"]: tag["Value"] for tag in record.tags},
        }
        detail = {key: value for key, value in detail.items() if value is not None}
        self._emit("SageMaker Endpoint State Change", detail, [record.arn])
        if pending is not None:
            summary = {
                "EndpointConfigName": pending.configuration,
                "StartTime": detail["LastModifiedTime"],
                "ProductionVariants": _summaries(pending),
            }
            if status == "Updating":
                self._pending[record.endpoint_name] = {**summary, "StartTime": record.last_modified_time}
            detail = {**detail, "PendingDeploymentSummary": summary}
            self._emit("SageMaker Endpoint Deployment State Change", detail, [record.arn])


def _milliseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _summaries(resolved: Resolved) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [{"SpecifiedImage": variant.image, "ResolvedImage": variant.image}],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.instance_count,
            "DesiredInstanceCount": variant.instance_count,
        }
        for variant in resolved.variants
    ]
