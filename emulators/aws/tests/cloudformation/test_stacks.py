"""Stacks that become what their template says, through boto3: made, changed, previewed, rolled back, deleted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from aws_resources import configuration, settle, unique
from botocore.exceptions import ClientError
from local_aws.server import LocalCloud

TEMPLATE = """
Parameters:
  Bucket: {Type: String}
  Key: {Type: String}
  Greeting: {Type: String, Default: hello}
  Keep: {Type: String, Default: "yes"}
Conditions:
  Keeps: !Equals [!Ref Keep, "yes"]
Resources:
  Group:
    Type: AWS::SageMaker::ModelPackageGroup
    Properties: {ModelPackageGroupName: !Sub "${AWS::StackName}-group"}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: inline
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: !Sub "s3:${Greeting}", Resource: "*"}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-function"
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: 10
      Code: {S3Bucket: !Ref Bucket, S3Key: !Ref Key}
      Environment: {Variables: {GREETING: !Sub "${Greeting}!"}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [!Ref Greeting]}
      Targets: [{Id: one, Arn: !GetAtt Function.Arn}]
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Function
      Principal: events.amazonaws.com
      SourceArn: !GetAtt Rule.Arn
  Queue:
    Type: AWS::SQS::Queue
    Condition: Keeps
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "/own/${AWS::StackName}", RetentionInDays: 7}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      MetricName: Errors
      Namespace: AWS/Lambda
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 0
      ComparisonOperator: GreaterThanThreshold
      Dimensions: [{Name: FunctionName, Value: !Ref Function}]
  Unknown:
    Type: AWS::Budgets::Budget
    Properties: {Budget: {BudgetType: COST, TimeUnit: MONTHLY}}
Outputs:
  Group: {Value: !GetAtt Group.ModelPackageGroupArn}
  Function: {Value: !Ref Function}
  Greeting: {Value: !Sub "${Greeting} from ${Function}"}
"""


def code(cloud: LocalCloud, text: str) -> tuple[str, str]:
    """A function's archive in S3: bucket and key."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("index.py", f"import os\ndef handler(e, c):\n    return [os.environ['GREETING'], {text!r}]")
    s3, key = cloud.client("s3"), f"{unique('code')}.zip"
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key=key, Body=buffer.getvalue())
    return "code", key


def parameters(**values: str) -> list[dict[str, str]]:
    """Parameters as CloudFormation wants them."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def outputs(cloud: LocalCloud, name: str) -> dict[str, str]:
    """The stack's outputs."""
    stack = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def status(cloud: LocalCloud, name: str) -> str:
    """The stack's status."""
    text: str = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    return text


def call(cloud: LocalCloud, name: str) -> Any:
    """What the stack's function answers."""
    return json.loads(cloud.client("lambda").invoke(FunctionName=f"{name}-function")["Payload"].read())


@pytest.fixture
def stack(cloud: LocalCloud) -> tuple[str, str, str]:
    """A stack of TEMPLATE: its name, and where its code is."""
    name = unique("stack")
    bucket, key = code(cloud, "first")
    cloud.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=TEMPLATE,
        Parameters=parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert status(cloud, name) == "CREATE_COMPLETE"
    return name, bucket, key


def test_everything_in_a_template_is_really_there(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """Types that moto skips exist and can be used; what nobody knows is at least listed; outputs are right."""
    name = stack[0]
    assert call(cloud, name) == ["hello!", "first"]
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package-group/{name}-group"
    expected = {"Group": arn, "Function": f"{name}-function", "Greeting": f"hello from {name}-function"}
    assert outputs(cloud, name) == expected
    group = cloud.client("sagemaker").describe_model_package_group(ModelPackageGroupName=f"{name}-group")
    assert group["ModelPackageGroupArn"] == arn
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert {"Group", "Queue", "Unknown", "Permission"} <= {item["LogicalResourceId"] for item in resources}
    alarm = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": f"{name}-function"}]
    policy = json.loads(cloud.client("lambda").get_policy(FunctionName=f"{name}-function")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}


def test_a_change_of_a_parameter_alone_changes_what_depends_on_it(
    cloud: LocalCloud, stack: tuple[str, str, str]
) -> None:
    """Through !Ref and !Sub, in place: environment, policy and pattern follow, and nothing is made anew."""
    name, bucket, key = stack
    before = {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in resources(cloud, name)}
    keep = [{"ParameterKey": parameter, "UsePreviousValue": True} for parameter in ("Bucket", "Key", "Keep")]
    cloud.client("cloudformation").update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[*keep, *parameters(Greeting="bye")],
        Capabilities=["CAPABILITY_IAM"],
    )
    assert status(cloud, name) == "UPDATE_COMPLETE"
    assert call(cloud, name) == ["bye!", "first"]
    assert outputs(cloud, name)["Greeting"] == f"bye from {name}-function"
    rule = cloud.client("events").describe_rule(Name=before["Rule"])
    assert json.loads(rule["EventPattern"]) == {"source": ["bye"]}
    policy = cloud.client("iam").get_role_policy(RoleName=before["Role"], PolicyName="inline")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == "s3:bye"
    assert {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in resources(cloud, name)} == before
    del bucket, key


def test_new_code_is_what_runs(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """A new key of the code in the template's parameters updates the function."""
    name = stack[0]
    bucket, key = code(cloud, "second")
    cloud.client("cloudformation").update_stack(
        StackName=name,
        TemplateBody=TEMPLATE,
        Parameters=parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert call(cloud, name) == ["hello!", "second"]


def test_a_condition_that_no_longer_holds_removes_its_resource(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """And one that holds again makes it."""
    name, bucket, key = stack
    for keep in ("no", "yes"):
        cloud.client("cloudformation").update_stack(
            StackName=name, TemplateBody=TEMPLATE, Parameters=parameters(Bucket=bucket, Key=key, Keep=keep),
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        there = "Queue" in {item["LogicalResourceId"] for item in resources(cloud, name)}
        assert there == (keep == "yes")
        assert bool(cloud.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls")) == there


def test_nothing_to_do_is_said(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """UpdateStack refuses, a change set is made and FAILED, both in AWS's words."""
    name, bucket, key = stack
    cloudformation = cloud.client("cloudformation")
    same = {"StackName": name, "TemplateBody": TEMPLATE, "Parameters": parameters(Bucket=bucket, Key=key)}
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**same, Capabilities=["CAPABILITY_IAM"])
    cloudformation.create_change_set(
        **same, ChangeSetName="none", ChangeSetType="UPDATE", Capabilities=["CAPABILITY_IAM"]
    )
    described = cloudformation.describe_change_set(StackName=name, ChangeSetName="none")
    assert (described["Status"], described["Changes"]) == ("FAILED", [])
    assert "didn't contain changes" in described["StatusReason"]


def test_a_change_set_shows_what_it_will_do_and_does_it(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """Made, changed and removed resources are listed before anything happens, and executing it does that."""
    name, bucket, key = stack
    cloudformation = cloud.client("cloudformation")
    template = TEMPLATE.replace("AWS::Budgets::Budget", "AWS::SNS::Topic").replace(
        "Properties: {Budget: {BudgetType: COST, TimeUnit: MONTHLY}}", "Properties: {DisplayName: new}"
    )
    cloudformation.create_change_set(
        StackName=name, TemplateBody=template, ChangeSetName="more", ChangeSetType="UPDATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=parameters(Bucket=bucket, Key=key, Greeting="bye", Keep="no"),
    )  # fmt: skip
    changes = cloudformation.describe_change_set(StackName=name, ChangeSetName="more")["Changes"]
    found = {(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in changes}
    assert found == {
        ("Modify", "Role"),
        ("Modify", "Function"),
        ("Modify", "Rule"),
        ("Modify", "Unknown"),
        ("Remove", "Queue"),
    }
    assert call(cloud, name) == ["hello!", "first"]
    cloudformation.execute_change_set(StackName=name, ChangeSetName="more")
    assert status(cloud, name) == "UPDATE_COMPLETE"
    assert call(cloud, name) == ["bye!", "first"]
    assert outputs(cloud, name)["Greeting"].startswith("bye")


def test_a_change_set_can_create_a_stack(cloud: LocalCloud) -> None:
    """Its outputs are there afterwards."""
    cloudformation, name = cloud.client("cloudformation"), unique("stack")
    bucket, key = code(cloud, "first")
    cloudformation.create_change_set(
        StackName=name, TemplateBody=TEMPLATE, ChangeSetName="first", ChangeSetType="CREATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=parameters(Bucket=bucket, Key=key),
    )  # fmt: skip
    cloudformation.execute_change_set(StackName=name, ChangeSetName="first")
    assert status(cloud, name) == "CREATE_COMPLETE"
    assert outputs(cloud, name)["Function"] == f"{name}-function"
    assert call(cloud, name) == ["hello!", "first"]


def test_a_stack_that_cannot_be_made_is_rolled_back_with_its_reason(cloud: LocalCloud) -> None:
    """The code is not there: ROLLBACK_COMPLETE, an event that names the function, and nothing left."""
    cloudformation, name = cloud.client("cloudformation"), unique("stack")
    cloudformation.create_stack(
        StackName=name, TemplateBody=TEMPLATE, Parameters=parameters(Bucket="code", Key="nowhere.zip"),
        Capabilities=["CAPABILITY_IAM"],
    )  # fmt: skip
    assert status(cloud, name) == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failure = next(event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert failure["LogicalResourceId"] == "Function"
    assert "nowhere.zip" in failure["ResourceStatusReason"]
    groups = cloud.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    assert groups == []


def test_an_update_that_fails_is_rolled_back(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """The stack is as it was, says so, and can be updated again."""
    name, bucket, key = stack
    cloudformation = cloud.client("cloudformation")
    update = {"StackName": name, "TemplateBody": TEMPLATE, "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.update_stack(**update, Parameters=parameters(Bucket=bucket, Key="nowhere.zip", Greeting="bye"))
    assert status(cloud, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert call(cloud, name) == ["hello!", "first"]
    assert outputs(cloud, name)["Greeting"].startswith("hello")
    cloudformation.update_stack(**update, Parameters=parameters(Bucket=bucket, Key=key, Greeting="bye"))
    assert call(cloud, name) == ["bye!", "first"]


def test_a_stack_goes_with_everything_it_made(cloud: LocalCloud, stack: tuple[str, str, str]) -> None:
    """DeleteStack removes function, role, group, alarm and rule."""
    name = stack[0]
    cloud.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        status(cloud, name)
    with pytest.raises(ClientError, match="Function not found"):
        call(cloud, name)
    assert cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"] == []
    assert [role for role in cloud.client("iam").list_roles()["Roles"] if role["RoleName"].startswith(name)] == []
    assert not cloud.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]


def test_an_endpoint_in_a_template_has_its_own_name_and_answers(cloud: LocalCloud) -> None:
    """EndpointName, which moto ignores, is the endpoint's name."""
    config, name = configuration(cloud), unique("endpoint")
    properties = {"EndpointName": name, "EndpointConfigName": config}
    template = {"Resources": {"Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}}}
    cloud.client("cloudformation").create_stack(StackName=unique("stack"), TemplateBody=json.dumps(template))
    assert settle(cloud, name) == "InService"


def test_the_platforms_template_deploys_and_bootstrap_repeats_itself(cloud: LocalCloud, repository_root: Path) -> None:
    """infra/platform.yaml is made once, is unchanged the second time, and the function in it can be called."""
    template = (repository_root / "infra/platform.yaml").read_text()
    cloudformation, name = cloud.client("cloudformation"), unique("platform")
    bucket, key = code(cloud, "platform")
    given = {"StackName": name, "TemplateBody": template, "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.create_stack(**given, Parameters=parameters(CodeBucket=bucket, CodeKey=key))
    assert status(cloud, name) == "CREATE_COMPLETE"
    found = outputs(cloud, name)
    assert {"Bucket", "ExecutionRoleArn", "PackageGroup", "DeployFunction", "TopicArn"} <= set(found)
    cloud.client("s3").put_object(Bucket=found["Bucket"], Key="a", Body=b"1")
    assert cloud.client("s3").get_bucket_versioning(Bucket=found["Bucket"])["Status"] == "Enabled"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**given, Parameters=parameters(CodeBucket=bucket, CodeKey=key))
    email = parameters(CodeBucket=bucket, CodeKey=key, NotificationEmail="a@example.org")
    cloudformation.update_stack(**given, Parameters=email)
    assert "NotificationSubscription" in {item["LogicalResourceId"] for item in resources(cloud, name)}


def resources(cloud: LocalCloud, name: str) -> list[dict[str, Any]]:
    """The stack's resources."""
    found: list[dict[str, Any]] = cloud.client("cloudformation").describe_stack_resources(StackName=name)[
        "StackResources"
    ]
    return found
