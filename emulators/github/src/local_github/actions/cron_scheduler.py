"""Starts scheduled workflows when they are due, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from local_github.clock import Clock

_log = logging.getLogger(__name__)
_MINUTE = timedelta(minutes=1)


class Scheduler:
    """Calls `fire(after, until)` once a minute of `clock`, for all time that has passed.

    Each minute is covered exactly once. When the clock jumps forward, the skipped minutes are covered at once; when it
    is set back, nothing fires until it passes the last covered minute.

    Args:
        fire: starts what is due after `after` and up to `until`.
        clock: the emulator's clock.
        wait: waits for the given seconds and returns whether to stop; tests hand in their own.
    """

    def __init__(
        self,
        fire: Callable[[datetime, datetime], object],
        clock: Clock,
        *,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._fire, self._clock = fire, clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)
        self._covered = _minute(clock())

    def start(self) -> None:
        """Starts the thread; the current minute counts as covered."""
        self._thread.start()
        _log.info("scheduled workflows start after %s", self._covered)

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._wait((_minute(self._clock()) + _MINUTE - self._clock()).total_seconds()):
            now = _minute(self._clock())
            if now <= self._covered:
                continue
            try:
                self._fire(self._covered, now)
            except Exception:  # a broken repository must not end the schedules of the others
                _log.exception("schedules of %s could not be started", now)
            self._covered = now


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
