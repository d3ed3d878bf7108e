"""Rules of EventBridge: what a rule needs, schedules, patterns, targets, and the size of events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_TARGETS_PER_RULE = 5
_PATTERN_CHARACTERS = 2048
_ENTRIES_BYTES = 262_144
_TIME_BYTES = 14  # that EventBridge counts for an entry's Time
_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]+)\)")


def _trigger(parameters: Mapping[str, Any]) -> None:
    schedule = parameters.get("ScheduleExpression")
    if not parameters.get("EventPattern") and not schedule:
        raise violation("events-rule-without-trigger")
    if schedule and not is_schedule(schedule):
        raise violation("events-invalid-schedule")
    check_pattern(parameters.get("EventPattern") or "")


def check_pattern(pattern: str) -> None:
    """Refuses an event pattern that is too long."""
    if len(pattern) > _PATTERN_CHARACTERS:
        raise violation("events-pattern-size")


def is_schedule(text: str) -> bool:
    """Whether EventBridge accepts the expression: a rate whose unit agrees with its number, or six cron fields."""
    if rate := _RATE.fullmatch(text):
        return int(rate[1]) > 0 and rate[2].endswith("s") == (int(rate[1]) != 1)
    cron = _CRON.fullmatch(text)
    fields = cron[1].split() if cron else []
    return len(fields) == 6 and (fields[2] == "?") != (fields[4] == "?")


def _targets(parameters: Mapping[str, Any]) -> None:
    present = account_state.rule_targets(parameters["Rule"], parameters.get("EventBusName") or "default")
    names = {target["Id"] for target in present} | {target["Id"] for target in parameters["Targets"]}
    if len(names) > _TARGETS_PER_RULE:
        raise violation("events-targets-per-rule")
    check_targets(parameters["Targets"])


def check_targets(targets: Sequence[Mapping[str, Any]]) -> None:
    """Refuses a target with more than one input."""
    for target in targets:
        if sum(target.get(name) is not None for name in ("Input", "InputPath", "InputTransformer")) > 1:
            raise violation("events-one-input", id=target["Id"])


def _entries(parameters: Mapping[str, Any]) -> None:
    if sum(map(_entry_bytes, parameters["Entries"])) >= _ENTRIES_BYTES:
        raise violation("events-entries-size")


def _entry_bytes(entry: Mapping[str, Any]) -> int:
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")] + (entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (_TIME_BYTES if entry.get("Time") is not None else 0)


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("events", "PutRule"): (_trigger,),
    ("events", "PutTargets"): (_targets,),
    ("events", "PutEvents"): (_entries,),
}
"""By service and operation."""
