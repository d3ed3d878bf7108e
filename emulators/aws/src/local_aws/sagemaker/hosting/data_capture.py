"""Data capture: writes the traffic of endpoints to S3 as JSON lines, in SageMaker's layout and schema.

Lines are buffered and written in batches. Sampling is seeded, so that a run can be repeated.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local_aws.clock import Clock, timestamp

_FLUSH_BYTES, _MAX_BUFFER_BYTES = 4 * 1024 * 1024, 256 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CaptureSettings:
    """The members of a DataCaptureConfig that decide what is written, and the role that writes it: the model's.

    `key` is the KMS key of what is written; '' leaves it to the bucket.
    """

    sampling_percentage: float
    destination: str
    role_arn: str
    key: str
    modes: frozenset[str]
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def from_config(cls, configuration: Mapping[str, Any], *, role_arn: str) -> CaptureSettings | None:
        """The settings in a DataCaptureConfig; None if it captures nothing."""
        if not configuration or not configuration.get("EnableCapture"):
            return None
        types = configuration.get("CaptureContentTypeHeader") or {}
        return cls(
            sampling_percentage=float(configuration["InitialSamplingPercentage"]),
            destination=configuration["DestinationS3Uri"].rstrip("/"),
            role_arn=role_arn,
            key=str(configuration.get("KmsKeyId") or ""),
            modes=frozenset(option["CaptureMode"] for option in configuration["CaptureOptions"]),
            csv_types=frozenset(map(_essence, types.get("CsvContentTypes", []))),
            json_types=frozenset(map(_essence, types.get("JsonContentTypes", []))),
        )


@dataclass(frozen=True, kw_only=True)
class CapturedInvocation:
    """One answered invocation, with the bodies of request and response."""

    endpoint: str
    variant: str
    request_body: bytes
    request_type: str
    response_body: bytes
    response_type: str
    inference_id: str | None
    custom_attributes: str | None


class DataCapture:
    """Buffers captured traffic; its thread writes it to S3."""

    def __init__(
        self, client: Callable[[str, str], Any], clock: Clock, *, flush_seconds: float = 1.0, seed: int = 0
    ) -> None:
        """`client` returns a role's client: (role ARN, service)."""
        self._client, self._clock, self._flush_seconds = client, clock, flush_seconds
        self._random = random.Random(seed)  # noqa: S311 - sampling, not a secret
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._buffers: dict[tuple[str, str, str], list[bytes]] = {}
        """Lines by role, folder and KMS key."""
        self._bytes = 0
        self._oldest: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._flush_periodically, name="capture", daemon=True)
        self._thread.start()

    def record(self, settings: CaptureSettings | None, invocation: CapturedInvocation) -> None:
        """Captures `invocation` if it is in the sample."""
        if settings is None:
            return
        with self._changed:
            sampled = self._random.random() * 100 < settings.sampling_percentage
        if sampled:
            moment = self._clock.now()
            folder = f"{settings.destination}/{invocation.endpoint}/{invocation.variant}/{moment:%Y/%m/%d/%H}"
            line = json.dumps(_line(settings, invocation, timestamp(moment)), separators=(",", ":"))
            self._buffer((settings.role_arn, folder, settings.key), [line.encode() + b"\n"])

    def flush(self) -> None:
        """Writes everything captured so far to S3; returns when it is written."""
        with self._writing:
            with self._changed:
                buffers, self._buffers, self._bytes, self._oldest = self._buffers, {}, 0, None
            for target, lines in buffers.items():
                self._put(target, lines)

    def close(self) -> None:
        """Ends the thread and writes the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.flush()

    def _buffer(self, target: tuple[str, str, str], lines: list[bytes]) -> None:
        with self._changed:
            self._buffers.setdefault(target, []).extend(lines)
            self._bytes += sum(map(len, lines))
            if self._oldest is None:
                self._oldest = time.monotonic()
                self._changed.notify_all()
            elif self._bytes >= _FLUSH_BYTES:
                self._changed.notify_all()

    def _put(self, target: tuple[str, str, str], lines: list[bytes]) -> None:
        role_arn, folder, key = target
        place = urlsplit(f"{folder}/{uuid.uuid4()}.jsonl")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        try:
            s3 = self._client(role_arn, "s3")
            s3.put_object(Bucket=place.netloc, Key=place.path.lstrip("/"), Body=b"".join(lines), **encryption)
        except Exception as error:
            # As on AWS, a failed write does not fail the endpoint. It is logged and retried.
            retry = not self._closed and self._bytes < _MAX_BUFFER_BYTES
            outcome = "retrying" if retry else "dropping them"
            _log.warning("cannot write %d captured requests to %s; %s: %s", len(lines), folder, outcome, error)
            if retry:
                self._buffer(target, lines)

    def _flush_periodically(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._oldest is not None)
                if self._closed:
                    return
                remaining = (self._oldest or 0.0) + self._flush_seconds - time.monotonic()
                self._changed.wait_for(lambda: self._closed or self._bytes >= _FLUSH_BYTES, max(0.0, remaining))
            self.flush()


def _line(settings: CaptureSettings, invocation: CapturedInvocation, time_text: str) -> dict[str, Any]:
    data = {}
    if "Input" in settings.modes:
        data["endpointInput"] = _part(settings, "INPUT", invocation.request_body, invocation.request_type)
    if "Output" in settings.modes:
        data["endpointOutput"] = _part(settings, "OUTPUT", invocation.response_body, invocation.response_type)
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if invocation.custom_attributes:
        metadata["customAttributes"] = [invocation.custom_attributes]
    if invocation.inference_id:
        metadata["inferenceId"] = invocation.inference_id
    metadata["inferenceTime"] = time_text
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _part(settings: CaptureSettings, mode: str, body: bytes, content_type: str) -> dict[str, str]:
    kind, encoding, text = _essence(content_type), "BASE64", ""
    if kind in settings.csv_types or kind in settings.json_types:
        try:
            encoding, text = ("CSV" if kind in settings.csv_types else "JSON"), body.decode()
        except UnicodeDecodeError:
            encoding = "BASE64"
    if encoding == "BASE64":
        text = base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
