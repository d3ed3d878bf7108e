"""CloudFormation stacks through boto3: creation, updates, change sets, rollback and deletion."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from aws_resources import create_endpoint_config, unique_name, wait_until_settled
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

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


def code(aws: LocalAws, text: str) -> tuple[str, str]:
    """A function's archive in S3: bucket and key."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("index.py", f"import os\ndef handler(e, c):\n    return [os.environ['GREETING'], {text!r}]")
    s3, key = aws.client("s3"), f"{unique_name('code')}.zip"
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key=key, Body=buffer.getvalue())
    return "code", key


def parameters(**values: str) -> list[dict[str, str]]:
    """Parameters in CloudFormation's format."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def outputs(aws: LocalAws, name: str) -> dict[str, str]:
    """The stack's outputs."""
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def status(aws: LocalAws, name: str) -> str:
    """The stack's status."""
    text: str = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    return text


def call(aws: LocalAws, name: str) -> Any:
    """The response of the stack's function."""
    return json.loads(aws.client("lambda").invoke(FunctionName=f"{name}-function")["Payload"].read())


@pytest.fixture
def stack(aws: LocalAws) -> tuple[str, str, str]:
    """A stack of TEMPLATE: its name, and the location of its code."""
    name = unique_name("stack")
    bucket, key = code(aws, "first")
    aws.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=TEMPLATE,
        Parameters=parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert status(aws, name) == "CREATE_COMPLETE"
    return name, bucket, key


def test_stack_creates_every_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Types that moto lacks are created and usable; unknown types are listed; outputs are resolved."""
    name = stack[0]
    assert call(aws, name) == ["hello!", "first"]
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package-group/{name}-group"
    expected = {"Group": arn, "Function": f"{name}-function", "Greeting": f"hello from {name}-function"}
    assert outputs(aws, name) == expected
    group = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=f"{name}-group")
    assert group["ModelPackageGroupArn"] == arn
    resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert {"Group", "Queue", "Unknown", "Permission"} <= {item["LogicalResourceId"] for item in resources}
    alarm = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": f"{name}-function"}]
    policy = json.loads(aws.client("lambda").get_policy(FunctionName=f"{name}-function")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}


def test_changed_parameter_updates_dependent_resources(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Environment, policy and pattern change in place through !Ref and !Sub; no resource is replaced."""
    name, bucket, key = stack
    before = {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in resources(aws, name)}
    keep = [{"ParameterKey": parameter, "UsePreviousValue": True} for parameter in ("Bucket", "Key", "Keep")]
    aws.client("cloudformation").update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[*keep, *parameters(Greeting="bye")],
        Capabilities=["CAPABILITY_IAM"],
    )
    assert status(aws, name) == "UPDATE_COMPLETE"
    assert call(aws, name) == ["bye!", "first"]
    assert outputs(aws, name)["Greeting"] == f"bye from {name}-function"
    rule = aws.client("events").describe_rule(Name=before["Rule"])
    assert json.loads(rule["EventPattern"]) == {"source": ["bye"]}
    policy = aws.client("iam").get_role_policy(RoleName=before["Role"], PolicyName="inline")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == "s3:bye"
    assert {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in resources(aws, name)} == before
    del bucket, key


def test_changed_code_key_updates_the_function(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """A new key of the code in the template's parameters updates the function."""
    name = stack[0]
    bucket, key = code(aws, "second")
    aws.client("cloudformation").update_stack(
        StackName=name,
        TemplateBody=TEMPLATE,
        Parameters=parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert call(aws, name) == ["hello!", "second"]


def test_condition_removes_and_restores_its_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """The resource is deleted if its condition is false and created if it is true."""
    name, bucket, key = stack
    for keep in ("no", "yes"):
        aws.client("cloudformation").update_stack(
            StackName=name, TemplateBody=TEMPLATE, Parameters=parameters(Bucket=bucket, Key=key, Keep=keep),
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        there = "Queue" in {item["LogicalResourceId"] for item in resources(aws, name)}
        assert there == (keep == "yes")
        assert bool(aws.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls")) == there


def test_update_without_changes_is_refused(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """UpdateStack is refused and a change set is FAILED, both with AWS's messages."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
    same = {"StackName": name, "TemplateBody": TEMPLATE, "Parameters": parameters(Bucket=bucket, Key=key)}
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**same, Capabilities=["CAPABILITY_IAM"])
    cloudformation.create_change_set(
        **same, ChangeSetName="none", ChangeSetType="UPDATE", Capabilities=["CAPABILITY_IAM"]
    )
    described = cloudformation.describe_change_set(StackName=name, ChangeSetName="none")
    assert (described["Status"], described["Changes"]) == ("FAILED", [])
    assert "didn't contain changes" in described["StatusReason"]


def test_change_set_lists_and_applies_its_changes(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Added, modified and removed resources are listed before execution, and executing applies them."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
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
    assert call(aws, name) == ["hello!", "first"]
    cloudformation.execute_change_set(StackName=name, ChangeSetName="more")
    assert status(aws, name) == "UPDATE_COMPLETE"
    assert call(aws, name) == ["bye!", "first"]
    assert outputs(aws, name)["Greeting"].startswith("bye")


def test_change_set_creates_a_stack(aws: LocalAws) -> None:
    """The stack has its outputs afterwards."""
    cloudformation, name = aws.client("cloudformation"), unique_name("stack")
    bucket, key = code(aws, "first")
    cloudformation.create_change_set(
        StackName=name, TemplateBody=TEMPLATE, ChangeSetName="first", ChangeSetType="CREATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=parameters(Bucket=bucket, Key=key),
    )  # fmt: skip
    cloudformation.execute_change_set(StackName=name, ChangeSetName="first")
    assert status(aws, name) == "CREATE_COMPLETE"
    assert outputs(aws, name)["Function"] == f"{name}-function"
    assert call(aws, name) == ["hello!", "first"]


def test_failed_creation_is_rolled_back(aws: LocalAws) -> None:
    """If the code is missing: ROLLBACK_COMPLETE, an event that names the function, and no resource."""
    cloudformation, name = aws.client("cloudformation"), unique_name("stack")
    cloudformation.create_stack(
        StackName=name, TemplateBody=TEMPLATE, Parameters=parameters(Bucket="code", Key="nowhere.zip"),
        Capabilities=["CAPABILITY_IAM"],
    )  # fmt: skip
    assert status(aws, name) == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failure = next(event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert failure["LogicalResourceId"] == "Function"
    assert "nowhere.zip" in failure["ResourceStatusReason"]
    groups = aws.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    assert groups == []


def test_failed_update_is_rolled_back(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """The stack is unchanged, has the rollback's status, and can be updated again."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
    update = {"StackName": name, "TemplateBody": TEMPLATE, "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.update_stack(**update, Parameters=parameters(Bucket=bucket, Key="nowhere.zip", Greeting="bye"))
    assert status(aws, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert call(aws, name) == ["hello!", "first"]
    assert outputs(aws, name)["Greeting"].startswith("hello")
    cloudformation.update_stack(**update, Parameters=parameters(Bucket=bucket, Key=key, Greeting="bye"))
    assert call(aws, name) == ["bye!", "first"]


def test_deleted_stack_leaves_no_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """DeleteStack removes function, role, group, alarm and rule."""
    name = stack[0]
    aws.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        status(aws, name)
    with pytest.raises(ClientError, match="Function not found"):
        call(aws, name)
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


def resources(aws: LocalAws, name: str) -> list[dict[str, Any]]:
    """The stack's resources."""
    found: list[dict[str, Any]] = aws.client("cloudformation").describe_stack_resources(StackName=name)[
        "StackResources"
    ]
    return found


SETTINGS = """
Parameters:
  Days: {Type: String, Default: "30"}
Conditions:
  Expires: !Not [!Equals [!Ref Days, "0"]]
Resources:
  First:  # refers to the bucket before the policy's turn; the bucket's DependsOn must hold nevertheless
    Type: AWS::SQS::Queue
    Properties: {Tags: [{Key: bucket, Value: !Ref Bucket}]}
  Logs: {Type: "AWS::S3::Bucket"}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Logs
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: logging.s3.amazonaws.com}
            Action: s3:PutObject
            Resource: !Sub "${Logs.Arn}/*"
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Policy
    Properties:
      LoggingConfiguration: {DestinationBucketName: !Ref Logs}
      OwnershipControls: {Rules: [{ObjectOwnership: BucketOwnerEnforced}]}
      LifecycleConfiguration:
        Rules:
          - {Id: always, Status: Enabled, AbortIncompleteMultipartUpload: {DaysAfterInitiation: 7}}
          - !If [Expires, {Id: expire, Status: Enabled, Prefix: old/, ExpirationInDays: !Ref Days}, !Ref "AWS::NoValue"]
  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties: {DashboardName: !Ref "AWS::StackName", DashboardBody: !Sub '{"widgets": [], "days": "${Days}"}'}
Outputs:
  Bucket: {Value: !Ref Bucket}
"""


def test_bucket_settings_and_dashboard_follow_the_template(aws: LocalAws) -> None:
    """Lifecycle, logging and ownership are S3's own settings; AWS::NoValue removes a rule of a list."""
    name, cloudformation, s3 = unique_name("stack"), aws.client("cloudformation"), aws.client("s3")
    cloudformation.create_stack(StackName=name, TemplateBody=SETTINGS)
    (output,) = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    bucket = output["OutputValue"]

    def rules() -> dict[str, Any]:
        answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        return {rule["ID"]: rule for rule in answer["Rules"]}

    assert rules()["expire"]["Expiration"] == {"Days": 30}
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetPrefix"] == ""
    (ownership,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
    parameters = [{"ParameterKey": "Days", "ParameterValue": "0"}]
    cloudformation.update_stack(StackName=name, TemplateBody=SETTINGS, Parameters=parameters)
    assert set(rules()) == {"always"}
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    assert body == {"widgets": [], "days": "0"}
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")


def test_log_bucket_that_does_not_admit_the_service_is_refused(aws: LocalAws) -> None:
    """S3 refuses logging to a bucket whose policy does not let it write there."""
    name = unique_name("stack")
    body = SETTINGS.replace("logging.s3.amazonaws.com", "lambda.amazonaws.com")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "provide the necessary permissions to the logging service" in stack["StackStatusReason"]


def test_removed_resources_are_deleted_before_what_they_refer_to(aws: LocalAws) -> None:
    """IAM refuses to delete a policy that is attached: the role goes first."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    kept = "Resources:\n  Queue: {Type: AWS::SQS::Queue}\n"
    body = kept + "".join(
        f"""
  Policy{number}:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Action: "sqs:SendMessage", Resource: "*"}}]
  Role{number}:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Policy{number}]
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: "sts:AssumeRole"}}]
"""
        for number in range(5)
    )
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    cloudformation.update_stack(StackName=name, TemplateBody=kept)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack.get("StackStatusReason")
    left = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert [each["LogicalResourceId"] for each in left] == ["Queue"]


def test_alias_is_pointed_at_another_key(aws: LocalAws) -> None:
    """And stays one alias."""
    name, cloudformation, kms = unique_name("stack"), aws.client("cloudformation"), aws.client("kms")
    body = """
Resources:
  One: {Type: AWS::KMS::Key, Properties: {KeyPolicy: &policy {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: "kms:*", Resource: "*"}]}}}
  Two: {Type: AWS::KMS::Key, Properties: {KeyPolicy: *policy}}
  Alias: {Type: AWS::KMS::Alias, Properties: {AliasName: !Sub "alias/${AWS::StackName}", TargetKeyId: !Ref One}}
"""  # noqa: E501 - the anchor needs its mapping on one line
    cloudformation.create_stack(StackName=name, TemplateBody=body)
    cloudformation.update_stack(
        StackName=name, TemplateBody=body.replace("TargetKeyId: !Ref One", "TargetKeyId: !Ref Two")
    )
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    (alias,) = [each for each in kms.list_aliases()["Aliases"] if each["AliasName"] == f"alias/{name}"]
    assert alias["TargetKeyId"] == ids["Two"]
