"""Interrupts a verb at a numbered call, and lets the emulators finish their work where the verb would sleep.

Calls are HTTP requests and Git commands of the thread that opened the gate; the emulators in the same process are not
affected. Sleeping takes no time: it waits until nothing is under way in the emulators and moves the monotonic clock, so
that waits with a limit of an hour end after a moment and every run of a seed sees the same states.
"""

from __future__ import annotations

import builtins
import errno
import http.client
import io
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.retries.bucket import TokenBucket

_READS = frozenset({"cat-file", "ls-tree", "rev-parse"})
_FULL_ID = re.compile(r"[0-9a-f]{40}(?:\^\{commit\}|:.+)?", re.DOTALL)


class Interrupted(BaseException):
    """The verb was cancelled at a call. No error that code may handle, as KeyboardInterrupt is none."""


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """Where a verb is interrupted: before its `call`-th call, or after it with the response unread."""

    call: int
    after: bool


class CallGate:
    """Counts the calls of the thread that enters `opened`; waits of threads that it starts take no time either.

    Args:
        settle: waits until nothing is under way in the emulators.
        interruption: where the verb is interrupted, if at all.
        full_disk: the number of the opening of a file for writing that fails, if any.
    """

    def __init__(
        self,
        settle: Callable[[], object],
        *,
        interruption: Interruption | None = None,
        full_disk: int | None = None,
    ) -> None:
        self._settle, self._interruption, self._full_disk = settle, interruption, full_disk
        self.calls = self.files = 0
        """Calls, and files that were opened for writing, so far."""
        self.fired = False
        """Whether the interruption or the full disk was met."""
        self._answers: dict[tuple[str, ...], Any] = {}
        """What Git answered to questions about objects that never change. Each is a call all the same."""
        self._offset = 0.0
        self._thread = 0
        self._started: set[threading.Thread] = set()
        self._waits = threading.local()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Watches this thread inside the block."""
        self._thread = threading.get_ident()
        self._started.clear()
        replaced: list[tuple[Any, str, Any]] = [
            (http.client.HTTPConnection, "putrequest", self._around_putrequest),
            (http.client.HTTPConnection, "getresponse", self._around_getresponse),
            (subprocess, "run", self._around_run),
            (time, "sleep", self._around_sleep),
            (time, "monotonic", self._around_monotonic),
            (builtins, "open", self._around_open),
            (io, "open", self._around_open),
            (TokenBucket, "acquire", self._around_acquire),
            (threading.Thread, "start", self._around_start),
        ]
        originals = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
        for (owner, name, wrap), (_, _, original) in zip(replaced, originals, strict=True):
            setattr(owner, name, wrap(original))
        try:
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)

    @property
    def _here(self) -> bool:
        """Whether this is the verb's thread, and not the emulators' work for it."""
        return threading.get_ident() == self._thread and not getattr(self._waits, "inside", False)

    @property
    def _verbs(self) -> bool:
        """Whether this is the verb's thread or one that it has started."""
        return self._here or threading.current_thread() in self._started

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waits.inside = True
        try:
            yield
        finally:
            self._waits.inside = False

    def _before_call(self) -> None:
        with self._waiting():
            self._settle()
        self.calls += 1
        self._interrupt(after=False)

    def _interrupt(self, *, after: bool) -> None:
        if self._interruption == Interruption(call=self.calls, after=after) and not self.fired:
            self.fired = True
            raise Interrupted(f"{'after' if after else 'before'} call {self.calls}")

    def _around_putrequest(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def putrequest(connection: Any, *arguments: Any, **named: Any) -> Any:
            if self._here:
                self._before_call()
            return original(connection, *arguments, **named)

        return putrequest

    def _around_getresponse(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def getresponse(connection: Any) -> Any:
            response = original(connection)
            if self._here:
                self._interrupt(after=True)
            return response

        return getresponse

    def _around_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if not self._here:
                return original(*arguments, **named)
            self._before_call()
            question = _repeatable(arguments, named)
            result = self._answers.get(question) if question else None
            if result is None:
                result = original(*arguments, **named)
                if question and result.returncode == 0:
                    self._answers[question] = result
            self._interrupt(after=True)
            return result

        return run

    def _around_sleep(self, original: Callable[[float], None]) -> Callable[[float], None]:
        def sleep(seconds: float) -> None:
            if not self._verbs:
                original(seconds)
                return
            with self._waiting():
                self._settle()
            self._offset += max(seconds, 0.0)

        return sleep

    def _around_monotonic(self, original: Callable[[], float]) -> Callable[[], float]:
        def monotonic() -> float:
            return original() + (self._offset if self._verbs else 0.0)

        return monotonic

    def _around_start(self, original: Callable[..., None]) -> Callable[..., None]:
        def start(thread: threading.Thread) -> None:
            if self._here:
                self._started.add(thread)
            original(thread)

        return start

    def _around_acquire(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def acquire(bucket: Any, *arguments: Any, **named: Any) -> Any:
            # botocore's own limit after throttling waits on a lock, in real time.
            return True if self._verbs else original(bucket, *arguments, **named)

        return acquire

    def _around_open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if self._here and not isinstance(file, int) and set(mode) & set("wxa+"):
                self.files += 1
                if self.files == self._full_disk and not self.fired:
                    self.fired = True
                    raise OSError(errno.ENOSPC, "No space left on device", str(file))
            return original(file, mode, *arguments, **named)

        return opening


def _repeatable(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The folder and the command if Git answers the same whenever it answers: all revisions are full object ids."""
    if len(arguments) != 1 or not isinstance(arguments[0], list):
        return None
    if any(named.get(name) for name in ("input", "text", "encoding", "errors", "universal_newlines")):
        return None  # the answer depends on these; an object of an id does not depend on the environment
    words = [str(word) for word in arguments[0]]
    name = next((place for place, word in enumerate(words) if word in _READS), None)
    if name is None or words[0] != "git":
        return None
    rest = words[name + 1 : words.index("--") if "--" in words else None]
    revisions = [word for word in rest if not word.startswith("-") and word != "blob"]
    if not revisions or not all(map(_FULL_ID.fullmatch, revisions)):
        return None
    return str(named.get("cwd")), *words
