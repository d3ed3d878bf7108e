"""Alarms, dashboard, retention and names of the platform template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]  # it has no stubs
from deploy_model import logic

from ml.aws import cloudwatch_metrics
from ml.aws.cloudformation import platform_source
from ml.drift import calendar
from ml.release import canary_watch

INFRA = Path(__file__).resolve().parents[2] / "infra"
JOB_LOGS = {"ProcessingLog", "TrainingLog"}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template with short-form functions expanded."""
    loaded: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(INFRA / "platform.yaml"))))
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a type, by name."""
    return {name: item["Properties"] for name, item in template["Resources"].items() if item["Type"] == kind}


def test_every_alarm_notifies_the_topic_and_is_on_the_dashboard(template: dict[str, Any]) -> None:
    """No alarm is silent, and no alarm is left out of the dashboard."""
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert {
        "DeployErrorsAlarm",
        "DeadLettersAlarm",
        "DriftAlarm",
        "NoTrafficAlarm",
        "NoDriftCheckAlarm",
        "FailedStepsAlarm",
        "EndpointErrorsAlarm",
        "EndpointLatencyAlarm",
        "CanaryLatencyAlarm",
        "CanaryAlertRateAlarm",
        "CanaryScoreAlarm",
    } == set(alarms)
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "NotificationTopic"}], name
        assert alarm["AlarmDescription"].endswith(" Steps - docs/operations.md."), name
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    shown = set(re.findall(r"\$\{(\w+Alarm)\.Arn\}", dashboard["DashboardBody"]["Fn::Sub"]))
    assert shown == set(alarms)


def test_dashboard_is_json_and_its_widgets_do_not_overlap(template: dict[str, Any]) -> None:
    """CloudWatch refuses another body; every widget has its cells of the 24 columns to itself."""
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    cells: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        taken = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, widget["properties"]["title"]
        assert max(x for x, _ in taken) < 24
        cells |= taken
    metrics = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    assert {metric[0] for metric in metrics} == {
        "AWS/SageMaker",
        "/aws/sagemaker/Endpoints",
        cloudwatch_metrics.NAMESPACE,
        cloudwatch_metrics.ROLLOUT,
        "AWS/Events",
        "AWS/Lambda",
        "AWS/SQS",
    }


def test_endpoint_alarms_watch_the_variant_that_is_deployed(template: dict[str, Any]) -> None:
    """The dimensions name the endpoint and the function's variant; missing data means no request and no alarm."""
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    for name, metric in (
        ("EndpointErrorsAlarm", "Invocation5XXErrors"),
        ("EndpointLatencyAlarm", "ModelLatency"),
        ("CanaryLatencyAlarm", "ModelLatency"),
    ):
        alarm = alarms[name]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SageMaker", metric)
        assert alarm["Dimensions"] == [
            {"Name": "EndpointName", "Value": {"Ref": "EndpointName"}},
            {"Name": "VariantName", "Value": logic.VARIANT},
        ]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_canary_alarms_watch_the_evidence_that_deploy_publishes(template: dict[str, Any]) -> None:
    """Evidence of 1 in one of two minutes is an alarm; without a canary there is none. The function names all four."""
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    for name, metric in (("CanaryAlertRateAlarm", canary_watch.ALERTS), ("CanaryScoreAlarm", canary_watch.SCORES)):
        alarm = alarms[name]
        assert (alarm["Namespace"], alarm["MetricName"]) == (cloudwatch_metrics.ROLLOUT, metric)
        assert alarm["Dimensions"] == [{"Name": "Endpoint", "Value": {"Ref": "EndpointName"}}]
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
        assert (alarm["Period"], alarm["DatapointsToAlarm"], alarm["TreatMissingData"]) == (60, 1, "notBreaching")
    variables = of_type(template, "AWS::Lambda::Function")["DeployFunction"]["Environment"]["Variables"]
    named = {item["Ref"] for item in variables["ROLLBACK_ALARMS"]["Fn::Join"][1]}
    assert named == {"EndpointErrorsAlarm", "CanaryLatencyAlarm", "CanaryAlertRateAlarm", "CanaryScoreAlarm"}


def test_missing_drift_checks_set_off_an_alarm_after_two_days(template: dict[str, Any]) -> None:
    """Two days without the metric that a drift check publishes at its end; missing data counts as no check."""
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["NoDriftCheckAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (cloudwatch_metrics.NAMESPACE, "Checks")
    assert int(alarm["Period"]) * int(alarm["EvaluationPeriods"]) == 2 * 86_400
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


def test_failed_step_rule_leaves_out_gate_failures(template: dict[str, Any]) -> None:
    """The rule names this stack's pipeline; a failed gate is a step of type Fail."""
    detail = of_type(template, "AWS::Events::Rule")["FailedStepRule"]["EventPattern"]["detail"]
    assert detail["stepType"] == ["Processing", "Training", "RegisterModel"]
    assert detail["pipelineArn"][0]["Fn::Sub"].endswith(":pipeline/${AWS::StackName}-training")


def test_every_log_group_has_retention_and_can_have_the_key(template: dict[str, Any]) -> None:
    """No group keeps its events for ever, and the key option covers each."""
    groups = of_type(template, "AWS::Logs::LogGroup")
    assert set(groups) == {"DeployLog", "EndpointLog", *JOB_LOGS}
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
        assert group["KmsKeyId"]["Fn::If"][0] == "UsesKey", name
    for name in JOB_LOGS:
        assert template["Resources"][name]["Condition"] == "OwnsJobLogs"
    assert template["Resources"]["EndpointLog"]["Condition"] == "OwnsEndpointLog"


def prefix_of(rule: dict[str, Any]) -> str:
    """Return a lifecycle rule's prefix, with the references in it as the template writes them."""
    prefix = rule["Prefix"]
    return str(prefix["Fn::Sub"] if isinstance(prefix, dict) else prefix)


def test_lifecycle_deletes_only_traffic_and_checks(template: dict[str, Any]) -> None:
    """Manifests and approvals name transactions, labels, executions and artifacts, so these never expire.

    The rows that drift checks keep and the objects of counting jobs copy captured traffic: they expire with it.
    """
    rules = of_type(template, "AWS::S3::Bucket")["Lake"]["LifecycleConfiguration"]["Rules"]
    conditional = [rule["Fn::If"] for rule in rules if "Fn::If" in rule]
    expiring = {prefix_of(rule): condition for condition, rule, _ in conditional if "ExpirationInDays" in rule}
    assert expiring == {
        "capture/": "ExpiresCapture",
        "monitoring/${EndpointName}/window-rows/": "ExpiresCapture",
        "monitoring/${EndpointName}/jobs/": "ExpiresCapture",
        "monitoring/": "ExpiresMonitoring",
    }
    assert not [rule for rule in rules if "ExpirationInDays" in rule]
    moving = {prefix_of(rule): condition for condition, rule, _ in conditional if "Transitions" in rule}
    assert moving == dict.fromkeys(("raw/", "labels/", "executions/"), "MovesOldData")


@pytest.mark.parametrize("parameter", ["CaptureRetentionDays", "MonitoringRetentionDays"])
def test_retention_is_at_least_what_a_drift_check_reads(template: dict[str, Any], parameter: str) -> None:
    """A check evaluates windows again until their labels have matured; 0 keeps everything."""
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    needed = calendar.MATURING_PERIOD.days
    accepted = [days for days in range(1000) if re.search(pattern, str(days))]
    assert accepted == [0, *range(needed, 1000)]
    assert re.search(pattern, template["Parameters"][parameter]["Default"])


def test_fixed_names_carry_the_name_of_the_stack_or_the_endpoint(template: dict[str, Any]) -> None:
    """Two stacks fit into one account; only SageMaker's log groups of jobs are shared, and owning them is an option."""
    keys = {"DashboardName", "FunctionName", "LogGroupName", "ModelPackageGroupName", "AliasName"}
    keys |= {"BucketName", "RoleName", "ManagedPolicyName", "TopicName", "QueueName", "AlarmName", "Name"}
    fixed = {
        (name, key): item["Properties"][key]
        for name, item in template["Resources"].items()
        for key in keys
        if key in item["Properties"] and "Ref" not in item["Properties"][key]
    }
    shared = {
        name for (name, _), value in fixed.items() if not re.search(r"\$\{(AWS::StackName|EndpointName)\}", str(value))
    }
    assert shared == JOB_LOGS
    assert len(fixed) == 8


@pytest.mark.parametrize("file", ["platform.yaml", "github-oidc.yaml"])
def test_template_assumes_no_region_and_no_partition(file: str) -> None:
    """ARNs use AWS::Partition and AWS::Region, endpoints of services AWS::URLSuffix."""
    text = (INFRA / file).read_text()
    assert not re.findall(r"arn:aws[a-z-]*:", text)
    assert not re.findall(r"\b(?:us|eu|ap|ca|sa|me|af|il|cn)-[a-z]+-\d\b", text)
    assert not re.findall(r"\$\{AWS::Region\}\.amazonaws\.com", text)


def test_settings_are_the_parameters_that_nothing_else_sets(template: dict[str, Any]) -> None:
    """`fraudops bootstrap --parameter` accepts exactly these."""
    elsewhere = {"BoundaryArn", "CodeBucket", "CodeKey", "EndpointName", "NotificationEmail", "ReservedConcurrency"}
    assert set(template["Parameters"]) == {*platform_source.SETTINGS, *elsewhere}
