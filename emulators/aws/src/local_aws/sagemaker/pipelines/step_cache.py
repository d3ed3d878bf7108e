"""Step caching: when a former result of a step stands for running it again.

Scope and keys are AWS's documented ones: the same step of the same pipeline, the attributes below equal, the most
recent success within the lifetime. Outputs, role and resources are not part of the key.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

_KEYS: Mapping[str, tuple[str, ...]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "Environment",
        "HyperParameters", "InputDataConfig",
    ),
}  # fmt: skip
_DURATION = TypeAdapter(timedelta)


def lifetime(config: Mapping[str, Any] | None, step_type: str) -> timedelta | None:
    """How long a result may be reused by a step with this CacheConfig; None where it is not cached.

    `ExpireAfter` is an ISO 8601 duration, also without its leading P as SageMaker's guide writes it ("30d").

    Raises:
        ValueError: the configuration is malformed.
    """
    if not config:
        return None
    enabled, text = config.get("Enabled"), config.get("ExpireAfter")
    if not isinstance(enabled, bool) or set(config) - {"Enabled", "ExpireAfter"}:
        raise ValueError(f"CacheConfig must have a boolean 'Enabled' and may have 'ExpireAfter' (got {config!r}).")
    if not enabled or step_type not in _KEYS:
        return None
    if text is None:
        return timedelta.max
    try:
        return _DURATION.validate_python("P" + str(text).upper().removeprefix("P"))
    except ValidationError as error:
        raise ValueError(f"ExpireAfter of CacheConfig is not an ISO 8601 duration: {text!r}.") from error


@dataclass(frozen=True)
class Entry:
    """A successful run of a step: what it returned, and which execution ran it when."""

    execution_arn: str
    at: datetime
    properties: Mapping[str, Any]
    metadata: Mapping[str, Any]


class Cache:
    """The successful runs of every pipeline's cached steps; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}

    @staticmethod
    def key(pipeline: str, step: str, step_type: str, arguments: Mapping[str, Any]) -> str:
        """What two runs of a step must share to be the same; `arguments` are resolved."""
        chosen = {name: arguments.get(name) for name in _KEYS[step_type]}
        return json.dumps([pipeline, step, step_type, chosen], sort_keys=True, default=str)

    def find(self, key: str, age: timedelta, now: datetime) -> Entry | None:
        """The most recent success under `key` that is not older than `age`."""
        with self._lock:
            entry = self._entries.get(key)
        return entry if entry and now - entry.at <= age else None

    def store(self, key: str, entry: Entry) -> None:
        """Keeps a success; a later one takes its place."""
        with self._lock:
            self._entries[key] = entry
