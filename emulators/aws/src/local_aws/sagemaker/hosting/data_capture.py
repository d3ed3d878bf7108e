"""Data capture: the traffic of endpoints as JSON lines in S3, in SageMaker's layout and schema.

Lines are kept for a moment and written many to a file. Sampling is seeded, so that one run can be repeated.
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

from local_aws import clock

_FULL_BYTES, _MOST_BYTES = 4 * 1024 * 1024, 256 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An endpoint configuration's DataCaptureConfig, as far as it changes what is written."""

    sampling_percentage: float
    destination: str
    modes: frozenset[str]
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Settings | None:
        """The settings in a DataCaptureConfig; None where it captures nothing."""
        if not configuration or not configuration.get("EnableCapture"):
            return None
        types = configuration.get("CaptureContentTypeHeader") or {}
        return cls(
            sampling_percentage=float(configuration["InitialSamplingPercentage"]),
            destination=configuration["DestinationS3Uri"].rstrip("/"),
            modes=frozenset(option["CaptureMode"] for option in configuration["CaptureOptions"]),
            csv_types=frozenset(map(_essence, types.get("CsvContentTypes", []))),
            json_types=frozenset(map(_essence, types.get("JsonContentTypes", []))),
        )


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One answered invocation."""

    endpoint: str
    variant: str
    sent: bytes
    sent_type: str
    answered: bytes
    answered_type: str
    inference_id: str | None
    custom_attributes: str | None


class Capture:
    """The captured traffic of one local cloud that is not yet in S3, and the thread that puts it there."""

    def __init__(self, client: Callable[[str], Any], *, flush_seconds: float = 1.0, seed: int = 0) -> None:
        self._client, self._flush_seconds = client, flush_seconds
        self._random = random.Random(seed)  # noqa: S311 - sampling, not a secret
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._buffers: dict[str, list[bytes]] = {}
        self._bytes = 0
        self._oldest: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._flush_in_time, name="capture", daemon=True)
        self._thread.start()

    def record(self, settings: Settings | None, exchange: Exchange) -> None:
        """Keeps `exchange` if its sample is drawn."""
        if settings is None:
            return
        with self._changed:
            drawn = self._random.random() * 100 < settings.sampling_percentage
        if drawn:
            moment = clock.now()
            folder = f"{settings.destination}/{exchange.endpoint}/{exchange.variant}/{moment:%Y/%m/%d/%H}"
            line = json.dumps(_line(settings, exchange, clock.stamp(moment)), separators=(",", ":"))
            self._keep(folder, [line.encode() + b"\n"])

    def flush(self) -> None:
        """Writes everything captured so far to S3, and returns when it is there."""
        with self._writing:
            with self._changed:
                buffers, self._buffers, self._bytes, self._oldest = self._buffers, {}, 0, None
            for folder, lines in buffers.items():
                self._put(folder, lines)

    def close(self) -> None:
        """Flushes for the last time and ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.flush()

    def _keep(self, folder: str, lines: list[bytes]) -> None:
        with self._changed:
            self._buffers.setdefault(folder, []).extend(lines)
            self._bytes += sum(map(len, lines))
            if self._oldest is None:
                self._oldest = time.monotonic()
                self._changed.notify_all()
            elif self._bytes >= _FULL_BYTES:
                self._changed.notify_all()

    def _put(self, folder: str, lines: list[bytes]) -> None:
        where = urlsplit(f"{folder}/{uuid.uuid4()}.jsonl")
        try:
            self._client("s3").put_object(Bucket=where.netloc, Key=where.path.lstrip("/"), Body=b"".join(lines))
        except Exception as error:
            # As on AWS, capture that cannot be written does not fail the endpoint; it is said, and tried again.
            again = not self._closed and self._bytes < _MOST_BYTES
            fate = "it is tried again" if again else "they are lost"
            _log.warning("%d captured requests cannot be written to %s; %s: %s", len(lines), folder, fate, error)
            if again:
                self._keep(folder, lines)

    def _flush_in_time(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._oldest is not None)
                if self._closed:
                    return
                left = (self._oldest or 0.0) + self._flush_seconds - time.monotonic()
                self._changed.wait_for(lambda: self._closed or self._bytes >= _FULL_BYTES, max(0.0, left))
            self.flush()


def _line(settings: Settings, exchange: Exchange, time_text: str) -> dict[str, Any]:
    data = {}
    if "Input" in settings.modes:
        data["endpointInput"] = _part(settings, "INPUT", exchange.sent, exchange.sent_type)
    if "Output" in settings.modes:
        data["endpointOutput"] = _part(settings, "OUTPUT", exchange.answered, exchange.answered_type)
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if exchange.custom_attributes:
        metadata["customAttributes"] = [exchange.custom_attributes]
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    metadata["inferenceTime"] = time_text
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _part(settings: Settings, mode: str, body: bytes, content_type: str) -> dict[str, str]:
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
