"""Rules of S3, CloudWatch Logs and CloudFormation's requests: names, retention, sizes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_TEMPLATE_BYTES = 51_200
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
    days = parameters["retentionInDays"]
    if days not in _RETENTION_DAYS:
        raise violation("logs-retention", days=days, allowed=", ".join(map(str, _RETENTION_DAYS)))


def _template_size(parameters: Mapping[str, Any]) -> None:
    body = parameters.get("TemplateBody") or ""
    if len(body.encode()) > _TEMPLATE_BYTES:
        raise violation("cloudformation-template-size", value=body, limit=_TEMPLATE_BYTES)


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("s3", "CreateBucket"): (_bucket_name,),
    ("logs", "PutRetentionPolicy"): (_retention,),
    **{
        ("cloudformation", operation): (_template_size,)
        for operation in ("CreateStack", "UpdateStack", "CreateChangeSet", "ValidateTemplate", "GetTemplateSummary")
    },
}
"""By service and operation."""
