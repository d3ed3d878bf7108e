"""Records what CloudWatch shows of an endpoint's invocations: their number, errors and latency.

Only endpoints that are being watched are recorded, which are those whose deployment has alarms: other endpoints take
millions of requests and nobody reads their metrics here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from local_aws.clock import Clock

NAMESPACE = "AWS/SageMaker"


@dataclass(frozen=True)
class Point:
    """One value of a metric."""

    at: datetime
    value: float


class EndpointMetrics:
    """The metrics of the endpoints that are being watched, by endpoint, variant and metric."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._watched: Counter[str] = Counter()
        self._points: dict[tuple[str, str, str], list[Point]] = {}
        self.invoked: Callable[[str, str], None] | None = None
        """Called with endpoint and variant of each invocation, whether the endpoint is watched or not."""

    @contextmanager
    def watch(self, endpoint: str) -> Iterator[None]:
        """Records the endpoint's invocations inside the block, and forgets them after it."""
        with self._lock:
            self._watched[endpoint] += 1
        try:
            yield
        finally:
            with self._lock:
                self._watched[endpoint] -= 1
                if not self._watched[endpoint]:
                    self._points = {key: points for key, points in self._points.items() if key[0] != endpoint}

    def record(self, endpoint: str, variant: str, *, status: int, latency_seconds: float) -> None:
        """One invocation. `status` is the container's; 0 if it gave no response, which is a 5xx for the caller."""
        if self.invoked is not None:
            self.invoked(endpoint, variant)
        if not self._watched[endpoint]:
            return
        values = {
            "Invocations": 1.0,
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status >= 500 or status == 0),
            "ModelLatency": latency_seconds * 1e6,
        }
        with self._lock:
            at = self._clock.now()
            for name, value in values.items():
                self._points.setdefault((endpoint, variant, name), []).append(Point(at, value))

    def points(self, name: str, dimensions: dict[str, str]) -> list[Point]:
        """The values of a metric, with SageMaker's two dimensions."""
        key = (dimensions.get("EndpointName", ""), dimensions.get("VariantName", ""), name)
        with self._lock:
            return list(self._points.get(key, ()))
