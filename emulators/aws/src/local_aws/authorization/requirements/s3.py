"""Requirements of Amazon S3's operations.

Sources: Service Authorization Reference, "Amazon S3"; S3 User Guide, "Required permissions for Amazon S3 API
operations".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, unquote

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, on_everything, tags

_OBJECT_ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "GetObjectAcl": "GetObjectAcl",
    "ListParts": "ListMultipartUploadParts",
    "PutObjectAcl": "PutObjectAcl",
    "RestoreObject": "RestoreObject",
    "UploadPart": "PutObject",
}
_VERSIONED_ACTIONS = {  # with a VersionId the action's name ends in Version
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "HeadObject": "GetObject",
}
_VERSIONED_TAGGING = {
    "DeleteObjectTagging": "DeleteObject{}Tagging",
    "GetObjectTagging": "GetObject{}Tagging",
    "PutObjectTagging": "PutObject{}Tagging",
}
_BUCKET_ACTIONS = {
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAcl": "GetBucketAcl",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketLocation": "GetBucketLocation",
    "GetBucketLogging": "GetBucketLogging",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketOwnershipControls": "GetBucketOwnershipControls",
    "GetBucketPolicy": "GetBucketPolicy",
    "GetBucketPolicyStatus": "GetBucketPolicyStatus",
    "GetBucketTagging": "GetBucketTagging",
    "GetBucketVersioning": "GetBucketVersioning",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketLogging": "PutBucketLogging",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketOwnershipControls": "PutBucketOwnershipControls",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutBucketTagging": "PutBucketTagging",
    "PutBucketVersioning": "PutBucketVersioning",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_LISTINGS = {"ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "ListObjectVersions": "ListBucketVersions"}
_LISTING_KEYS = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}


def bucket_arn(call: Call) -> str:
    """The ARN of the call's bucket."""
    return f"arn:aws:s3:::{call.text('Bucket')}"


def object_arn(call: Call) -> str:
    """The ARN of the call's object."""
    return f"arn:aws:s3:::{call.text('Bucket')}/{call.text('Key')}"


def _on_object(action: str) -> Rule:
    return lambda call: [Requirement(f"s3:{action}", object_arn(call))]


def _on_version(action: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        version = call.text("VersionId")
        context = {"s3:VersionId": version} if version else {}
        name = action if "{}" in action else action + "{}"
        return [Requirement(f"s3:{name.format('Version' if version else '')}", object_arn(call), context)]

    return rule


def _on_bucket(action: str) -> Rule:
    return lambda call: [Requirement(f"s3:{action}", bucket_arn(call))]


def _listing(action: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        given = {key: str(call.parameters[name]) for name, key in _LISTING_KEYS.items() if name in call.parameters}
        return [Requirement(f"s3:{action}", bucket_arn(call), given)]

    return rule


def _put_object(call: Call) -> Iterable[Requirement]:
    resource = object_arn(call)
    yield Requirement("s3:PutObject", resource, _write_context(call))
    if tagging := call.text("Tagging"):
        pairs = [{"Key": key, "Value": found[0]} for key, found in parse_qs(tagging, keep_blank_values=True).items()]
        parsed = Call(service="s3", operation="", parameters={"Tags": pairs}, account=call.account, region=call.region)
        yield Requirement("s3:PutObjectTagging", resource, tags(parsed))
    if any(name.startswith(("ACL", "Grant")) for name in call.parameters):
        yield Requirement("s3:PutObjectAcl", resource, {"s3:x-amz-acl": call.text("ACL")} if call.text("ACL") else {})
    if call.text("ObjectLockMode"):
        yield Requirement("s3:PutObjectRetention", resource)
    if call.text("ObjectLockLegalHoldStatus"):
        yield Requirement("s3:PutObjectLegalHold", resource)


def _write_context(call: Call) -> Mapping[str, str]:
    members = {
        "ACL": "s3:x-amz-acl",
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "StorageClass": "s3:x-amz-storage-class",
        "IfNoneMatch": "s3:if-none-match",
        "IfMatch": "s3:if-match",
    }
    return {key: call.text(member) for member, key in members.items() if call.text(member)}


def _copy(call: Call) -> Iterable[Requirement]:
    source, _, version = unquote(call.text("CopySource")).lstrip("/").partition("?versionId=")
    context = {"s3:VersionId": version} if version else {}
    yield Requirement(f"s3:GetObject{'Version' if version else ''}", f"arn:aws:s3:::{source}", context)
    yield from _put_object(call)


def _delete_objects(call: Call) -> Iterable[Requirement]:
    bucket = bucket_arn(call)
    for item in (call.parameters.get("Delete") or {}).get("Objects") or []:
        version = "Version" if item.get("VersionId") else ""
        yield Requirement(f"s3:DeleteObject{version}", f"{bucket}/{item['Key']}")


RULES: Mapping[str, Rule] = {
    **{name: _on_object(action) for name, action in _OBJECT_ACTIONS.items()},
    **{name: _on_version(action) for name, action in (_VERSIONED_ACTIONS | _VERSIONED_TAGGING).items()},
    **{name: _on_bucket(action) for name, action in _BUCKET_ACTIONS.items()},
    **{name: _listing(action) for name, action in _LISTINGS.items()},
    "CopyObject": _copy,
    "CreateMultipartUpload": _put_object,
    "DeleteObjects": _delete_objects,
    "ListBuckets": on_everything("s3:ListAllMyBuckets"),
    "PutObject": _put_object,
    "UploadPartCopy": _copy,
}
