"""Cases of the rules of CloudWatch; not a test itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import Case, reason_of_failed_stack, refused


def metric(at: datetime) -> list[dict[str, Any]]:
    """One value at that time."""
    return [{"MetricName": "m", "Value": 1.0, "Timestamp": at}]


def metric_time(aws: LocalAws) -> None:
    cloudwatch, now = aws.client("cloudwatch"), datetime.now(UTC)
    for at in (now - timedelta(days=14, minutes=1), now + timedelta(hours=2, minutes=1)):
        refused(
            "cloudwatch-metric-time",
            partial(cloudwatch.put_metric_data, Namespace="Own", MetricData=metric(at)),
        )
    for at in (now - timedelta(days=13), now + timedelta(hours=1)):
        cloudwatch.put_metric_data(Namespace="Own", MetricData=metric(at))
    past = datetime(2026, 3, 1, tzinfo=UTC)
    aws.clock.set(past)
    try:
        cloudwatch.put_metric_data(Namespace="Own", MetricData=metric(past))
        refused("cloudwatch-metric-time", lambda: cloudwatch.put_metric_data(Namespace="Own", MetricData=metric(now)))
    finally:
        aws.clock.set(None)


def metrics_per_request(aws: LocalAws) -> None:
    cloudwatch, data = aws.client("cloudwatch"), metric(datetime.now(UTC)) * 1001
    refused("cloudwatch-metrics-per-request", lambda: cloudwatch.put_metric_data(Namespace="Own", MetricData=data))
    cloudwatch.put_metric_data(Namespace="Own", MetricData=data[1:])


def reserved_namespace(aws: LocalAws) -> None:
    data = metric(datetime.now(UTC))
    refused(
        "cloudwatch-reserved-namespace",
        lambda: aws.client("cloudwatch").put_metric_data(Namespace="AWS/Own", MetricData=data),
    )


ALARM = {
    "MetricName": "m",
    "Namespace": "Own",
    "Statistic": "Sum",
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}


def put_alarm(aws: LocalAws, **changes: Any) -> None:
    """Puts an alarm of one period of a minute, with changes."""
    request = {"AlarmName": unique_name("alarm"), "Period": 60, "EvaluationPeriods": 1, **ALARM, **changes}
    aws.client("cloudwatch").put_metric_alarm(**request)


def alarm_period(aws: LocalAws) -> None:
    for period in (45, 5):
        refused("cloudwatch-alarm-period", partial(put_alarm, aws, Period=period))
    for period in (10, 120):
        put_alarm(aws, Period=period)


def alarm_time(aws: LocalAws) -> None:
    for period, count in ((60, 1441), (86_400, 8), (3600, 169)):
        refused(
            "cloudwatch-alarm-time",
            partial(put_alarm, aws, Period=period, EvaluationPeriods=count),
        )
    for period, count in ((60, 1440), (86_400, 7), (3600, 168)):
        put_alarm(aws, Period=period, EvaluationPeriods=count)
    properties = str({**ALARM, "Period": 86_400, "EvaluationPeriods": 8}).replace("'", "")
    body = f"Resources: {{A: {{Type: AWS::CloudWatch::Alarm, Properties: {properties}}}}}"
    assert "Metrics cannot be checked across more than a week" in reason_of_failed_stack(aws, body)


def alarm_datapoints(aws: LocalAws) -> None:
    refused("cloudwatch-alarm-datapoints", lambda: put_alarm(aws, EvaluationPeriods=2, DatapointsToAlarm=3))
    put_alarm(aws, EvaluationPeriods=2, DatapointsToAlarm=2)


def dashboard_name(aws: LocalAws) -> None:
    refused(
        "cloudwatch-dashboard-name",
        lambda: aws.client("cloudwatch").put_dashboard(DashboardName="a.b", DashboardBody="{}"),
    )


def dashboard_body(aws: LocalAws) -> None:
    refused(
        "cloudwatch-dashboard-body",
        lambda: aws.client("cloudwatch").put_dashboard(DashboardName="a", DashboardBody="{"),
    )
    body = "Resources: {D: {Type: AWS::CloudWatch::Dashboard, Properties: {DashboardBody: '{'}}}"
    assert "The dashboard body is invalid" in reason_of_failed_stack(aws, body)


CASES: dict[str, Case] = {
    "cloudwatch-alarm-datapoints": alarm_datapoints,
    "cloudwatch-alarm-period": alarm_period,
    "cloudwatch-alarm-time": alarm_time,
    "cloudwatch-dashboard-body": dashboard_body,
    "cloudwatch-dashboard-name": dashboard_name,
    "cloudwatch-metric-time": metric_time,
    "cloudwatch-metrics-per-request": metrics_per_request,
    "cloudwatch-reserved-namespace": reserved_namespace,
}
