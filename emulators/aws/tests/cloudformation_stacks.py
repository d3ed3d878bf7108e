"""Stacks for tests of CloudFormation: the template of a function and what belongs to it, and what a stack has."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws

FUNCTION_STACK = """
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


def upload_code(aws: LocalAws, text: str) -> tuple[str, str]:
    """A function's archive in S3: bucket and key."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("index.py", f"import os\ndef handler(e, c):\n    return [os.environ['GREETING'], {text!r}]")
    s3, key = aws.client("s3"), f"{unique_name('code')}.zip"
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key=key, Body=buffer.getvalue())
    return "code", key


def stack_parameters(**values: str) -> list[dict[str, str]]:
    """Parameters in CloudFormation's format."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def stack_outputs(aws: LocalAws, name: str) -> dict[str, str]:
    """The stack's outputs."""
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def stack_resources(aws: LocalAws, name: str) -> list[dict[str, Any]]:
    """The stack's resources."""
    found: list[dict[str, Any]] = aws.client("cloudformation").describe_stack_resources(StackName=name)[
        "StackResources"
    ]
    return found


def stack_status(aws: LocalAws, name: str) -> str:
    """The stack's status."""
    text: str = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    return text


def invoke_function(aws: LocalAws, name: str) -> Any:
    """The response of the stack's function."""
    return json.loads(aws.client("lambda").invoke(FunctionName=f"{name}-function")["Payload"].read())
