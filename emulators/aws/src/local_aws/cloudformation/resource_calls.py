"""The API calls by which CloudFormation creates, updates and deletes a resource, for their authorization.

CloudFormation makes them with the permissions of its caller or of the stack's service role. Source: the permissions of
the create, update and delete handlers in the schemas of the CloudFormation registry, limited to the calls that the
given properties need. Makes no call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.cloudformation import iam_resource_calls
from local_aws.cloudformation.resource_change import ApiCall, Calls, Change

_BUCKET_SETTINGS = {
    "BucketEncryption": "PutBucketEncryption",
    "LifecycleConfiguration": "PutBucketLifecycleConfiguration",
    "LoggingConfiguration": "PutBucketLogging",
    "NotificationConfiguration": "PutBucketNotificationConfiguration",
    "OwnershipControls": "PutBucketOwnershipControls",
    "PublicAccessBlockConfiguration": "PutPublicAccessBlock",
    "Tags": "PutBucketTagging",
    "VersioningConfiguration": "PutBucketVersioning",
}


def _bucket(change: Change) -> Iterable[ApiCall]:
    bucket = {"Bucket": change.name}
    if change.deletes:
        yield "s3:DeleteBucket", bucket
        return
    if change.creates:
        yield "s3:CreateBucket", bucket
    for name, operation in _BUCKET_SETTINGS.items():
        if change.sets(name):
            yield f"s3:{operation}", bucket


def _bucket_policy(change: Change) -> Iterable[ApiCall]:
    bucket = {"Bucket": change.properties["Bucket"]}
    yield "s3:GetBucketPolicy", bucket
    yield ("s3:DeleteBucketPolicy" if change.deletes else "s3:PutBucketPolicy"), bucket


def _function(change: Change) -> Iterable[ApiCall]:
    function, properties = {"FunctionName": change.name}, change.properties
    if change.deletes:
        yield "lambda:DeleteFunction", function
        return
    code, role = {"Code": properties["Code"]}, {"Role": properties["Role"]}
    if change.creates:
        yield "lambda:CreateFunction", {**function, **code, **role}
    if not change.creates and change.sets("Code"):
        yield "lambda:UpdateFunctionCode", {**function, **properties["Code"]}
    others = [name for name in properties if name not in ("Code", "ReservedConcurrentExecutions", "Tags")]
    if not change.creates and change.sets(*others):
        yield "lambda:UpdateFunctionConfiguration", {**function, **(role if change.sets("Role") else {})}
    if change.sets("ReservedConcurrentExecutions"):
        reserves = "ReservedConcurrentExecutions" in properties
        yield ("lambda:PutFunctionConcurrency" if reserves else "lambda:DeleteFunctionConcurrency"), function
    yield "lambda:GetFunction", function
    yield from _function_key(change)


def _function_key(change: Change) -> Iterable[ApiCall]:
    """Lambda encrypts and reads the environment as its caller, and creates a grant for the function's role.

    Source: AWS Lambda Developer Guide, "Securing environment variables".
    """
    key = {"KeyId": change.properties.get("KmsKeyArn")}
    if change.deletes or not key["KeyId"] or not change.sets("KmsKeyArn", "Environment"):
        return
    yield "kms:Encrypt", key
    yield "kms:Decrypt", key
    yield "kms:CreateGrant", {**key, "GrantIsForAWSResource": "true"}


def _invoke_config(change: Change) -> Iterable[ApiCall]:
    function = {"FunctionName": change.properties["FunctionName"]}
    verb = "Delete" if change.deletes else "Put" if change.creates else "Update"
    yield f"lambda:{verb}FunctionEventInvokeConfig", function
    if not change.deletes:
        yield "lambda:GetFunctionEventInvokeConfig", function


def _permission(change: Change) -> Iterable[ApiCall]:
    function = {"FunctionName": change.properties["FunctionName"]}
    if not change.creates:
        yield "lambda:RemovePermission", function
    if not change.deletes:
        yield "lambda:AddPermission", {**function, "Principal": change.properties["Principal"]}
        yield "lambda:GetPolicy", function


def _rule(change: Change) -> Iterable[ApiCall]:
    rule, targets = {"Name": change.name}, {"Rule": change.name}
    if change.deletes:
        yield "events:RemoveTargets", targets
        yield "events:DeleteRule", rule
        return
    role = {"RoleArn": change.properties["RoleArn"]} if change.properties.get("RoleArn") else {}
    yield "events:PutRule", {**rule, **role}
    yield "events:DescribeRule", rule
    if change.sets("Targets"):
        if not change.creates:
            yield "events:ListTargetsByRule", targets
            yield "events:RemoveTargets", targets
        yield "events:PutTargets", {**targets, "Targets": change.properties.get("Targets") or []}


def _log_group(change: Change) -> Iterable[ApiCall]:
    group = {"logGroupName": change.name}
    if change.deletes:
        yield "logs:DeleteLogGroup", group
        return
    if change.creates:
        yield "logs:CreateLogGroup", group
    if change.sets("RetentionInDays"):
        keeps = "RetentionInDays" in change.properties
        yield ("logs:PutRetentionPolicy" if keeps else "logs:DeleteRetentionPolicy"), group
    if change.sets("KmsKeyId"):
        key = change.properties.get("KmsKeyId")
        yield ("logs:AssociateKmsKey", {**group, "kmsKeyId": key}) if key else ("logs:DisassociateKmsKey", group)
    yield "logs:DescribeLogGroups", {}


def _queue(change: Change) -> Iterable[ApiCall]:
    queue = {"QueueUrl": change.name} if "://" in change.name else {"QueueName": change.name}
    yield (
        ("sqs:CreateQueue" if change.creates else "sqs:DeleteQueue" if change.deletes else "sqs:SetQueueAttributes"),
        queue,
    )
    if not change.deletes:
        yield "sqs:GetQueueAttributes", queue


def _queue_policy(change: Change) -> Iterable[ApiCall]:
    for url in change.properties.get("Queues") or []:
        yield "sqs:SetQueueAttributes", {"QueueUrl": url}


def _topic(change: Change) -> Iterable[ApiCall]:
    topic = {"TopicArn": change.name}
    yield (
        ("sns:CreateTopic" if change.creates else "sns:DeleteTopic" if change.deletes else "sns:SetTopicAttributes"),
        topic,
    )
    if not change.deletes:
        yield "sns:GetTopicAttributes", topic


def _topic_policy(change: Change) -> Iterable[ApiCall]:
    for arn in change.properties.get("Topics") or []:
        yield "sns:SetTopicAttributes", {"TopicArn": arn}


def _subscription(change: Change) -> Iterable[ApiCall]:
    topic = change.properties["TopicArn"]
    if not change.creates:
        yield "sns:Unsubscribe", {"SubscriptionArn": f"{topic}:subscription"}
    if not change.deletes:
        members = ("TopicArn", "Protocol", "Endpoint")
        yield "sns:Subscribe", {name: change.properties[name] for name in members if name in change.properties}


def _key(change: Change) -> Iterable[ApiCall]:
    tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in change.properties.get("Tags") or []]
    # A new key has these tags once CreateKey has returned, which the calls that follow are judged by.
    key = {"KeyId": change.name, **({"ResourceTags": tags} if change.creates else {})}
    if change.deletes:
        yield "kms:DescribeKey", key
        yield "kms:ScheduleKeyDeletion", key
        return
    if change.creates:
        yield "kms:CreateKey", {"Tags": tags}
        if tags:
            yield "kms:TagResource", {**key, "Tags": tags}
    else:
        if change.sets("KeyPolicy"):
            yield "kms:PutKeyPolicy", key
        if change.sets("Description"):
            yield "kms:UpdateKeyDescription", key
        if change.sets("Tags"):
            yield "kms:TagResource", {**key, "Tags": tags}
            yield "kms:UntagResource", key
    if change.sets("EnableKeyRotation"):
        rotates = str(change.properties.get("EnableKeyRotation")).lower() == "true"
        yield ("kms:EnableKeyRotation" if rotates else "kms:DisableKeyRotation"), key
    for operation in ("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"):
        yield f"kms:{operation}", key


def _alias(change: Change) -> Iterable[ApiCall]:
    alias = {"AliasName": change.name, "TargetKeyId": change.properties["TargetKeyId"]}
    verb = "Delete" if change.deletes else "Create" if change.creates else "Update"
    yield f"kms:{verb}Alias", alias
    yield "kms:ListAliases", {}


def _simple(create: str, update: str, delete: str, member: str, *also: str) -> Calls:
    """One call for each change, with the name in `member`; `also` are made where the resource exists afterwards."""

    def calls(change: Change) -> Iterable[ApiCall]:
        operation = create if change.creates else delete if change.deletes else update
        plural = operation in ("cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards")
        parameters: dict[str, Any] = {f"{member}s": [change.name]} if plural else {member: change.name}
        if operation == create and change.properties.get("Tags"):
            parameters["Tags"] = change.properties["Tags"]
        yield operation, parameters
        for other in also if not change.deletes else ():
            yield other, {member: change.name}

    return calls


_MODEL_PACKAGE_GROUP = _simple(
    "sagemaker:CreateModelPackageGroup",
    "sagemaker:DescribeModelPackageGroup",
    "sagemaker:DeleteModelPackageGroup",
    "ModelPackageGroupName",
    "sagemaker:DescribeModelPackageGroup",
)
CALLS: Mapping[str, Calls] = {
    "AWS::CloudWatch::Alarm": _simple(
        "cloudwatch:PutMetricAlarm", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "AlarmName"
    ),
    "AWS::CloudWatch::Dashboard": _simple(
        "cloudwatch:PutDashboard", "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards", "DashboardName"
    ),
    "AWS::Events::Rule": _rule,
    "AWS::IAM::ManagedPolicy": iam_resource_calls.managed_policy,
    "AWS::IAM::OIDCProvider": iam_resource_calls.identity_provider,
    "AWS::IAM::Policy": iam_resource_calls.inline_policy,
    "AWS::IAM::Role": iam_resource_calls.role,
    "AWS::KMS::Alias": _alias,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::EventInvokeConfig": _invoke_config,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Permission": _permission,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SageMaker::ModelPackageGroup": _MODEL_PACKAGE_GROUP,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
}
