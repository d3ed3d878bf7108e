"""Service Quotas: lists the emulator's quotas for SageMaker instances. Requests no increase.

Only the quotas that were set with `Quotas.set` are listed, as applied ones; all others are unlimited and have no entry.
ListAWSDefaultServiceQuotas is empty for SageMaker, because a default that nothing enforces would be a claim.
"""

from __future__ import annotations

from typing import Any

from local_aws import quotas
from local_aws.errors import AwsError, NotHandled

_SAGEMAKER = "sagemaker"
_NAME = "Amazon SageMaker"
_CODES = {
    "ml.m5.xlarge for processing job usage": "L-0307F515",
    "ml.m5.xlarge for training job usage": "L-CCE2AFA6",
}
"""Codes of quotas as ListServiceQuotas returned them to others; the rest are listed without a code."""


class ServiceQuotas:
    """Answers for the service `sagemaker`; other services are moto's."""

    def __init__(self, *, account: str, region: str) -> None:
        self._account, self._region = account, region

    def list_service_quotas(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """ListServiceQuotas: the applied quotas, in pages of MaxResults."""
        if parameters["ServiceCode"] != _SAGEMAKER:
            raise NotHandled
        names = sorted(quotas.current.instances)
        start, size = _page(parameters)
        found: dict[str, Any] = {"Quotas": [self._quota(name) for name in names[start : start + size]]}
        if start + size < len(names):
            found["NextToken"] = str(start + size)
        return found

    def list_default_quotas(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """ListAWSDefaultServiceQuotas: empty for SageMaker."""
        if parameters["ServiceCode"] != _SAGEMAKER:
            raise NotHandled
        return {"Quotas": []}

    def _quota(self, name: str) -> dict[str, Any]:
        quota = {
            "ServiceCode": _SAGEMAKER,
            "ServiceName": _NAME,
            "QuotaName": name,
            "Value": float(quotas.current.instances[name]),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        code = _CODES.get(name)
        if code is None:
            return quota
        arn = f"arn:aws:servicequotas:{self._region}:{self._account}:{_SAGEMAKER}/{code}"
        return {**quota, "QuotaCode": code, "QuotaArn": arn}


def _page(parameters: dict[str, Any]) -> tuple[int, int]:
    """Start and size of the wanted page."""
    token = parameters.get("NextToken") or "0"
    if not token.isdigit():
        raise AwsError("InvalidPaginationTokenException", f"the token {token!r} is not one of this operation")
    return int(token), int(parameters.get("MaxResults") or 100)
