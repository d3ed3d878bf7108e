"""Evaluates CloudWatch alarms on the metrics that flow: those of watched endpoints, and those of PutMetricData.

moto stores alarms and metrics and evaluates none. An alarm is evaluated when a deployment asks for it, at the
emulator's clock, on whole periods and the one in progress. Metric math and composite alarms are not evaluated.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from local_aws.clock import Clock
from local_aws.errors import AwsError
from local_aws.sagemaker.hosting.endpoint_metrics import NAMESPACE, EndpointMetrics, Point

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


class AlarmEvaluator:
    """Evaluates the alarms of one emulator and sets their state."""

    def __init__(self, backend: Callable[[], Any], metrics: EndpointMetrics, clock: Clock) -> None:
        """`backend` returns moto's CloudWatch backend of the emulator's account and region."""
        self._backend, self._metrics, self._clock = backend, metrics, clock

    def exists(self, name: str) -> bool:
        """Whether there is such an alarm."""
        return name in self._backend().alarms

    def evaluate(self, name: str) -> str:
        """Sets the alarm's state and returns why it is in ALARM; '' if it is not.

        AwsError if the alarm is deleted or not of one metric.
        """
        alarm = self._backend().alarms.get(name)
        if alarm is None or alarm.metric_name is None or alarm.comparison_operator not in _COMPARE:
            raise AwsError("ValidationException", f"{name}: the AWS emulator evaluates existing alarms of one metric")
        count = int(alarm.evaluation_periods)
        needed = int(alarm.datapoints_to_alarm or count)
        found = self._datapoints(alarm, count)
        missing = alarm.treat_missing_data or "missing"
        compare, limit = _COMPARE[alarm.comparison_operator], float(alarm.threshold)
        breaching = [value for value in found if value is not None and compare(value, limit)]
        silent = sum(value is None for value in found) if missing == "breaching" else 0
        if len(breaching) + silent >= needed:
            shown = ", ".join(f"{value:g}" for value in breaching) or "no data"
            reason = (
                f"{len(breaching) + silent} of {count} datapoints [{shown}] were "
                f"{alarm.comparison_operator} {limit:g} ({alarm.metric_name})"
            )
            self._set(alarm, "ALARM", reason)
            return reason
        if all(value is None for value in found) and missing in ("missing", "ignore"):
            if missing == "missing":
                self._set(alarm, "INSUFFICIENT_DATA", "no datapoint was received")
            return str(alarm.state_reason) if alarm.state_value == "ALARM" else ""
        self._set(alarm, "OK", "the datapoints are within the threshold")
        return ""

    @staticmethod
    def _set(alarm: Any, state: str, reason: str) -> None:
        if (alarm.state_value, alarm.state_reason) != (state, reason):
            alarm.update_state(reason, "{}", state)

    def _datapoints(self, alarm: Any, count: int) -> list[float | None]:
        """The statistic of the last `count` periods, the newest first; None where there is no data."""
        period, unit = int(alarm.period), alarm.extended_statistic or alarm.statistic
        last = int(self._clock.now().timestamp() // period)
        buckets: list[list[float]] = [[] for _ in range(count)]
        for point in self._points(alarm):
            place = last - int(point.at.timestamp() // period)
            if 0 <= place < count:
                buckets[place].append(point.value)
        return [_statistic(unit, values) if values else None for values in buckets]

    def _points(self, alarm: Any) -> list[Point]:
        dimensions = {each.name: each.value for each in alarm.dimensions}
        if alarm.namespace == NAMESPACE:
            return self._metrics.points(alarm.metric_name, dimensions)
        return [
            Point(_aware(datum.timestamp), float(datum.value))
            for datum in list(self._backend().metric_data)
            if hasattr(datum, "value")  # statistic sets have none
            and datum.namespace == alarm.namespace
            and datum.name == alarm.metric_name
            and {each.name: each.value for each in datum.dimensions} == dimensions
        ]


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _statistic(name: str, values: list[float]) -> float:
    if name in _STATISTICS:
        return float(_STATISTICS[name](values))
    if name.startswith("p"):  # p99: the smallest value that is not below 99 % of them
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, int(float(name[1:]) / 100 * len(ordered)))]
    raise AwsError("ValidationException", f"the AWS emulator does not evaluate the statistic {name}")
