"""Reads the states of the platform stack's alarms, for the first page of the site. Changes none."""

from __future__ import annotations

import re

from ml.aws import cloudwatch_alarms
from ml.aws.cloudformation import deployed_stack
from ml.site.values import AlarmState

_ALARM = "AWS::CloudWatch::Alarm"
_ORDER = ("ALARM", "MISSING", "INSUFFICIENT_DATA", "OK")


def read(stack: str) -> tuple[AlarmState, ...]:
    """The alarms of the stack, those in alarm first.

    Raises:
        CloudError: the stack's resources or its alarms cannot be read.
    """
    names = {
        logical: physical
        for logical, (type_, physical) in deployed_stack.resources(stack).items()
        if type_ == _ALARM and physical
    }
    found = cloudwatch_alarms.describe(list(names.values())) if names else {}
    states = []
    for logical, physical in names.items():
        alarm = found.get(physical, {})
        states.append(
            AlarmState(
                name=_words(logical),
                state=str(alarm.get("StateValue", "MISSING")),
                since=alarm.get("StateUpdatedTimestamp"),
                meaning=str(alarm.get("AlarmDescription", "")),
            )
        )
    return tuple(sorted(states, key=lambda each: (_place(each.state), each.name)))


def _place(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def _words(logical: str) -> str:
    """`DeployErrorsAlarm` as `deploy errors`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", logical.removesuffix("Alarm")).lower()
