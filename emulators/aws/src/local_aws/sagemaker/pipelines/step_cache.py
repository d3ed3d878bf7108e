"""Caches the results of steps, and reuses them.

Scope and keys are those that AWS documents: the same step of the same pipeline with equal values of the attributes
below; the most recent success within the lifetime. Outputs, role and resources are not part of the key.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

_KEY_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "Environment",
        "HyperParameters", "InputDataConfig",
    ),
}  # fmt: skip
_DURATION = TypeAdapter(timedelta)


def lifetime(config: Mapping[str, Any] | None, step_type: str) -> timedelta | None:
    """How long a step with this CacheConfig may reuse a result; None if it is not cached.

    `ExpireAfter` is an ISO 8601 duration, also without the leading P, as in SageMaker's guide ("30d").

    Raises:
        ValueError: the configuration is malformed.
    """
    if not config:
        return None
    enabled, text = config.get("Enabled"), config.get("ExpireAfter")
    if not isinstance(enabled, bool) or set(config) - {"Enabled", "ExpireAfter"}:
        raise ValueError(f"CacheConfig must have a boolean 'Enabled' and may have 'ExpireAfter' (got {config!r}).")
    if not enabled or step_type not in _KEY_ATTRIBUTES:
        return None
    if text is None:
        return timedelta.max
    try:
        return _DURATION.validate_python("P" + str(text).upper().removeprefix("P"))
    except ValidationError as error:
        raise ValueError(f"ExpireAfter of CacheConfig is not an ISO 8601 duration: {text!r}.") from error


@dataclass(frozen=True)
class CacheEntry:
    """A successful run of a step: its result, execution and time."""

    execution_arn: str
    at: datetime
    properties: Mapping[str, Any]
    metadata: Mapping[str, Any]


class StepCache:
    """The successful runs of cached steps of every pipeline; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, CacheEntry] = {}

    @staticmethod
    def key(pipeline: str, step: str, step_type: str, arguments: Mapping[str, Any]) -> str:
        """The cache key of a step with resolved `arguments`."""
        attributes = {name: arguments.get(name) for name in _KEY_ATTRIBUTES[step_type]}
        return json.dumps([pipeline, step, step_type, attributes], sort_keys=True, default=str)

    def find(self, key: str, age: timedelta, now: datetime) -> CacheEntry | None:
        """The most recent success with `key`, if it is not older than `age`."""
        with self._lock:
            entry = self._entries.get(key)
        return entry if entry and now - entry.at <= age else None

    def store(self, key: str, entry: CacheEntry) -> None:
        """Stores a success, replacing an earlier one."""
        with self._lock:
            self._entries[key] = entry

    def remove(self, step: str) -> None:
        """Removes the results of the steps with this name."""
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if json.loads(key)[1] != step}
