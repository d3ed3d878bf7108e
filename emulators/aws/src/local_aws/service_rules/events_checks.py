"""Rules of EventBridge: what a rule needs, schedules, the number of targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_TARGETS_PER_RULE = 5
_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]+)\)")


def _trigger(parameters: Mapping[str, Any]) -> None:
    schedule = parameters.get("ScheduleExpression")
    if not parameters.get("EventPattern") and not schedule:
        raise violation("events-rule-without-trigger")
    if schedule and not is_schedule(schedule):
        raise violation("events-invalid-schedule")


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


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("events", "PutRule"): (_trigger,),
    ("events", "PutTargets"): (_targets,),
}
"""By service and operation."""
