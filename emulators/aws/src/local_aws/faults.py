"""Which calls fail, and how: rules as data, matched by service, operation and the number of the call.

Nothing here is random and nothing reads a clock: the same rules and the same calls give the same faults. `fault_layer`
applies the faults of calls; events, functions, jobs and endpoints ask for their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from local_aws.errors import AwsError

CALL_FAULTS: Mapping[str, str] = {
    "throttling": "refused with the service's throttling error; S3 answers SlowDown (503)",
    "server_error": "refused with InternalFailure (500); nothing is done",
    "unavailable": "refused with ServiceUnavailable (503); nothing is done",
    "expired_credentials": "refused with the service's error for an expired session",
    "reset": "the connection is closed before the call is done",
    "lost_answer": "the call is done, and the connection is closed without an answer",
    "error_after": "the call is done, and the answer is InternalFailure (500)",
    "truncated": "the call is done, and the connection is closed after half of the body",
    "stale": "answered as the same request was before; waits for a call that has a former answer",
}
"""Faults of API calls. The service is botocore's name of it, the operation the API's."""
EVENT_FAULTS: Mapping[str, str] = {
    "duplicate": "delivered twice",
    "late": "delivered `seconds` later, after events that were sent later",
}
"""Faults of the service "event"; the operation is the detail type."""
FUNCTION_FAULTS: Mapping[str, str] = {
    "timeout": "the function times out before its handler runs",
    "timeout_after": "the handler runs to its end, and the invocation is reported as timed out",
}
"""Faults of the service "function"; the operation is the function's name."""
JOB_FAULTS: Mapping[str, str] = {
    "out_of_memory": "the job is killed with exit code 137",
    "spot_interruption": "the instance is reclaimed and the job fails with InternalServerError",
}
"""Faults of the service "job"; the operation is the job's name, as a pattern: `*-Train-*`."""
ENDPOINT_FAULTS: Mapping[str, str] = {"unhealthy": "a new fleet never passes the health check"}
"""Faults of the service "endpoint"; the operation is the endpoint's name."""
_BY_SERVICE = {"event": EVENT_FAULTS, "function": FUNCTION_FAULTS, "job": JOB_FAULTS, "endpoint": ENDPOINT_FAULTS}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One fault: it applies to `times` matching calls, from the `call`-th on, counted from 1.

    `service` and `operation` are shell patterns; `user_agent` must be part of the caller's User-Agent header.
    """

    fault: str
    service: str
    operation: str = "*"
    call: int = 1
    times: int = 1
    user_agent: str = ""
    seconds: float = 0.2

    def matches(self, service: str, operation: str, user_agent: str) -> bool:
        """Whether the rule is about such a call."""
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(operation, self.operation)
            and self.user_agent in user_agent
        )


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A fault that was applied: `call` is the number of the call among those that the rule matches."""

    fault: str
    service: str
    operation: str
    call: int


class FaultPlan:
    """The rules of one emulator, with the count of the calls that each has matched; thread-safe."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str, str]] | None = None
        """Service, operation and User-Agent of each call; recorded once it is set to a list."""
        self.set(rules)

    def set(self, rules: Iterable[Rule]) -> None:
        """Replaces the rules and begins to count again."""
        chosen = list(rules)
        for rule in chosen:
            _check(rule)
        with self._lock:
            self._rules, self._counts = chosen, [0] * len(chosen)
            self.fired: list[Fired] = []

    @property
    def active(self) -> bool:
        """Whether there is any rule, or calls are recorded."""
        return bool(self._rules) or self.calls is not None

    def wants(self, service: str, operation: str, fault: str) -> bool:
        """Whether a rule with that fault is about such calls, of any caller and at any time."""
        return any(
            rule.fault == fault and fnmatchcase(service, rule.service) and fnmatchcase(operation, rule.operation)
            for rule in self._rules
        )

    def take(self, service: str, operation: str, *, user_agent: str = "", without: Sequence[str] = ()) -> Rule | None:
        """The rule whose fault the current call gets; None if it gets none.

        Every matching rule counts the call; the first one that is due applies. Rules whose fault is in `without` do not
        count it: the call cannot have that fault.
        """
        due: Rule | None = None
        with self._lock:
            if self.calls is not None:
                self.calls.append((service, operation, user_agent))
            for number, rule in enumerate(self._rules):
                if rule.fault in without or not rule.matches(service, operation, user_agent):
                    continue
                self._counts[number] += 1
                count = self._counts[number]
                if due is None and rule.call <= count < rule.call + rule.times:
                    due = rule
                    self.fired.append(Fired(fault=rule.fault, service=service, operation=operation, call=count))
        return due

    def as_json(self) -> dict[str, Any]:
        """The rules, and the faults that were applied."""
        with self._lock:
            return {"rules": [asdict(rule) for rule in self._rules], "fired": [asdict(item) for item in self.fired]}


def parse(document: Any) -> list[Rule]:
    """The rules of a JSON list of objects with the fields of `Rule`.

    Raises:
        AwsError: it has another form, or a rule is invalid.
    """
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise AwsError("ValidationException", "faults must be a JSON list of rules, which are objects")
    known = {field.name: field.type for field in fields(Rule)}
    rules = []
    for item in document:
        unknown = sorted(set(item) - set(known))
        missing = sorted({"fault", "service"} - set(item))
        if unknown or missing:
            raise AwsError("ValidationException", f"a fault rule has unknown {unknown} and lacks {missing}")
        rules.append(Rule(**item))
        _check(rules[-1])
    return rules


def _check(rule: Rule) -> None:
    allowed = _BY_SERVICE.get(rule.service, CALL_FAULTS)
    if rule.fault not in allowed:
        raise AwsError(
            "ValidationException", f"service {rule.service} has no fault {rule.fault!r}; it has {sorted(allowed)}"
        )
    if rule.call < 1 or rule.times < 1:
        raise AwsError("ValidationException", f"call and times begin at 1 (got {rule.call}, {rule.times})")
