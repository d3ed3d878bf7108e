"""The emulator's own paths below /local-aws: health, flush, clock, quotas, faults and the drift of stacks. Not AWS's.

Anybody who reaches the emulator may use them: it listens on loopback only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from local_aws.clock import Clock
from local_aws.cloudformation import stack_drift
from local_aws.dispatcher import PathHandler
from local_aws.errors import AwsError
from local_aws.faults import FaultPlan, parse
from local_aws.protocols import Response
from local_aws.quotas import Quotas

_PATH = "/local-aws"


class ControlApi:
    """Answers the emulator's own paths.

    Args:
        description: what `health` returns beside the process's id.
        flush: writes captured traffic and waits for events; False after its timeout.
        stacks: moto's stacks of the account and region, by id.
    """

    def __init__(
        self,
        *,
        description: Mapping[str, str],
        flush: Callable[[], bool],
        stacks: Callable[[], Mapping[str, Any]],
        clock: Clock,
        quotas: Quotas,
        faults: FaultPlan,
    ) -> None:
        self._description, self._flush, self._stacks = description, flush, stacks
        self._clock, self._quotas, self._faults = clock, quotas, faults

    def paths(self) -> list[tuple[str, str, str, PathHandler]]:
        """Rows of (method, path pattern, name, handler) for the dispatcher."""
        handlers: Mapping[str, tuple[str, PathHandler]] = {
            "health": ("Health", lambda *_: _json({"pid": os.getpid(), **self._description})),
            "flush": ("Flush", lambda *_: _json({"settled": self._flush()})),
            "clock": ("Clock", self._set_clock),
            "quotas": ("Quotas", self._set_quotas),
            "stack-drift": ("StackDrift", self._set_stack_drift),
            "faults": ("Faults", self._set_faults),
        }
        return [
            ("GET" if path == "health" else "POST", f"^{_PATH}/{path}$", f"local:{name}", handler)
            for path, (name, handler) in handlers.items()
        ]

    def _set_clock(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the clock to `now` of the JSON body, an ISO 8601 time; without it the clock shows real time again."""
        try:
            text = json.loads(body or b"{}").get("now")
            moment = datetime.fromisoformat(text) if text else None
        except (ValueError, TypeError, AttributeError) as error:
            raise AwsError("ValidationException", f'the body must be {{"now": "<ISO 8601 time>"}}: {error}') from error
        if moment is not None and moment.tzinfo is None:
            raise AwsError("ValidationException", f"the time must have an offset (got {text!r})")
        self._clock.set(moment)
        return _json({"now": self._clock.now().isoformat()})

    def _set_stack_drift(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the result of a drift detection: a JSON body with `stack` and `status`."""
        return _json(stack_drift.set_result(self._stacks(), _load(body), self._clock.now()))

    def _set_faults(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the fault rules, a JSON list; returns them and the faults so far. An empty body changes nothing."""
        if body:
            self._faults.set(parse(_load(body)))
        return _json(self._faults.as_json())

    def _set_quotas(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the quotas that the JSON body names, and returns all; an empty body changes nothing."""
        values = _load(body)
        if not isinstance(values, dict):
            raise AwsError("ValidationException", f"the body must be a JSON object (got {type(values).__name__})")
        self._quotas.set(values)
        return _json(asdict(self._quotas))


def _load(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("ValidationException", f"the body is not JSON: {error}") from error


def _json(document: Mapping[str, Any]) -> Response:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()
