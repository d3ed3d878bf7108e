"""Requirements of AWS Lambda's, Amazon EventBridge's and Amazon CloudWatch's (metrics and logs) operations.

Source: Service Authorization Reference, "AWS Lambda", "Amazon EventBridge", "Amazon CloudWatch" and "Amazon CloudWatch
Logs".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, arn, on_everything, pass_role, tags, values

_FUNCTION_ACTIONS = {
    "AddPermission": "AddPermission", "CreateAlias": "CreateAlias", "DeleteFunction": "DeleteFunction",
    "DeleteFunctionConcurrency": "DeleteFunctionConcurrency",
    "DeleteFunctionEventInvokeConfig": "DeleteFunctionEventInvokeConfig", "GetFunction": "GetFunction",
    "GetFunctionConcurrency": "GetFunctionConcurrency", "GetFunctionConfiguration": "GetFunctionConfiguration",
    "GetFunctionEventInvokeConfig": "GetFunctionEventInvokeConfig", "GetPolicy": "GetPolicy",
    "Invoke": "InvokeFunction", "ListFunctionEventInvokeConfigs": "ListFunctionEventInvokeConfigs",
    "PublishVersion": "PublishVersion", "PutFunctionConcurrency": "PutFunctionConcurrency",
    "PutFunctionEventInvokeConfig": "PutFunctionEventInvokeConfig", "RemovePermission": "RemovePermission",
    "UpdateFunctionCode": "UpdateFunctionCode", "UpdateFunctionConfiguration": "UpdateFunctionConfiguration",
    "UpdateFunctionEventInvokeConfig": "UpdateFunctionEventInvokeConfig", "CreateFunction": "CreateFunction",
}  # fmt: skip
_RULE_OPERATIONS = {
    "DeleteRule": "Name", "DescribeRule": "Name", "DisableRule": "Name", "EnableRule": "Name",
    "ListTargetsByRule": "Rule", "PutRule": "Name", "PutTargets": "Rule", "RemoveTargets": "Rule",
}  # fmt: skip
_LOG_GROUP_OPERATIONS = (
    "AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy", "DescribeLogStreams",
    "DescribeMetricFilters", "DescribeSubscriptionFilters", "DisassociateKmsKey", "FilterLogEvents",
    "ListTagsLogGroup", "PutMetricFilter", "PutRetentionPolicy", "StartQuery",
)  # fmt: skip
_LOG_STREAM_OPERATIONS = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")
_ALARM_OPERATIONS = ("DescribeAlarmHistory", "DescribeAlarms", "SetAlarmState")
_METRIC_OPERATIONS = (
    "DescribeAlarmsForMetric", "GetMetricData", "GetMetricStatistics", "ListDashboards", "ListMetrics",
)  # fmt: skip


def function_arn(call: Call, name: str) -> str:
    """The ARN of a function, given by name, partial ARN or ARN; its qualifier stays."""
    return name if name.startswith("arn:") else arn(call, "lambda", f"function:{name.rpartition('function:')[2]}")


def _on_function(operation: str, action: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name = call.text("FunctionName")
        context = tags(call) | values(
            lambda_Principal=call.parameters.get("Principal") if operation == "AddPermission" else None
        )
        yield Requirement(f"lambda:{action}", function_arn(call, name), context)
        yield from pass_role(call.parameters.get("Role"), "lambda.amazonaws.com")
        # Lambda reads the code with the permissions of the caller.
        code: Mapping[str, Any] = call.parameters.get("Code") or call.parameters
        if operation in ("CreateFunction", "UpdateFunctionCode") and code.get("S3Bucket"):
            version = "Version" if code.get("S3ObjectVersion") else ""
            yield Requirement(f"s3:GetObject{version}", f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}")
        if operation == "CreateFunction" and call.parameters.get("Tags"):
            yield Requirement("lambda:TagResource", function_arn(call, name), context)

    return rule


LAMBDA_RULES: Mapping[str, Rule] = {
    **{operation: _on_function(operation, action) for operation, action in _FUNCTION_ACTIONS.items()},
    "GetAccountSettings": on_everything("lambda:GetAccountSettings"),
    "ListFunctions": on_everything("lambda:ListFunctions"),
}


def _on_rule(operation: str, member: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        bus = call.text("EventBusName").rpartition("/")[2]
        prefix = f"rule/{bus}/" if bus not in ("", "default") else "rule/"
        yield Requirement(f"events:{operation}", arn(call, "events", prefix + call.text(member)), tags(call))
        yield from pass_role(call.parameters.get("RoleArn"), "events.amazonaws.com")
        for target in call.parameters.get("Targets") or []:
            yield from pass_role(target.get("RoleArn"), "events.amazonaws.com")

    return rule


def _put_events(call: Call) -> Iterable[Requirement]:
    for entry in call.parameters.get("Entries") or []:
        bus = str(entry.get("EventBusName") or "default")
        context = {"events:source": str(entry.get("Source")), "events:detail-type": str(entry.get("DetailType"))}
        resource = bus if bus.startswith("arn:") else arn(call, "events", f"event-bus/{bus}")
        yield Requirement("events:PutEvents", resource, context)


EVENTS_RULES: Mapping[str, Rule] = {
    **{operation: _on_rule(operation, member) for operation, member in _RULE_OPERATIONS.items()},
    "ListRules": on_everything("events:ListRules"),
    "PutEvents": _put_events,
}


def log_group_arn(call: Call, name: str) -> str:
    """The ARN by which actions on a log group are judged.

    It ends in `:log-stream:`, as AWS's messages show (for instance hashicorp/terraform-provider-aws#14373).
    """
    return arn(call, "logs", f"log-group:{name}:log-stream:")


def _on_log_group(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name = call.text("logGroupName") or call.text("logGroupIdentifier").rpartition("log-group:")[2].rstrip(":*")
        yield Requirement(f"logs:{operation}", log_group_arn(call, name), tags(call, "tags"))

    return rule


def _on_log_stream(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        group = call.text("logGroupName") or call.text("logGroupIdentifier").rpartition("log-group:")[2].rstrip(":*")
        yield Requirement(f"logs:{operation}", log_group_arn(call, group) + call.text("logStreamName"))

    return rule


LOGS_RULES: Mapping[str, Rule] = {
    **{operation: _on_log_group(operation) for operation in _LOG_GROUP_OPERATIONS},
    **{operation: _on_log_stream(operation) for operation in _LOG_STREAM_OPERATIONS},
    "DescribeLogGroups": lambda call: [Requirement("logs:DescribeLogGroups", log_group_arn(call, ""))],
    "GetQueryResults": on_everything("logs:GetQueryResults"),
}


def _put_metric_data(call: Call) -> Iterable[Requirement]:
    return [Requirement("cloudwatch:PutMetricData", "*", values(cloudwatch_namespace=call.text("Namespace")))]


def alarm_arn(call: Call, name: str) -> str:
    """The ARN of an alarm."""
    return arn(call, "cloudwatch", f"alarm:{name}")


def _on_alarms(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        names = call.parameters.get("AlarmNames") or [call.parameters.get("AlarmName") or "*"]
        for name in names:
            yield Requirement(f"cloudwatch:{operation}", alarm_arn(call, str(name)))

    return rule


def _put_alarm(call: Call) -> Iterable[Requirement]:
    context = tags(call)
    if actions := call.parameters.get("AlarmActions"):
        context["cloudwatch:AlarmActions"] = tuple(map(str, actions))
    yield Requirement("cloudwatch:PutMetricAlarm", alarm_arn(call, call.text("AlarmName")), context)


def _on_dashboard(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        names = call.parameters.get("DashboardNames") or [call.text("DashboardName")]
        for name in names:
            yield Requirement(f"cloudwatch:{operation}", f"arn:aws:cloudwatch::{call.account}:dashboard/{name}")

    return rule


CLOUDWATCH_RULES: Mapping[str, Rule] = {
    **{operation: _on_alarms(operation) for operation in (*_ALARM_OPERATIONS, "DeleteAlarms")},
    **{operation: on_everything(f"cloudwatch:{operation}") for operation in _METRIC_OPERATIONS},
    **{operation: _on_dashboard(operation) for operation in ("DeleteDashboards", "GetDashboard", "PutDashboard")},
    "PutMetricAlarm": _put_alarm,
    "PutMetricData": _put_metric_data,
}
