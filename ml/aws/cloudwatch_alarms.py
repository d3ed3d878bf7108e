"""Describes CloudWatch's alarms. Changes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml.aws import session


def describe(names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The alarms with these names, at most one hundred; those that do not exist are left out. Raises CloudError."""
    with session.explained(f"reading {len(names)} alarms"):
        found = session.client("cloudwatch").describe_alarms(AlarmNames=list(names), MaxRecords=100)["MetricAlarms"]
    return {alarm["AlarmName"]: alarm for alarm in found}
