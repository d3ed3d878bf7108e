"""SageMaker endpoints: creates, updates (blue/green) and deletes endpoints backed by real servers.

moto keeps the records (models, configurations, the list of endpoints, their tags); this module keeps the fleets. A
switch of fleets is one assignment, a canary a second fleet that gets requests by a seeded choice. A request stays with
the fleet that it acquired, and a retired fleet ends after its last request.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from local_aws.errors import AwsError, EmitEvent
from local_aws.sagemaker.hosting import endpoint_config
from local_aws.sagemaker.hosting.data_capture import DataCapture
from local_aws.sagemaker.hosting.endpoint_config import ConfigResolver, ResolvedConfig
from local_aws.sagemaker.hosting.fleet import Fleet, FleetBuilder
from local_aws.sagemaker.hosting.guardrails import Baking, Guardrails
from local_aws.sagemaker.hosting.instance import InstanceUnhealthy
from local_aws.service_rules.catalog import violation

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where events write an underscore in an endpoint's status: IN_SERVICE is InService."""


class Endpoints:
    """The endpoints of one emulator."""

    def __init__(
        self,
        *,
        backend: Callable[[], Any],
        builder: FleetBuilder,
        capture: DataCapture,
        emit: EmitEvent,
        baking: Baking,
    ) -> None:
        """`backend` returns moto's SageMaker backend of the emulator's account and region."""
        self._backend, self._builder, self._capture, self._emit = backend, builder, capture, emit
        self._baking = baking
        self._resolver = ConfigResolver(backend)
        self._lock = threading.RLock()
        self._fleets: dict[str, Fleet] = {}
        self._starting: set[Fleet] = set()
        self._canaries: dict[str, tuple[Fleet, float]] = {}
        """The canary of each endpoint that has one, and its share of the requests."""
        self._random = random.Random(0)  # noqa: S311 - distributes requests over the fleets
        self._pending: dict[str, dict[str, Any]] = {}
        """PendingDeploymentSummary of each endpoint that is being updated."""
        self._changes = 0
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="endpoints")

    def create(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = parameters["EndpointName"]
        with self._lock:
            backend = self._backend()
            if name in backend.endpoints:
                arn = backend.endpoints[name].arn
                raise violation("sagemaker-endpoint-exists", arn=arn)
            resolved = self._resolver.resolve(parameters["EndpointConfigName"])
            record = backend.create_endpoint(name, resolved.configuration, parameters.get("Tags", []))
            record.last_deployment_config = parameters.get("DeploymentConfig")
            self._set_status(record, "Creating")
            self._changes += 1
        self._pool.submit(self._deploy_counted, record, resolved, Guardrails())
        return {"EndpointArn": record.arn}

    def update(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint: starts a new fleet beside the old one, which keeps serving if the new one is unhealthy."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            self._refuse_in_progress(record)
            if record.endpoint_status == "Failed":
                raise violation("sagemaker-endpoint-failed", arn=record.arn)
            resolved = self._resolver.resolve(parameters["EndpointConfigName"])
            deployment = parameters.get("DeploymentConfig")
            fleet = self._fleets.get(record.endpoint_name)
            if fleet is not None and parameters.get("RetainAllVariantProperties"):
                resolved = resolved.retaining(fleet.resolved)
            names = {variant.name for variant in resolved.variants}
            if deployment and fleet is not None and names != set(fleet.instances):
                raise violation("sagemaker-guardrail-variants")
            guardrails = Guardrails.read(deployment, resolved)
            self._baking.refuse_missing(guardrails)
            if not parameters.get("RetainDeploymentConfig"):
                record.last_deployment_config = deployment
            record.failure_reason = None
            self._set_status(record, "Updating", pending=resolved)
            self._changes += 1
        self._pool.submit(self._deploy_counted, record, resolved, guardrails)
        return {"EndpointArn": record.arn}

    def update_weights_and_capacities(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities: changes variants that serve; one process stands for all instances."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            self._refuse_in_progress(record)
            fleet = self._fleets.get(record.endpoint_name)
            wanted = parameters["DesiredWeightsAndCapacities"]
            serving = {variant.name for variant in fleet.resolved.variants} if fleet else set[str]()
            missing = [each["VariantName"] for each in wanted if each["VariantName"] not in serving]
            if fleet is None or missing:
                message = (
                    f'The variant name(s) "{", ".join(missing)}" is/are not present within endpoint configuration '
                    f'"{record.endpoint_config_name}".'
                )
                raise AwsError("ValidationException", message)
            self._set_status(record, "Updating")
            for each in wanted:
                if "DesiredInstanceCount" in each:
                    fleet.resolved = fleet.resolved.with_count(each["VariantName"], each["DesiredInstanceCount"])
                if "DesiredWeight" in each:
                    fleet.resolved = fleet.resolved.with_weight(each["VariantName"], each["DesiredWeight"])
            record.production_variants = endpoint_config.summaries(fleet.resolved)
            self._set_status(record, "InService")
        return {"EndpointArn": record.arn}

    def delete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        with self._lock:
            record = self._find(parameters["EndpointName"])
            self._refuse_in_progress(record)
            self._set_status(record, "Deleting")
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
            description = {
                "EndpointName": record.endpoint_name,
                "EndpointArn": record.arn,
                "EndpointConfigName": record.endpoint_config_name,
                "EndpointStatus": record.endpoint_status,
                "CreationTime": record.creation_time,
                "LastModifiedTime": record.last_modified_time,
                "FailureReason": record.failure_reason,
                "LastDeploymentConfig": getattr(record, "last_deployment_config", None),
                "ProductionVariants": endpoint_config.summaries(fleet.resolved) if fleet is not None else None,
                "PendingDeploymentSummary": self._pending.get(record.endpoint_name),
            }
        if capture.get("EnableCapture"):
            description["DataCaptureConfig"] = {
                "EnableCapture": True,
                "CaptureStatus": "Started",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        return {key: value for key, value in description.items() if value is not None}

    def instance_types(self, endpoint: str) -> dict[str, str] | None:
        """The instance type of each variant that serves; None if the endpoint does not exist or serves nothing."""
        with self._lock:
            fleet = self._fleets.get(endpoint)
            return {each.name: each.instance_type for each in fleet.resolved.variants} if fleet else None

    def instance_count(self, endpoint: str, variant: str) -> int:
        """The instances of a variant that serves."""
        with self._lock:
            return self._fleets[endpoint].resolved.count(variant)

    def set_instance_count(self, endpoint: str, variant: str, count: int) -> bool:
        """Changes the instances of a variant, all of which one process stands for; False during another change."""
        with self._lock:
            record, fleet = self._backend().endpoints.get(endpoint), self._fleets.get(endpoint)
            if record is None or fleet is None or record.endpoint_status != "InService":
                return False
            self._set_status(record, "Updating")
            fleet.resolved = fleet.resolved.with_count(variant, count)
            record.production_variants = endpoint_config.summaries(fleet.resolved)
            self._set_status(record, "InService")
            return True

    @property
    def idle(self) -> bool:
        """Whether no endpoint is being created or changed."""
        with self._lock:
            return self._changes == 0

    def acquire(self, name: str) -> Fleet | None:
        """The fleet that serves the endpoint, acquired for one request; None if none serves."""
        with self._lock:  # lookup and acquisition are atomic, or the fleet might end in between
            fleet = self._fleets.get(name)
            if fleet is not None and name in self._canaries:
                canary, share = self._canaries[name]
                fleet = canary if self._random.random() < share else fleet
            if fleet is not None:
                fleet.acquire()
            return fleet

    def close(self) -> None:
        """Ends every server, including those that are starting."""
        self._baking.close()
        with self._lock:
            fleets, self._fleets = [*self._fleets.values(), *self._starting], {}
        for fleet in fleets:
            fleet.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for fleet in list(self._fleets.values()):  # deployed while the others were being closed
            fleet.close()

    def _deploy_counted(self, record: Any, resolved: ResolvedConfig, guardrails: Guardrails) -> None:
        try:
            self._deploy(record, resolved, guardrails)
        finally:
            with self._lock:
                self._changes -= 1

    def _deploy(self, record: Any, resolved: ResolvedConfig, guardrails: Guardrails) -> None:
        name, fleet = record.endpoint_name, Fleet(resolved)
        with self._lock:
            self._starting.add(fleet)
        try:
            self._builder.fill(fleet, name, lambda reason: self._mark_failed(name, fleet, reason))
            failure = self._try_canary(record, fleet, guardrails)
        except Exception as error:
            failure = str(error) if isinstance(error, InstanceUnhealthy) else f"{type(error).__name__}: {error}"
        previous = None
        with self._lock:
            self._starting.discard(fleet)
            failure = failure or fleet.failure  # an instance was healthy and died before the switch
            if not failure:
                previous = self._fleets.get(name)
                self._serve(record, fleet)  # from here on, requests go to the new fleet
        if not failure and previous is not None and guardrails.alarms and guardrails.termination_seconds:
            failure = self._bake(record, fleet, guardrails.alarms, guardrails.termination_seconds)
            if failure:
                with self._lock:
                    self._serve(record, previous)
        if failure:
            fleet.retire()
            self._capture.flush()
            self._roll_back(record, failure, resolved)
            return
        if previous is not None:
            previous.retire()
            self._capture.flush()
        with self._lock:
            if record.endpoint_status in ("Creating", "Updating"):
                self._set_status(record, "InService")

    def _serve(self, record: Any, fleet: Fleet) -> None:
        self._fleets[record.endpoint_name] = fleet
        record.endpoint_config_name = fleet.resolved.configuration
        record.data_capture_config = fleet.resolved.capture_document
        record.production_variants = endpoint_config.summaries(fleet.resolved)

    def _try_canary(self, record: Any, fleet: Fleet, guardrails: Guardrails) -> str:
        """Sends the canary its share of the requests; why it must be rolled back, '' if it must not."""
        name = record.endpoint_name
        with self._lock:
            if not guardrails.share or name not in self._fleets:
                return ""
            self._canaries[name] = (fleet, guardrails.share)
        try:
            return self._bake(record, fleet, guardrails.alarms, guardrails.bake_seconds)
        finally:
            with self._lock:
                del self._canaries[name]

    def _bake(self, record: Any, fleet: Fleet, alarms: tuple[str, ...], seconds: int) -> str:
        name = record.endpoint_name
        with self._lock:
            for variant in self._pending.get(name, {}).get("ProductionVariants", []):
                variant["VariantStatus"] = [{"Status": "Baking", "StartTime": record.last_modified_time}]
        try:
            return self._baking.wait(name, alarms, seconds, lambda: fleet.failure)
        finally:
            with self._lock:
                for variant in self._pending.get(name, {}).get("ProductionVariants", []):
                    variant.pop("VariantStatus", None)

    def _roll_back(self, record: Any, reason: str, resolved: ResolvedConfig) -> None:
        with self._lock:
            record.failure_reason = reason
            if record.endpoint_name not in self._fleets:
                self._set_status(record, "Failed")
                return
            self._set_status(record, "RollingBack", pending=resolved)
            self._set_status(record, "InService")

    def _mark_failed(self, endpoint: str, fleet: Fleet, reason: str) -> None:
        with self._lock:
            record = self._backend().endpoints.get(endpoint)
            fleet.failure = reason
            if record is None or self._fleets.get(endpoint) is not fleet:
                return
            record.failure_reason = reason
            if record.endpoint_status == "InService":
                self._set_status(record, "OutOfService")

    def _find(self, name: str) -> Any:
        backend = self._backend()
        record = backend.endpoints.get(name)
        if record is None:
            arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:endpoint/{name}"
            raise violation("sagemaker-endpoint-missing", arn=arn)
        return record

    @staticmethod
    def _refuse_in_progress(record: Any) -> None:
        if record.endpoint_status in ("Creating", "Updating", "RollingBack", "Deleting"):
            raise violation("sagemaker-endpoint-in-progress", arn=record.arn)

    def _set_status(self, record: Any, status: str, *, pending: ResolvedConfig | None = None) -> None:
        record.endpoint_status = status
        self._pending.pop(record.endpoint_name, None)
        record.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
        detail = {
            "EndpointName": record.endpoint_name,
            "EndpointArn": record.arn,
            "EndpointConfigName": record.endpoint_config_name,
            "ProductionVariants": record.production_variants,
            "EndpointStatus": _WORD_START.sub("_", status).upper(),
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
                "ProductionVariants": endpoint_config.summaries(pending),
            }
            if status == "Updating":
                self._pending[record.endpoint_name] = {**summary, "StartTime": record.last_modified_time}
            detail = {**detail, "PendingDeploymentSummary": summary}
            self._emit("SageMaker Endpoint Deployment State Change", detail, [record.arn])


def _milliseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)
