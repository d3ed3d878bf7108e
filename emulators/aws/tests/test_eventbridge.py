"""EventBridge: event shapes, rule matching, and at-least-once delivery."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from aws_resources import (
    allow,
    create_endpoint_config,
    create_function,
    create_queue,
    receive_messages,
    unique_name,
    wait_until_settled,
)
from local_aws.faults import Rule
from local_aws.server import LocalAws

SPECIFICATION = {
    "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/a.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


def rule(aws: LocalAws, pattern: dict[str, Any], **target: Any) -> str:
    """A rule on the default bus with one target."""
    events, name = aws.client("events"), unique_name("rule")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "one", **target}])
    return arn


def log(aws: LocalAws) -> list[dict[str, Any]]:
    """Every event that was on the bus, with its deliveries."""
    aws.flush()
    return [json.loads(line) for line in (aws.folder / "logs/events.jsonl").read_text().splitlines()]


def package(aws: LocalAws, group: str, **options: Any) -> str:
    """A package in the group, which is created if necessary."""
    sagemaker = aws.client("sagemaker")
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    made = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **options)
    arn: str = made["ModelPackageArn"]
    return arn


def test_approval_event_has_aws_shape(aws: LocalAws) -> None:
    """A change to Approved matches a rule on it; the event has the package's own members."""
    url, arn = create_queue(aws)
    group = unique_name("group")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    rule(aws, pattern, Arn=arn)
    packaged = package(aws, group, CustomerMetadataProperties={"commit": "abc"})
    aws.client("sagemaker").update_model_package(ModelPackageArn=packaged, ModelApprovalStatus="Approved")
    event = receive_messages(aws, url, 1)[0]
    assert event["resources"] == [packaged]
    assert (event["version"], event["source"], event["account"]) == ("0", "aws.sagemaker", "123456789012")
    detail = event["detail"]
    assert (detail["ModelPackageArn"], detail["ModelPackageVersion"]) == (packaged, 1)
    assert detail["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == "s3://models/a.tar.gz"


def test_only_approval_changes_emit_events(aws: LocalAws) -> None:
    """Creation and each change of the approval status emit an event; Approved to Approved and other changes do not."""
    group, sagemaker = unique_name("group"), aws.client("sagemaker")
    arn = package(aws, group)
    for status in ("Approved", "Approved", "PendingManualApproval", "Approved"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
    sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription="why")
    changes = [line["event"] for line in log(aws) if line["event"]["resources"] == [arn]]
    found = {event["id"]: event["detail"]["ModelApprovalStatus"] for event in changes}
    assert Counter(found.values())["PendingManualApproval"] >= 2
    assert set(found.values()) == {"PendingManualApproval", "Approved"}


def test_every_third_event_is_delivered_twice(aws: LocalAws) -> None:
    """The second delivery is alternately the same event and an event with a new id."""
    group = unique_name("group")
    for _ in range(12):
        package(aws, group)
    events = [line["event"] for line in log(aws) if line["event"]["detail"].get("ModelPackageGroupName") == group]
    per_package = Counter(event["resources"][0] for event in events)
    assert sorted(per_package.values()) == [1] * 8 + [2] * 4
    doubled = [arn for arn, count in per_package.items() if count == 2]
    ids = [len({event["id"] for event in events if event["resources"] == [arn]}) for arn in doubled]
    assert sorted(ids) == [1, 1, 2, 2]


def test_rule_invokes_a_function_only_with_permission(aws: LocalAws) -> None:
    """Without lambda:AddPermission the delivery fails and goes to the target's dead-letter queue."""
    url, dead = create_queue(aws)
    done, done_arn = create_queue(aws)
    code = f"""
        import boto3, json
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl="{done}", MessageBody=json.dumps(event))
        """
    name, group = create_function(aws, code, allow("sqs:SendMessage", done_arn), Timeout=30), unique_name("group")
    target = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    pattern = {"detail": {"ModelPackageGroupName": [group]}}
    arn = rule(aws, pattern, Arn=target, DeadLetterConfig={"Arn": dead})
    refused = package(aws, group)
    assert receive_messages(aws, url, 1)[0]["resources"] == [refused]
    failures = [d for line in log(aws) for d in line["deliveries"] if d["target"] == target]
    assert {d["status"] for d in failures} == {"failed"}
    aws.client("lambda").add_permission(
        FunctionName=name,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=arn,
    )
    allowed = package(aws, group)
    assert receive_messages(aws, done, 1)[0]["resources"] == [allowed]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail.a"}, [1, 2]),
        (
            {"InputTransformer": {"InputPathsMap": {"b": "$.detail.b"}, "InputTemplate": '{"said": "<b>"}'}},
            {"said": "x"},
        ),
    ],
)
def test_target_input_is_transformed(aws: LocalAws, target: dict[str, Any], expected: Any) -> None:
    """Input, InputPath and InputTransformer define the message, also for events of PutEvents."""
    url, arn = create_queue(aws)
    source = unique_name("source")
    rule(aws, {"source": [source]}, Arn=arn, **target)
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"a": [1, 2], "b": "x"})}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert receive_messages(aws, url, 1) == [expected]


def test_malformed_entry_is_refused_alone(aws: LocalAws) -> None:
    """PutEvents returns an id or an error for each entry."""
    entries = [{"Source": "s", "DetailType": "t", "Detail": "{"}, {"Source": "s", "DetailType": "t", "Detail": "{}"}]
    answer = aws.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == ["MalformedDetail", None]


def test_disabled_and_unmatched_rules_get_no_event(aws: LocalAws) -> None:
    """Only enabled rules whose pattern matches are delivered to."""
    url, arn = create_queue(aws)
    source = unique_name("source")
    name = rule(aws, {"source": [source]}, Arn=arn).rsplit("/", 1)[-1]
    aws.client("events").disable_rule(Name=name)
    rule(aws, {"source": [source], "detail": {"a": [{"numeric": [">", 5]}]}}, Arn=arn)
    for value in (1, 9):
        entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"a": value})}
        aws.client("events").put_events(Entries=[entry])
    assert [event["detail"]["a"] for event in receive_messages(aws, url, 1)] == [9]


def test_endpoint_changes_emit_events(aws: LocalAws) -> None:
    """Creation, an update that fails and its rollback, and deletion are events with SageMaker's capital statuses."""
    sagemaker, name = aws.client("sagemaker"), unique_name("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws))
    assert wait_until_settled(aws, name) == "InService"
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws, BREAK="1"))
    assert wait_until_settled(aws, name) == "InService"
    sagemaker.delete_endpoint(EndpointName=name)
    events = [line["event"] for line in log(aws) if line["event"]["detail"].get("EndpointName") == name]
    statuses = {(event["detail-type"], event["detail"]["EndpointStatus"]) for event in events}
    kind = "SageMaker Endpoint State Change"
    expected = {"CREATING", "IN_SERVICE", "UPDATING", "ROLLING_BACK", "DELETING"}
    assert {status for detail_type, status in statuses if detail_type == kind} == expected
    deployments = [event for event in events if event["detail-type"] == "SageMaker Endpoint Deployment State Change"]
    assert all("PendingDeploymentSummary" in event["detail"] for event in deployments)
    assert any("ping health check" in event["detail"].get("FailureReason", "") for event in deployments)


@pytest.mark.parametrize(
    ("fault", "delivered"),
    [("late", ["second", "first"]), ("duplicate", ["first", "first", "second"])],
)
def test_event_fault_delays_or_doubles_an_event(aws: LocalAws, fault: str, delivered: list[str]) -> None:
    """A late event arrives after one that was sent later; a duplicate arrives twice; `settle` waits for both."""
    url, arn = create_queue(aws)
    rule(aws, {"source": ["fault.test"]}, Arn=arn)
    aws.faults.set([Rule(fault=fault, service="event", operation="Test", seconds=2.0)])
    entry = {"Source": "fault.test", "DetailType": "Test"}
    details = [json.dumps({"name": name}) for name in ("first", "second")]
    aws.client("events").put_events(Entries=[{**entry, "Detail": detail} for detail in details])
    aws.settle()
    aws.faults.set([])
    received = [event["detail"]["name"] for event in receive_messages(aws, url, len(delivered))]
    assert sorted(received) == sorted(delivered)
    if fault == "late":
        assert received == delivered
