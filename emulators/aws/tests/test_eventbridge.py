"""Events as AWS shapes them: what sets them off, which rules they match, and that they arrive at least once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from aws_resources import configuration, function, messages, queue, settle, unique
from local_aws.server import LocalCloud

SPECIFICATION = {
    "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/a.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


def rule(cloud: LocalCloud, pattern: dict[str, Any], **target: Any) -> str:
    """A rule on the default bus with one target."""
    events, name = cloud.client("events"), unique("rule")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "one", **target}])
    return arn


def log(cloud: LocalCloud) -> list[dict[str, Any]]:
    """Every event that was on the bus, with its deliveries."""
    cloud.flush()
    return [json.loads(line) for line in (cloud.folder / "logs/events.jsonl").read_text().splitlines()]


def package(cloud: LocalCloud, group: str, **options: Any) -> str:
    """A package in the group, which is made if need be."""
    sagemaker = cloud.client("sagemaker")
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    made = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **options)
    arn: str = made["ModelPackageArn"]
    return arn


def test_an_approval_reaches_a_queue_in_awss_shape(cloud: LocalCloud) -> None:
    """A change to Approved matches a rule on it; the event has the package's own members."""
    url, arn = queue(cloud)
    group = unique("group")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    rule(cloud, pattern, Arn=arn)
    packaged = package(cloud, group, CustomerMetadataProperties={"commit": "abc"})
    cloud.client("sagemaker").update_model_package(ModelPackageArn=packaged, ModelApprovalStatus="Approved")
    event = messages(cloud, url, 1)[0]
    assert event["resources"] == [packaged]
    assert (event["version"], event["source"], event["account"]) == ("0", "aws.sagemaker", "123456789012")
    detail = event["detail"]
    assert (detail["ModelPackageArn"], detail["ModelPackageVersion"]) == (packaged, 1)
    assert detail["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == "s3://models/a.tar.gz"


def test_only_a_change_of_the_approval_is_an_event(cloud: LocalCloud) -> None:
    """Creation and each change emit; Approved to Approved, and other changes, do not."""
    group, sagemaker = unique("group"), cloud.client("sagemaker")
    arn = package(cloud, group)
    for status in ("Approved", "Approved", "PendingManualApproval", "Approved"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
    sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription="why")
    changes = [line["event"] for line in log(cloud) if line["event"]["resources"] == [arn]]
    found = {event["id"]: event["detail"]["ModelApprovalStatus"] for event in changes}
    assert Counter(found.values())["PendingManualApproval"] >= 2
    assert set(found.values()) == {"PendingManualApproval", "Approved"}


def test_some_events_come_twice_in_both_ways(cloud: LocalCloud) -> None:
    """Every third event is doubled: the same event again, and then a second event for the same change."""
    group = unique("group")
    for _ in range(12):
        package(cloud, group)
    events = [line["event"] for line in log(cloud) if line["event"]["detail"].get("ModelPackageGroupName") == group]
    per_package = Counter(event["resources"][0] for event in events)
    assert sorted(per_package.values()) == [1] * 8 + [2] * 4
    doubled = [arn for arn, count in per_package.items() if count == 2]
    ids = [len({event["id"] for event in events if event["resources"] == [arn]}) for arn in doubled]
    assert sorted(ids) == [1, 1, 2, 2]


def test_a_function_is_called_only_if_its_policy_lets_the_rule(cloud: LocalCloud) -> None:
    """Without lambda:AddPermission the delivery fails and lands in the target's dead letter queue."""
    url, dead = queue(cloud)
    done, done_arn = queue(cloud)
    del done_arn
    code = f"""
        import boto3, json
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl="{done}", MessageBody=json.dumps(event))
        """
    name, group = function(cloud, code, Timeout=30), unique("group")
    target = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    pattern = {"detail": {"ModelPackageGroupName": [group]}}
    arn = rule(cloud, pattern, Arn=target, DeadLetterConfig={"Arn": dead})
    refused = package(cloud, group)
    assert messages(cloud, url, 1)[0]["resources"] == [refused]
    failures = [d for line in log(cloud) for d in line["deliveries"] if d["target"] == target]
    assert {d["status"] for d in failures} == {"failed"}
    cloud.client("lambda").add_permission(
        FunctionName=name,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=arn,
    )
    allowed = package(cloud, group)
    assert messages(cloud, done, 1)[0]["resources"] == [allowed]


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
def test_a_target_gets_what_its_input_says(cloud: LocalCloud, target: dict[str, Any], expected: Any) -> None:
    """Input, InputPath and InputTransformer make the message, for events of PutEvents too."""
    url, arn = queue(cloud)
    source = unique("source")
    rule(cloud, {"source": [source]}, Arn=arn, **target)
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"a": [1, 2], "b": "x"})}
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert messages(cloud, url, 1) == [expected]


def test_a_malformed_event_is_refused_by_itself(cloud: LocalCloud) -> None:
    """PutEvents answers for each entry: an id or an error."""
    entries = [{"Source": "s", "DetailType": "t", "Detail": "{"}, {"Source": "s", "DetailType": "t", "Detail": "{}"}]
    answer = cloud.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == ["MalformedDetail", None]


def test_a_disabled_rule_and_another_pattern_get_nothing(cloud: LocalCloud) -> None:
    """Only enabled rules whose pattern matches are delivered to."""
    url, arn = queue(cloud)
    source = unique("source")
    name = rule(cloud, {"source": [source]}, Arn=arn).rsplit("/", 1)[-1]
    cloud.client("events").disable_rule(Name=name)
    rule(cloud, {"source": [source], "detail": {"a": [{"numeric": [">", 5]}]}}, Arn=arn)
    for value in (1, 9):
        entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"a": value})}
        cloud.client("events").put_events(Entries=[entry])
    assert [event["detail"]["a"] for event in messages(cloud, url, 1)] == [9]


def test_an_endpoint_tells_its_changes(cloud: LocalCloud) -> None:
    """Creation, an update that fails and its rollback, and deletion are events with SageMaker's capital statuses."""
    sagemaker, name = cloud.client("sagemaker"), unique("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud))
    assert settle(cloud, name) == "InService"
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud, BREAK="1"))
    assert settle(cloud, name) == "InService"
    sagemaker.delete_endpoint(EndpointName=name)
    events = [line["event"] for line in log(cloud) if line["event"]["detail"].get("EndpointName") == name]
    statuses = {(event["detail-type"], event["detail"]["EndpointStatus"]) for event in events}
    kind = "SageMaker Endpoint State Change"
    expected = {"CREATING", "IN_SERVICE", "UPDATING", "ROLLING_BACK", "DELETING"}
    assert {status for detail_type, status in statuses if detail_type == kind} == expected
    deployments = [event for event in events if event["detail-type"] == "SageMaker Endpoint Deployment State Change"]
    assert all("PendingDeploymentSummary" in event["detail"] for event in deployments)
    assert any("ping health check" in event["detail"].get("FailureReason", "") for event in deployments)
