"""Guards the records with one lock and delivers events in order, when no lock is held."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local_github.domain.events import Event, OnEvent

_log = logging.getLogger(__name__)


class EventQueue:
    """The lock of the records and the events that were emitted under it; `listener` may be set at any time.

    `before_release` is called when the outermost holder has done its work without an error, under the lock.
    """

    def __init__(self, listener: OnEvent | None = None) -> None:
        self.listener = listener
        self.before_release: Callable[[], None] | None = None
        self._records, self._depth = threading.RLock(), 0
        self._events: deque[Event] = deque()
        self._delivery = threading.Lock()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the records. Events emitted inside are delivered when the outermost holder releases the lock."""
        with self._records:
            self._depth += 1
            try:
                yield
                if self._depth == 1 and self.before_release is not None:
                    self.before_release()
            finally:
                self._depth -= 1
                outermost = self._depth == 0
        if outermost:
            self._deliver()

    def emit(self, event: Event) -> None:
        """Queues an event for the listener."""
        with self.lock():
            self._events.append(event)

    @property
    def delivering(self) -> bool:
        """Whether any thread still has events to deliver."""
        return bool(self._events) or self._delivery.locked()

    def _deliver(self) -> None:
        # One thread delivers what all threads queue, so the order is kept and no thread waits. The outer loop checks
        # again for events that were queued between the last check and the release.
        while self._events and self._delivery.acquire(blocking=False):
            try:
                while self._events:
                    self._call_listener(self._events.popleft())
            finally:
                self._delivery.release()

    def _call_listener(self, event: Event) -> None:
        if self.listener is None:
            return
        try:
            self.listener(event)
        except Exception:  # a failing listener must not fail the push that caused the event
            _log.exception("the listener failed on %s of %s", event.name, event.repository)
