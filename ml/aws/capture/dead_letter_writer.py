"""Stores captured lines that cannot be decoded in a dead-letter prefix of the lake, with the reason.

The key is `monitoring/unreadable/<endpoint>/<variant>/yyyy/mm/dd/hh/<uuid>.jsonl`, with the name of the capture file.
Each line is a JSON object: `line` (the line number), `reason`, and `text`, or `base64` if it is not UTF-8.
Idempotent: reading the window again writes the same files.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable

import orjson

from ml.aws.capture.captured_lines import PREFIX, CapturedObject
from ml.aws.capture.decoder import UnreadableLine

DEAD_LETTER_PREFIX = "monitoring/unreadable"
CONTENT_TYPE = "application/x-ndjson"
_FILE_BYTES = 4 << 20
MAX_URIS = 100
"""Files whose URIs are kept."""


class DeadLetterWriter:
    """Writes unreadable lines, added in the order of their objects: one file, or several parts, per object.

    Args:
        write: stores the bytes of a file at its URI, with its content type.
    """

    def __init__(self, bucket: str, write: Callable[[str, bytes, str], None]) -> None:
        self._bucket, self._write = bucket, write
        self._source: CapturedObject | None = None
        self._lines: list[bytes] = []
        self._bytes = self._part = 0
        self.lines = self.files = 0
        self.reasons: Counter[str] = Counter()
        self.uris: list[str] = []
        """The first hundred files that were written."""

    def add(self, unread: UnreadableLine) -> None:
        """Adds one line; writes a file when enough lines are pending."""
        if unread.block.source != self._source:
            self.flush()
            self._source, self._part = unread.block.source, 0
        try:
            content = {"text": unread.line.decode()}
        except UnicodeDecodeError:
            content = {"base64": base64.b64encode(unread.line).decode()}
        line = orjson.dumps({"line": unread.number, "reason": unread.reason} | content) + b"\n"
        self._lines.append(line)
        self._bytes += len(line)
        self.lines += 1
        self.reasons[unread.reason] += 1
        if self._bytes >= _FILE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes the pending lines of the current object. Raises what `write` raises."""
        if self._source is None or not self._lines:
            return
        stem = self._source.key.removeprefix(f"{PREFIX}/").removesuffix(".jsonl")
        more = f"-{self._part:04d}" if self._part else ""
        uri = f"s3://{self._bucket}/{DEAD_LETTER_PREFIX}/{stem}{more}.jsonl"
        self._write(uri, b"".join(self._lines), CONTENT_TYPE)
        self._lines, self._bytes = [], 0
        self._part += 1
        self.files += 1
        if len(self.uris) < MAX_URIS:
            self.uris.append(uri)
