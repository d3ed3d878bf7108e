"""infra/platform.yaml as a stack on the AWS emulator."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws


def _zip(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()


CODE = _zip("def handler(event, context):\n    return None")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An emulator in this process."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as running:
        yield running


def parameters(**values: str) -> list[dict[str, str]]:
    """Parameters in CloudFormation's form."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def describe(aws: LocalAws, name: str) -> dict[str, Any]:
    """The stack's description."""
    stack: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return stack


def test_platform_template_is_created_unchanged_and_updated(aws: LocalAws, repository_root: Path) -> None:
    """infra/platform.yaml deploys; the same template again changes nothing; a new parameter adds its resource."""
    template = (repository_root / "infra/platform.yaml").read_text()
    cloudformation, name = aws.client("cloudformation"), "platform"
    aws.client("s3").create_bucket(Bucket="code")
    aws.client("s3").put_object(Bucket="code", Key="platform.zip", Body=CODE)
    bucket, key = "code", "platform.zip"
    given = {"StackName": name, "TemplateBody": template, "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.create_stack(**given, Parameters=parameters(CodeBucket=bucket, CodeKey=key))
    assert describe(aws, name)["StackStatus"] == "CREATE_COMPLETE"
    found = {item["OutputKey"]: item["OutputValue"] for item in describe(aws, name)["Outputs"]}
    assert {"Bucket", "ExecutionRoleArn", "PackageGroup", "DeployFunction", "TopicArn"} <= set(found)
    aws.client("s3").put_object(Bucket=found["Bucket"], Key="a", Body=b"1")
    assert aws.client("s3").get_bucket_versioning(Bucket=found["Bucket"])["Status"] == "Enabled"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**given, Parameters=parameters(CodeBucket=bucket, CodeKey=key))
    email = parameters(CodeBucket=bucket, CodeKey=key, NotificationEmail="a@example.org")
    cloudformation.update_stack(**given, Parameters=email)
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert "NotificationSubscription" in {item["LogicalResourceId"] for item in resources}
