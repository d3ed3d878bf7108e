"""Rules of S3 and CloudWatch Logs: names, sizes, bucket settings, retention."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check
from local_aws.service_rules.identity_checks import check_grammar, is_object

_KEY_BYTES, _METADATA_BYTES, _DELETED_KEYS, _PARTS = 1024, 2048, 1000, 10_000
_INFREQUENT_ACCESS = ("STANDARD_IA", "ONEZONE_IA")
_INFREQUENT_ACCESS_DAYS = 30
_RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def is_bucket_name(name: str) -> bool:
    """Whether the name may be that of a general purpose bucket."""
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        is_address = False
    else:
        is_address = True
    reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(
        ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
    )
    return bool(_BUCKET.fullmatch(name)) and ".." not in name and not is_address and not reserved


def _bucket_name(parameters: Mapping[str, Any]) -> None:
    if not is_bucket_name(parameters["Bucket"]):
        raise violation("s3-bucket-name")


def _retention(parameters: Mapping[str, Any]) -> None:
    check_retention(parameters["retentionInDays"])


def check_retention(days: int) -> None:
    """Refuses a number of days that CloudWatch Logs does not have."""
    if days not in _RETENTION_DAYS:
        raise violation("logs-retention", days=days, allowed=", ".join(map(str, _RETENTION_DAYS)))


def _key(parameters: Mapping[str, Any]) -> None:
    if len(parameters["Key"].encode()) > _KEY_BYTES:
        raise violation("s3-key-length")


def _metadata(parameters: Mapping[str, Any]) -> None:
    metadata = parameters.get("Metadata") or {}
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > _METADATA_BYTES:
        raise violation("s3-metadata-size")


def _part_number(parameters: Mapping[str, Any]) -> None:
    if not 1 <= parameters["PartNumber"] <= _PARTS:
        raise violation("s3-part-number")


def _deleted_keys(parameters: Mapping[str, Any]) -> None:
    if len(parameters["Delete"]["Objects"]) > _DELETED_KEYS:
        raise violation("s3-delete-keys")


def _lifecycle(parameters: Mapping[str, Any]) -> None:
    for rule in (parameters.get("LifecycleConfiguration") or {}).get("Rules") or []:
        for transition in rule.get("Transitions") or []:
            check_transition(transition.get("StorageClass"), transition.get("Days"))


def check_transition(storage_class: str | None, days: Any) -> None:
    """Refuses to move objects to an infrequent access class too early."""
    if storage_class in _INFREQUENT_ACCESS and days is not None and int(days) < _INFREQUENT_ACCESS_DAYS:
        raise violation("s3-transition-days", storage_class=storage_class)


def _bucket_policy(parameters: Mapping[str, Any]) -> None:
    if not is_object(parameters["Policy"]):
        raise violation("s3-policy-json", first="{")
    check_grammar(parameters["Policy"], "s3-policy-grammar")
    check_bucket_policy(parameters["Bucket"], json.loads(parameters["Policy"]))


def check_bucket_policy(bucket: str, document: Any) -> None:
    """Refuses a policy that names another bucket than its own."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in [statements] if isinstance(statements, dict) else statements:
        named = statement.get("Resource", []) if isinstance(statement, dict) else []
        for resource in [named] if isinstance(named, str) else named:
            name = str(resource).partition(":s3:::")[2].partition("/")[0]
            if not fnmatchcase(bucket, name):
                raise violation("s3-policy-resource")


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("s3", "CreateBucket"): (_bucket_name,),
    ("s3", "PutObject"): (_key, _metadata),
    ("s3", "CopyObject"): (_key, _metadata),
    ("s3", "CreateMultipartUpload"): (_key, _metadata),
    ("s3", "UploadPart"): (_part_number,),
    ("s3", "DeleteObjects"): (_deleted_keys,),
    ("s3", "PutBucketLifecycleConfiguration"): (_lifecycle,),
    ("s3", "PutBucketPolicy"): (_bucket_policy,),
    ("logs", "PutRetentionPolicy"): (_retention,),
}
"""By service and operation."""
