"""InvokeEndpoint: forwards a request to an instance of the endpoint, captures it, and returns the response.

Answers with AWS's errors. Does not choose the fleet: `acquire` returns it and keeps it running during the request.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from local_aws.errors import AwsError
from local_aws.protocols import Response
from local_aws.sagemaker.hosting.data_capture import CapturedInvocation, DataCapture
from local_aws.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from local_aws.sagemaker.hosting.fleet import Fleet
from local_aws.sagemaker.hosting.instance import Instance

MAX_BODY_BYTES = 6 * 1024 * 1024


class EndpointInvoker:
    """Invokes the endpoints of one emulator."""

    def __init__(
        self,
        *,
        acquire: Callable[[str], Fleet | None],
        capture: DataCapture,
        metrics: EndpointMetrics,
        region: str,
        account: str,
    ) -> None:
        """`acquire` returns the fleet that serves an endpoint, acquired for one request; None if none does."""
        self._acquire, self._capture, self._region, self._account = acquire, capture, region, account
        self._metrics = metrics
        self._random = random.Random(0)  # noqa: S311 - distributes requests over variants

    def call(self, match: re.Match[str], environ: Mapping[str, Any], body: bytes) -> Response:
        """The InvokeEndpoint API."""
        name = match["name"]
        if len(body) > MAX_BODY_BYTES:
            raise AwsError("413", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", 413)
        fleet = self._acquire(name)
        if fleet is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {self._account} not found.")
        try:
            return self._invoke(name, fleet, environ, body)
        finally:
            fleet.release()

    def _invoke(self, name: str, fleet: Fleet, environ: Mapping[str, Any], body: bytes) -> Response:
        instance = self._choose_instance(name, fleet, environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT"))
        custom = environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES")
        request_type = environ.get("CONTENT_TYPE") or "application/octet-stream"
        headers = {"Content-Type": request_type, "Accept": environ.get("HTTP_ACCEPT") or "*/*"}
        if custom:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = custom
        status, began = 0, time.monotonic()
        try:
            status, response_headers, data = instance.invoke(body, headers)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._model_error(name, instance, 0, f"the container did not answer: {error}") from error
        finally:
            seconds = time.monotonic() - began
            self._metrics.record(name, instance.variant.name, status=status, latency_seconds=seconds)
        if not 200 <= status < 300:
            raise self._model_error(name, instance, status, data.decode(errors="replace"))
        response_type = response_headers.get("Content-Type", "application/octet-stream")
        self._capture.record(
            fleet.resolved.capture,
            CapturedInvocation(
                endpoint=name,
                variant=instance.variant.name,
                request_body=body,
                request_type=request_type,
                response_body=data,
                response_type=response_type,
                inference_id=environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"),
                custom_attributes=custom,
            ),
        )
        result = {"Content-Type": response_type, "x-Amzn-Invoked-Production-Variant": instance.variant.name}
        if returned := response_headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            result["X-Amzn-SageMaker-Custom-Attributes"] = returned
        return 200, result, data

    def _choose_instance(self, name: str, fleet: Fleet, target: str | None) -> Instance:
        if target is not None:
            if target not in fleet.instances:
                raise AwsError("ValidationError", f"Variant {target} is not found for Endpoint {name}.")
            return fleet.instances[target]
        instances = list(fleet.instances.values())
        if len(instances) == 1:
            return instances[0]
        weights = [instance.variant.weight for instance in instances]
        return self._random.choices(instances, weights if any(weights) else None)[0]

    def _model_error(self, name: str, instance: Instance, status: int, message: str) -> AwsError:
        group = f"/aws/sagemaker/Endpoints/{name}"
        kind = "client" if 400 <= status < 500 else "server"
        text = (
            f'Received {kind} error ({status}) from {instance.variant.name} with message "{message}". '
            f"See {group} in account {self._account} for more information."
        )
        arn = f"arn:aws:logs:{self._region}:{self._account}:log-group:{group}"
        members = {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": arn}
        return AwsError("ModelError", text, 424, members)
