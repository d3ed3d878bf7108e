"""Cases of the rules of S3 and CloudWatch Logs; not a test itself."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import Case, reason_of_failed_stack, refused


def bucket_name(aws: LocalAws) -> None:
    for name in ("a.", "192.168.5.4", "a..b", "xn--a-b", "a-bucket-s3alias", "sthree-a"):
        refused("s3-bucket-name", partial(aws.client("s3").create_bucket, Bucket=name))


def bucket_not_empty(aws: LocalAws) -> None:
    name, s3 = unique_name("bucket"), aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    refused("s3-bucket-not-empty", lambda: s3.delete_bucket(Bucket=name))


def retention(aws: LocalAws) -> None:
    name, logs = unique_name("group"), aws.client("logs")
    logs.create_log_group(logGroupName=name)
    refused("logs-retention", lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=2))
    logs.put_retention_policy(logGroupName=name, retentionInDays=3653)


def log_group_exists(aws: LocalAws) -> None:
    name, logs = unique_name("group"), aws.client("logs")
    logs.create_log_group(logGroupName=name)
    refused("logs-group-exists", lambda: logs.create_log_group(logGroupName=name))


def new_bucket(aws: LocalAws) -> str:
    """A new bucket."""
    name = unique_name("bucket")
    aws.client("s3").create_bucket(Bucket=name)
    return name


def key_length(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    for key in ("k" * 1025, "é" * 513):
        refused("s3-key-length", partial(s3.put_object, Bucket=name, Key=key, Body=b"1"))
        refused("s3-key-length", partial(s3.create_multipart_upload, Bucket=name, Key=key))
    s3.put_object(Bucket=name, Key="é" * 512, Body=b"1")


def metadata_size(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    refused("s3-metadata-size", lambda: s3.put_object(Bucket=name, Key="a", Body=b"1", Metadata={"ab": "x" * 2047}))
    s3.put_object(Bucket=name, Key="a", Body=b"1", Metadata={"ab": "x" * 2046})


def deleted_keys(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    keys = [{"Key": str(number)} for number in range(1001)]
    refused("s3-delete-keys", lambda: s3.delete_objects(Bucket=name, Delete={"Objects": keys}))
    assert len(s3.delete_objects(Bucket=name, Delete={"Objects": keys[:1000]})["Deleted"]) == 1000


def part_number(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    upload = s3.create_multipart_upload(Bucket=name, Key="a")["UploadId"]
    for number in (0, 10_001):
        refused(
            "s3-part-number",
            partial(s3.upload_part, Bucket=name, Key="a", UploadId=upload, PartNumber=number, Body=b"1"),
        )


def part_size(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    upload = s3.create_multipart_upload(Bucket=name, Key="a")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket=name, Key="a", UploadId=upload, PartNumber=number, Body=b"1")["ETag"],
        }
        for number in (1, 2)
    ]
    refused(
        "s3-part-size",
        lambda: s3.complete_multipart_upload(Bucket=name, Key="a", UploadId=upload, MultipartUpload={"Parts": parts}),
    )


def lifecycle(days: int) -> dict[str, Any]:
    """A lifecycle that moves objects after so many days."""
    transition = {"Days": days, "StorageClass": "STANDARD_IA"}
    return {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "raw/"}, "Transitions": [transition]}]}


def transition_days(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    refused(
        "s3-transition-days",
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=lifecycle(29)),
    )
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=lifecycle(30))
    rule = "{Id: a, Status: Enabled, Prefix: raw/, Transitions: [{StorageClass: STANDARD_IA, TransitionInDays: 7}]}"
    body = f"Resources: {{B: {{Type: AWS::S3::Bucket, Properties: {{LifecycleConfiguration: {{Rules: [{rule}]}}}}}}}}"
    assert "greater than or equal to 30 for storageClass 'STANDARD_IA'" in reason_of_failed_stack(aws, body)


def bucket_policy(resource: str) -> str:
    """A policy that denies everybody to delete the resource."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy_json(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    for policy in ("policy.json", "[]", '{"Version": '):
        refused("s3-policy-json", partial(s3.put_bucket_policy, Bucket=name, Policy=policy))
    s3.list_objects_v2(Bucket=name)


def policy_grammar(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    policy = bucket_policy(f"arn:aws:s3:::{name}/*")
    for wrong in (policy.replace("Principal", "Principle"), policy.replace("Deny", "deny"), '{"Statement": []}'):
        refused("s3-policy-grammar", partial(s3.put_bucket_policy, Bucket=name, Policy=wrong))
    s3.put_bucket_policy(Bucket=name, Policy=policy)


def policy_resource(aws: LocalAws) -> None:
    name, s3 = new_bucket(aws), aws.client("s3")
    other = bucket_policy(f"arn:aws:s3:::{name}-other/*")
    refused("s3-policy-resource", lambda: s3.put_bucket_policy(Bucket=name, Policy=other))
    s3.put_bucket_policy(Bucket=name, Policy=bucket_policy(f"arn:aws:s3:::{name}/*"))
    properties = f"{{Bucket: {name}, PolicyDocument: {other}}}"
    body = f"Resources: {{P: {{Type: AWS::S3::BucketPolicy, Properties: {properties}}}}}"
    assert "Policy has invalid resource" in reason_of_failed_stack(aws, body)


def event_order(aws: LocalAws) -> None:
    name, logs, now = unique_name("group"), aws.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    events = [{"timestamp": now, "message": "later"}, {"timestamp": now - 1000, "message": "earlier"}]
    refused("logs-event-order", lambda: logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events))
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events[::-1])


CASES: dict[str, Case] = {
    "logs-event-order": event_order,
    "logs-group-exists": log_group_exists,
    "logs-retention": retention,
    "s3-bucket-name": bucket_name,
    "s3-bucket-not-empty": bucket_not_empty,
    "s3-delete-keys": deleted_keys,
    "s3-key-length": key_length,
    "s3-metadata-size": metadata_size,
    "s3-part-number": part_number,
    "s3-part-size": part_size,
    "s3-policy-grammar": policy_grammar,
    "s3-policy-json": policy_json,
    "s3-policy-resource": policy_resource,
    "s3-transition-days": transition_days,
}
