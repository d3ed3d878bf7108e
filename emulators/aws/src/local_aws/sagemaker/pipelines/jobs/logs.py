"""Sends a job's output to CloudWatch Logs while it runs, in SageMaker's log groups."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

_BATCH_EVENTS, _BATCH_BYTES, _EVENT_BYTES, _EVENT_OVERHEAD_BYTES = 1000, 900_000, 250_000, 26
_INTERVAL_SECONDS = 1.0


class LogFollower:
    """Sends the lines of a growing file to a log stream, for the length of a with block.

    A failed delivery does not fail the job: it is logged once, and the file remains.
    """

    def __init__(self, client: Any, file: Path, group: str, stream: str) -> None:
        self._client, self._file, self._group, self._stream = client, file, group, stream
        self._offset, self._created, self._broken = 0, False, False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"logs-{stream.partition('/')[0]}", daemon=True)

    def __enter__(self) -> LogFollower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            self._send_new_lines(final=False)
        self._send_new_lines(final=True)

    def _send_new_lines(self, *, final: bool) -> None:
        try:
            with self._file.open("rb") as source:
                source.seek(self._offset)
                new = source.read()
        except FileNotFoundError:
            return
        if not final:
            new = new[: new.rfind(b"\n") + 1]
        self._offset += len(new)
        moment, batch, size = int(time.time() * 1000), list[dict[str, Any]](), 0
        for line in new.decode("utf-8", "replace").splitlines():
            text = line.rstrip() or " "  # CloudWatch refuses empty messages
            text = text.encode()[:_EVENT_BYTES].decode("utf-8", "ignore")
            if len(batch) == _BATCH_EVENTS or size + len(text) > _BATCH_BYTES:
                self._put(batch)
                batch, size = [], 0
            batch.append({"timestamp": moment, "message": text})
            size += len(text.encode()) + _EVENT_OVERHEAD_BYTES
        self._put(batch)

    def _put(self, events: list[dict[str, Any]]) -> None:
        if not events or self._broken:
            return
        try:
            if not self._created:
                self._create_stream()
            self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)
        except (ClientError, BotoCoreError) as error:
            self._broken = True
            log.warning("cannot send %s to CloudWatch Logs (%s); see %s", self._stream, error, self._file)

    def _create_stream(self) -> None:
        calls = (
            (self._client.create_log_group, {"logGroupName": self._group}),
            (self._client.create_log_stream, {"logGroupName": self._group, "logStreamName": self._stream}),
        )
        for call, arguments in calls:
            try:
                call(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise
        self._created = True
