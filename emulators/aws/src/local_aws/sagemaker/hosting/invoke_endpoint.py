"""InvokeEndpoint: from a signed call to a variant's server and back, captured on the way.

Answers with AWS's errors; what serves is found, and kept from ending under a request, by the function it is given.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from local_aws.errors import AwsError
from local_aws.protocols import Answer
from local_aws.sagemaker.hosting.data_capture import Capture, Exchange
from local_aws.sagemaker.hosting.fleet import Fleet
from local_aws.sagemaker.hosting.instance import Host

MAX_BODY_BYTES = 6 * 1024 * 1024


class Invocations:
    """The data plane of one local cloud."""

    def __init__(self, *, hold: Callable[[str], Fleet | None], capture: Capture, region: str, account: str) -> None:
        """`hold` gets the fleet that serves an endpoint, entered, or None where nothing does."""
        self._hold, self._capture, self._region, self._account = hold, capture, region, account
        self._random = random.Random(0)  # noqa: S311 - spreads requests over variants

    def call(self, match: re.Match[str], environ: Mapping[str, Any], body: bytes) -> Answer:
        """The InvokeEndpoint API."""
        name = match["name"]
        if len(body) > MAX_BODY_BYTES:
            raise AwsError("413", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", 413)
        fleet = self._hold(name)
        if fleet is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {self._account} not found.")
        try:
            return self._invoke(name, fleet, environ, body)
        finally:
            fleet.leave()

    def _invoke(self, name: str, fleet: Fleet, environ: Mapping[str, Any], body: bytes) -> Answer:
        host = self._choose(name, fleet, environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT"))
        custom = environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES")
        sent_type = environ.get("CONTENT_TYPE") or "application/octet-stream"
        headers = {"Content-Type": sent_type, "Accept": environ.get("HTTP_ACCEPT") or "*/*"}
        if custom:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = custom
        try:
            status, answered, data = host.invoke(body, headers)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._model_error(name, host, 0, f"the container did not answer: {error}") from error
        if not 200 <= status < 300:
            raise self._model_error(name, host, status, data.decode(errors="replace"))
        answered_type = answered.get("Content-Type", "application/octet-stream")
        self._capture.record(
            fleet.resolved.capture,
            Exchange(
                endpoint=name,
                variant=host.variant.name,
                sent=body,
                sent_type=sent_type,
                answered=data,
                answered_type=answered_type,
                inference_id=environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"),
                custom_attributes=custom,
            ),
        )
        result = {"Content-Type": answered_type, "x-Amzn-Invoked-Production-Variant": host.variant.name}
        if returned := answered.get("X-Amzn-SageMaker-Custom-Attributes"):
            result["X-Amzn-SageMaker-Custom-Attributes"] = returned
        return 200, result, data

    def _choose(self, name: str, fleet: Fleet, target: str | None) -> Host:
        if target is not None:
            if target not in fleet.hosts:
                raise AwsError("ValidationError", f"Variant {target} is not found for Endpoint {name}.")
            return fleet.hosts[target]
        hosts = list(fleet.hosts.values())
        if len(hosts) == 1:
            return hosts[0]
        weights = [host.variant.weight for host in hosts]
        return self._random.choices(hosts, weights if any(weights) else None)[0]

    def _model_error(self, name: str, host: Host, status: int, message: str) -> AwsError:
        group = f"/aws/sagemaker/Endpoints/{name}"
        kind = "client" if 400 <= status < 500 else "server"
        text = (
            f'Received {kind} error ({status}) from {host.variant.name} with message "{message}". '
            f"See {group} in account {self._account} for more information."
        )
        arn = f"arn:aws:logs:{self._region}:{self._account}:log-group:{group}"
        members = {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": arn}
        return AwsError("ModelError", text, 424, members)
