"""Settings of buckets and dashboards in a stack: lifecycle, logging and ownership follow the template."""

from __future__ import annotations

import json
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws

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
