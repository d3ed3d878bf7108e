"""infra/platform.yaml as a stack on the AWS emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from tests.harness.platform.stacks import create, describe, physical, request, store_code
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An emulator with the function's code."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as running:
        store_code(running)
        yield running


def test_platform_template_is_created_unchanged_and_updated(aws: LocalAws, repository_root: Path) -> None:
    """infra/platform.yaml deploys; the same template again changes nothing; a new parameter adds its resource."""
    name, cloudformation = "platform", aws.client("cloudformation")
    found = create(aws, repository_root, name, EndpointName="platform")
    assert {"Bucket", "CountingRoleArn", "ExecutionRoleArn", "PackageGroup", "DeployFunction", "TopicArn"} == set(found)
    aws.client("s3").put_object(Bucket=found["Bucket"], Key="a", Body=b"1")
    assert aws.client("s3").get_bucket_versioning(Bucket=found["Bucket"])["Status"] == "Enabled"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**request(repository_root, name, EndpointName="platform"))
    notified = request(repository_root, name, EndpointName="platform", NotificationEmail="a@example.org")
    cloudformation.update_stack(**notified)
    assert "NotificationSubscription" in physical(aws, name)


def test_alarms_and_dashboard_are_created(aws: LocalAws, repository_root: Path) -> None:
    """CloudWatch has the alarms with their dimensions, and a dashboard that names them."""
    create(aws, repository_root, "watched", EndpointName="watched")
    cloudwatch = aws.client("cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    ids = physical(aws, "watched")
    errors, checks = alarms[ids["EndpointErrorsAlarm"]], alarms[ids["NoDriftCheckAlarm"]]
    assert {item["Name"]: item["Value"] for item in errors["Dimensions"]} == {
        "EndpointName": "watched",
        "VariantName": "AllTraffic",
    }
    assert (checks["TreatMissingData"], checks["Period"], checks["EvaluationPeriods"]) == ("breaching", 86_400, 2)
    body = json.loads(cloudwatch.get_dashboard(DashboardName="watched-us-east-1")["DashboardBody"])
    shown = body["widgets"][0]["properties"]["alarms"]
    assert set(shown) == {alarm["AlarmArn"] for name, alarm in alarms.items() if name in ids.values()}


def test_failed_step_is_published_to_the_topic(aws: LocalAws, repository_root: Path) -> None:
    """A failed job of this stack's pipeline is reported with its reason; a failed gate and other pipelines are not."""
    found = create(aws, repository_root, "failing", EndpointName="failing")
    sqs, account = aws.client("sqs"), found["TopicArn"].split(":")[4]
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=found["TopicArn"], Protocol="sqs", Endpoint=queue)

    def event(pipeline: str, kind: str) -> dict[str, str]:
        detail = {
            "pipelineArn": f"arn:aws:sagemaker:us-east-1:{account}:pipeline/{pipeline}",
            "stepName": f"{pipeline} {kind}",
            "stepType": kind,
            "currentStepStatus": "Failed",
            "failureReason": "ClientError: AlgorithmError: out of memory, exit code: 137",
        }
        name = "SageMaker Model Building Pipeline Execution Step Status Change"
        return {"Source": "aws.sagemaker", "DetailType": name, "Detail": json.dumps(detail)}

    entries = [
        event("failing-training", "Fail"),
        event("other-training", "Training"),
        event("failing-training", "Training"),
    ]
    aws.client("events").put_events(Entries=entries)

    def received() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        return [json.loads(json.loads(item["Body"])["Message"])["detail"]["stepName"] for item in messages]

    wait_until(received)
    assert aws.flush()
    assert received() == ["failing-training Training"]


def test_lake_is_logged_and_objects_expire_by_prefix(aws: LocalAws, repository_root: Path) -> None:
    """Requests are logged to the log bucket; retention follows the parameters, and 0 has no rule."""
    found = create(
        aws, repository_root, "kept", EndpointName="kept", CaptureRetentionDays="180", InfrequentAccessDays="90"
    )
    s3, lake, logs = aws.client("s3"), found["Bucket"], physical(aws, "kept")["LakeLogs"]
    assert s3.get_bucket_logging(Bucket=lake)["LoggingEnabled"] == {"TargetBucket": logs, "TargetPrefix": "lake/"}
    s3.put_object(Bucket=lake, Key="raw/a", Body=b"1")
    assert s3.list_objects_v2(Bucket=logs, Prefix="lake/")["KeyCount"] > 0
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=lake)["Rules"]}
    assert rules["expire-captured-traffic"]["Expiration"] == {"Days": 180}
    assert rules["expire-captured-traffic"]["Prefix"] == "capture/"
    for kept in ("window-rows", "jobs"):  # rows of captured traffic in another place
        rule = next(rule for rule in rules.values() if rule["Prefix"] == f"monitoring/kept/{kept}/")
        assert rule["Expiration"] == {"Days": 180}
    assert rules["move-old-transactions"]["Transitions"] == [{"Days": 90, "StorageClass": "STANDARD_IA"}]
    assert "expire-drift-checks" not in rules
    without = request(repository_root, "kept", EndpointName="kept", CaptureRetentionDays="0")
    aws.client("cloudformation").update_stack(**without)
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=lake)["Rules"]}
    assert set(rules) == {"drop-what-was-replaced-or-never-finished"}


def test_customer_key_encrypts_everything_that_the_stack_stores(aws: LocalAws, repository_root: Path) -> None:
    """One parameter adds a rotated key and gives it to bucket, logs, queue, topic, function and roles."""
    plain = {"EndpointName": "secret", "Encryption": "aws", "EndpointLogGroup": "create", "JobLogGroups": "create"}
    before = create(aws, repository_root, "secret", **plain)
    assert "KeyArn" not in before
    aws.client("cloudformation").update_stack(
        **request(repository_root, "secret", **plain | {"Encryption": "customer-key"})
    )
    outputs = {item["OutputKey"]: item["OutputValue"] for item in describe(aws, "secret")["Outputs"]}
    key, ids = outputs["KeyArn"], physical(aws, "secret")
    assert outputs["Bucket"] == before["Bucket"]
    kms = aws.client("kms")
    assert kms.describe_key(KeyId="alias/secret")["KeyMetadata"]["Arn"] == key
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "fraudops-stack", "TagValue": "secret"}]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    services = [entry["Principal"].get("Service") for entry in policy["Statement"]]
    assert services == [None, "logs.us-east-1.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"]
    (rule,) = aws.client("s3").get_bucket_encryption(Bucket=outputs["Bucket"])["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    groups = {item["logGroupName"]: item for item in aws.client("logs").describe_log_groups()["logGroups"]}
    for name in ("/aws/lambda/secret-deploy", "/aws/sagemaker/Endpoints/secret", "/aws/sagemaker/TrainingJobs"):
        assert (groups[name]["kmsKeyId"], groups[name]["retentionInDays"]) == (key, 365)
    queue = aws.client("sqs").get_queue_attributes(QueueUrl=ids["DeadLetters"], AttributeNames=["All"])["Attributes"]
    assert queue["KmsMasterKeyId"] == key
    assert aws.client("sns").get_topic_attributes(TopicArn=outputs["TopicArn"])["Attributes"]["KmsMasterKeyId"] == key
    function = aws.client("lambda").get_function_configuration(FunctionName="secret-deploy")
    assert function["Environment"]["Variables"]["KEY_ARN"] == key
    iam = aws.client("iam")
    for role in ("CountingRole", "ExecutionRole", "EndpointRole", "DeployRole"):
        document = iam.get_role_policy(RoleName=ids[role], PolicyName="use-key")["PolicyDocument"]
        assert {entry["Resource"] for entry in document["Statement"]} == {key}
