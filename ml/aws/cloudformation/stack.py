"""Creates and updates CloudFormation stacks, and uploads the code that they need.

It waits until the operation has ended; the error of a failed one names the first failed resource and its reason. It
does not depend on the content of any template.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ml.aws import session
from ml.aws.platform_stack import describe_stack
from ml.errors import CloudError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of the zip format
_CANCELLED = "Resource creation cancelled"
_TIMEOUT_SECONDS = 1_800
UNUSED = "REVIEW_IN_PROGRESS"
"""The status of a stack without resources, for which a change set was made and never executed."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What applying a template did, and the stack's outputs."""

    state: Literal["created", "updated", "unchanged"]
    outputs: dict[str, str]


def archive(source: Path, package: str) -> bytes:
    """A zip of the Python files of `source` as the package `package`; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for file in sorted(source.rglob("*.py")):
            entry = zipfile.ZipInfo(f"{package}/{file.relative_to(source).as_posix()}", _EPOCH)
            entry.external_attr = 0o644 << 16  # Lambda's user must be able to read it
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def ensure_bucket(name: str) -> bool:
    """Creates the private, encrypted, versioned bucket `name` if it does not exist; returns whether it was created.

    Its settings are applied in any case, so that an interrupted creation is completed.
    """
    from botocore.exceptions import ClientError

    s3 = session.client("s3")
    made = False
    with session.explained(f"creating the bucket {name}"):
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if session.code(error) not in ("404", "NoSuchBucket"):
                raise  # 403: the bucket belongs to another account
            region = s3.meta.region_name
            # In us-east-1, S3 accepts no location constraint.
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            s3.create_bucket(Bucket=name, **place)
            made = True
        closed = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
        s3.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_only_over_tls(s3.meta.partition, name)))
    return made


def key_of(prefix: str, content: bytes) -> str:
    """The key under which `upload` stores `content`: its digest below `prefix`."""
    return f"{prefix}/{hashlib.sha256(content).hexdigest()}.zip"


def upload(bucket: str, prefix: str, content: bytes) -> str:
    """Uploads `content` below `prefix` under its digest, unless it exists; returns the key."""
    from botocore.exceptions import ClientError

    key = key_of(prefix, content)
    s3 = session.client("s3")
    with session.explained(f"uploading s3://{bucket}/{key}"):
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if session.code(error) != "404":
                raise
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    return key


def apply(name: str, template: str, parameters: Mapping[str, str]) -> Applied:
    """Creates the stack `name` from `template` with `parameters`, or updates it, and waits until that has ended.

    A parameter that the stack has and `parameters` lacks keeps its value. A stack whose creation failed is deleted and
    created again.

    Raises:
        CloudError: the template is refused, a resource failed (the message names it and the reason), or time ran out.
    """
    from botocore.exceptions import ClientError

    cloudformation = session.client("cloudformation")
    before = describe_stack(name)
    if before is not None and before["StackStatus"] != UNUSED:
        before = _settled(name)
    if before is not None and not was_created(before):
        with session.explained(f"deleting the stack {name}, whose creation failed"):
            cloudformation.delete_stack(StackName=name)
            before = _settled(name)
        if before is not None:
            raise CloudError(
                f"the creation of stack {name} failed, and CloudFormation cannot delete what it left: "
                f"{_reason(name, before)}; delete that resource, then run this again"
            )
    state: Literal["created", "updated"] = "created" if before is None else "updated"
    with session.explained(f"applying the template of the stack {name}"):
        request = request_of(name, template, parameters, before)
        if before is None:
            cloudformation.create_stack(**request)
        else:
            try:
                cloudformation.update_stack(**request)
            except ClientError as error:
                # CloudFormation has no error code for "nothing to do".
                if "No updates are to be performed" in str(error):
                    return Applied(state="unchanged", outputs=_outputs(before))
                raise
    after = _settled(name)
    if after is None or after["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status = after["StackStatus"] if after else "gone"
        raise CloudError(f"stack {name} is {status}: {_reason(name, after)}")
    return Applied(state=state, outputs=_outputs(after))


def delete(name: str) -> bool:
    """Deletes the stack `name` and waits until that has ended; returns whether there was one.

    Resources with a retain policy stay.

    Raises:
        CloudError: a resource cannot be deleted (the message names it and the reason), or time ran out.
    """
    if _settled(name) is None:
        return False
    with session.explained(f"deleting the stack {name}"):
        session.client("cloudformation").delete_stack(StackName=name)
        after = _settled(name)
    if after is not None:
        raise CloudError(
            f"stack {name} is {after['StackStatus']}: {_reason(name, after)}; remove what is in the way, then run this "
            "again"
        )
    return True


def was_created(stack: Mapping[str, Any]) -> bool:
    """Whether the creation of a settled stack succeeded. One whose creation failed can only be deleted."""
    return stack["StackStatus"] not in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", UNUSED)


def request_of(
    name: str, template: str, parameters: Mapping[str, str], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The parameters of a create, update or change set request for the stack whose present state is `before`."""
    values: list[dict[str, Any]] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())
    ]
    if before is not None:
        summary = session.client("cloudformation").get_template_summary(TemplateBody=template)
        declared = {item["ParameterKey"] for item in summary["Parameters"]}
        kept = declared & {item["ParameterKey"] for item in before.get("Parameters", [])} - set(parameters)
        values += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]
    return {
        "StackName": name,
        "TemplateBody": template,
        "Parameters": values,
        "Capabilities": ["CAPABILITY_IAM"],
    }


def _settled(name: str) -> dict[str, Any] | None:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

    def moving(stack: dict[str, Any] | None) -> bool:
        status = stack["StackStatus"] if stack else ""
        # The clean-up after an update only deletes replaced resources: the stack is up to date.
        return status.endswith("_IN_PROGRESS") and status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"

    patient = Retrying(
        retry=retry_if_result(moving),
        stop=stop_after_delay(_TIMEOUT_SECONDS),
        wait=wait_exponential(multiplier=0.2, max=10),
    )
    try:
        stack: dict[str, Any] | None = patient(describe_stack, name)
    except RetryError as error:
        raise CloudError(
            f"stack {name} did not settle within {_TIMEOUT_SECONDS // 60} minutes; see its events in the console"
        ) from error
    if stack is not None and stack["StackStatus"] == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
        return {**stack, "StackStatus": "UPDATE_COMPLETE"}
    return stack


def _reason(name: str, stack: dict[str, Any] | None) -> str:
    """Why the latest operation on the stack failed: its first failure, since the others follow from it."""
    with session.explained(f"reading the events of the stack {name}"):
        target = stack["StackId"] if stack else name
        pages = session.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=target)
        failures = []
        for event in (event for page in pages for event in page["StackEvents"]):  # newest first
            reason = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and _CANCELLED not in reason:
                failures.append(f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
            if event["ResourceType"] == "AWS::CloudFormation::Stack" and reason == "User Initiated":
                break  # the start of this operation
    return failures[-1] if failures else (stack or {}).get("StackStatusReason", "CloudFormation gave no reason")


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def _only_over_tls(partition: str, bucket: str) -> dict[str, Any]:
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
