"""CloudFormation stacks through boto3: creation, outputs and deletion."""

from __future__ import annotations

import json

import pytest
from aws_resources import create_endpoint_config, unique_name, wait_until_settled
from botocore.exceptions import ClientError
from cloudformation_stacks import invoke_function, stack_outputs, stack_status
from local_aws.server import LocalAws


def test_stack_creates_every_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Types that moto lacks are created and usable; unknown types are listed; outputs are resolved."""
    name = stack[0]
    assert invoke_function(aws, name) == ["hello!", "first"]
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package-group/{name}-group"
    expected = {"Group": arn, "Function": f"{name}-function", "Greeting": f"hello from {name}-function"}
    assert stack_outputs(aws, name) == expected
    group = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=f"{name}-group")
    assert group["ModelPackageGroupArn"] == arn
    resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert {"Group", "Queue", "Unknown", "Permission"} <= {item["LogicalResourceId"] for item in resources}
    alarm = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": f"{name}-function"}]
    policy = json.loads(aws.client("lambda").get_policy(FunctionName=f"{name}-function")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}


def test_deleted_stack_leaves_no_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """DeleteStack removes function, role, group, alarm and rule."""
    name = stack[0]
    aws.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        stack_status(aws, name)
    with pytest.raises(ClientError, match="Function not found"):
        invoke_function(aws, name)
    assert aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"] == []
    assert [role for role in aws.client("iam").list_roles()["Roles"] if role["RoleName"].startswith(name)] == []
    assert not aws.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]


def test_endpoint_resource_has_its_name_and_serves(aws: LocalAws) -> None:
    """EndpointName, which moto ignores, is the endpoint's name."""
    config, name = create_endpoint_config(aws), unique_name("endpoint")
    properties = {"EndpointName": name, "EndpointConfigName": config}
    template = {"Resources": {"Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}}}
    aws.client("cloudformation").create_stack(StackName=unique_name("stack"), TemplateBody=json.dumps(template))
    assert wait_until_settled(aws, name) == "InService"
