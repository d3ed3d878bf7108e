"""The fixture of the tests that call AWS through moto."""

from __future__ import annotations

import pytest
from deploy_model import access

from ml.aws.session import client
from tests.harness.aws import moto_server
from tests.infra.fake_access import ARCHIVE


@pytest.fixture
def aws(server: str, monkeypatch: pytest.MonkeyPatch) -> access.Aws:
    """A lake with a model in it, a package group, a topic with a queue behind it, and the function's environment."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")  # Lambda sets both
    moto_server.make_bucket("lake")
    client("s3").put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    client("s3").put_object(Bucket="lake", Key="executions/7/model.tar.gz", Body=ARCHIVE)
    client("sagemaker").create_model_package_group(ModelPackageGroupName="fraudops-model")
    topic = client("sns").create_topic(Name="t")["TopicArn"]
    queue = client("sqs").create_queue(QueueName="notifications")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for name, value in {
        "BUCKET": "lake",
        "PACKAGE_GROUP": "fraudops-model",
        "ENDPOINT_ROLE_ARN": "arn:aws:iam::123456789012:role/endpoint",
        "TOPIC_ARN": topic,
        "ROLLBACK_ALARMS": "errors,latency",
    }.items():
        monkeypatch.setenv(name, value)
    return access.Aws("lake", topic)
