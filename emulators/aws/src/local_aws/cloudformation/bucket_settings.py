"""Applies the settings of AWS::S3::Bucket that moto's stacks ignore. Creates and deletes no bucket.

The settings are stored and returned by S3's calls. Access logs are written; lifecycle rules delete and move nothing;
encryption is only recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def apply_bucket_settings(bucket: Any, properties: dict[str, Any], account: str, region: str) -> None:
    """Applies versioning, public access block, encryption, ownership, lifecycle and logging to moto's bucket.

    Raises:
        Exception: moto refuses a setting, as a log bucket whose policy does not admit S3's log delivery.
    """
    from moto.s3.cloud_formation import cfn_to_api_encryption
    from moto.s3.models import s3_backends

    backend = s3_backends[account]["aws"]
    status = properties.get("VersioningConfiguration", {}).get("Status")
    if status:
        backend.put_bucket_versioning(bucket.name, status)
    block = properties.get("PublicAccessBlockConfiguration")
    if block:
        backend.put_public_access_block(bucket.name, {key: str(value).lower() for key, value in block.items()})
    encryption = properties.get("BucketEncryption")
    backend.put_bucket_encryption(bucket.name, _encryption(encryption, cfn_to_api_encryption) if encryption else None)
    ownership = properties.get("OwnershipControls", {}).get("Rules", [])
    backend.put_bucket_ownership_controls(bucket.name, ownership[0]["ObjectOwnership"] if ownership else None)
    backend.put_bucket_lifecycle_configuration(bucket.name, lifecycle_rules(properties))
    logging = properties.get("LoggingConfiguration")
    backend.put_bucket_logging(
        bucket.name,
        {"TargetBucket": logging["DestinationBucketName"], "TargetPrefix": logging.get("LogFilePrefix", "")}
        if logging
        else {},
    )


def _encryption(properties: Mapping[str, Any], translate: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The default encryption as moto keeps it; its translation leaves out whether there is a bucket key."""
    found = translate(properties)
    bucket_key = properties["ServerSideEncryptionConfiguration"][0].get("BucketKeyEnabled")
    if bucket_key is not None:
        found["Rule"]["BucketKeyEnabled"] = str(bucket_key).lower()
    return found


def lifecycle_rules(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bucket's lifecycle rules in the form of PutBucketLifecycleConfiguration."""
    return [_lifecycle_rule(rule) for rule in properties.get("LifecycleConfiguration", {}).get("Rules", [])]


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule in the form of PutBucketLifecycleConfiguration."""
    translated: dict[str, Any] = {"ID": rule.get("Id"), "Status": rule["Status"], "Prefix": rule.get("Prefix", "")}
    if "ExpirationInDays" in rule:
        translated["Expiration"] = {"Days": str(rule["ExpirationInDays"])}
    if "Transitions" in rule:
        translated["Transition"] = [
            {"Days": str(each["TransitionInDays"]), "StorageClass": each["StorageClass"]}
            for each in rule["Transitions"]
        ]
    if "NoncurrentVersionExpiration" in rule:
        days = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        translated["NoncurrentVersionExpiration"] = {"NoncurrentDays": str(days)}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        translated["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": str(days)}
    return translated
