"""Rules of CloudWatch: metrics, alarms and dashboards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_METRICS = 1000
_PAST, _FUTURE = timedelta(weeks=2), timedelta(hours=2)
_DAY, _WEEK, _HOUR = 86_400, 604_800, 3_600
_SHORT_PERIODS = (10, 20, 30)


def _metrics(parameters: Mapping[str, Any]) -> None:
    data = parameters.get("MetricData") or []
    if len(data) > _METRICS:
        raise violation("cloudwatch-metrics-per-request", limit=_METRICS)
    if str(parameters.get("Namespace") or "").startswith("AWS/"):
        raise violation("cloudwatch-reserved-namespace")
    now = account_state.clock.now()
    for position, metric in enumerate(data, start=1):
        at = _moment(metric.get("Timestamp"))
        if at is not None and at < now - _PAST:
            raise violation("cloudwatch-metric-time", position=position, limit="within the past two weeks")
        if at is not None and at > now + _FUTURE:
            raise violation("cloudwatch-metric-time", position=position, limit="no more than two hours in the future")


def _moment(value: Any) -> datetime | None:
    """A time of any protocol: a time, or seconds since 1970; None for none."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC) if isinstance(value, int | float) else None


def check_alarm(parameters: Mapping[str, Any]) -> None:
    """Refuses an alarm whose periods CloudWatch cannot evaluate; `parameters` are PutMetricAlarm's."""
    evaluated = int(parameters.get("EvaluationPeriods") or 1)
    if int(parameters.get("DatapointsToAlarm") or evaluated) > evaluated:
        raise violation("cloudwatch-alarm-datapoints")
    if parameters.get("Period") is None:
        return
    period = int(parameters["Period"])
    if period not in _SHORT_PERIODS and (period < 1 or period % 60):
        raise violation("cloudwatch-alarm-period")
    if period < _HOUR and period * evaluated > _DAY:
        raise violation("cloudwatch-alarm-time", span="day", limit=_DAY, condition="< 3600")
    if period * evaluated > _WEEK:
        raise violation("cloudwatch-alarm-time", span="week", limit=_WEEK, condition=">= 3600")


def check_dashboard(name: str, body: str) -> None:
    """Refuses a dashboard's name or body."""
    if not re.fullmatch(r"[0-9A-Za-z_-]+", name):
        raise violation("cloudwatch-dashboard-name")
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise violation("cloudwatch-dashboard-body")


def _dashboard(parameters: Mapping[str, Any]) -> None:
    check_dashboard(parameters["DashboardName"], parameters["DashboardBody"])


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("cloudwatch", "PutMetricData"): (_metrics,),
    ("cloudwatch", "PutMetricAlarm"): (check_alarm,),
    ("cloudwatch", "PutDashboard"): (_dashboard,),
}
"""By service and operation."""
